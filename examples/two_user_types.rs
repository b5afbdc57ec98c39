//! Customers and staff: two types of user in one app, each in a scope of its own.
//!
//! `cargo run --example two_user_types`, then open the address it prints, and `/staff/` there. Log
//! in to both in one browser: neither session knows of the other.
//!
//! Each type has an `Auth`, a cookie, a table of users and, in the same database, a table of sessions.

use std::env;

use actix_web::{App, HttpServer, Responder, get, post, web};
use locals::{
    Auth, AuthUser, CookieConfig, Error, Locals, User, require_user, store::SqlStore, with_session,
};
use sqlx::SqlitePool;

#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "customers")]
struct Customer {
    id: i64,
    name: String,
}

#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "staff", sessions = "staff_sessions")]
struct Employee {
    id: i64,
    name: String,
}

/// A start page. What it leads to is relative: in `/staff/` it stays there.
fn page(title: &str, name: Option<&str>) -> impl Responder + use<> {
    let form = match name {
        Some(name) => format!(
            "<p>Logged in as {}. <a href=me>Who am I?</a>\
            <form method=post action=logout><button>Log out</button></form>",
            name.replace('&', "&amp;").replace('<', "&lt;")
        ),
        None => "<form method=post action=login><button>Log in</button></form>".to_owned(),
    };
    web::Html::new(format!("<h1>{title}</h1>{form}<p><a href=/>Shop</a> <a href=/staff/>Staff</a>"))
}

#[get("/")]
#[with_session]
async fn shop(user: Option<User<Customer>>) -> impl Responder {
    page("Shop", user.as_ref().map(|user| &*user.name))
}

/// Without a password, and always as the same customer: `quickstart` checks one.
#[post("/login")]
#[with_session]
async fn log_in_customer(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_in(&Customer { id: 1, name: "Ada".to_owned() }).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[get("/me")]
#[require_user]
async fn customer(user: User<Customer>) -> String {
    format!("Customer {}, {}", user.id, user.name)
}

// The same for staff. The scope that a handler is in decides which `Auth` it is served by. One that
// names the other type of user there is answered with 500, and the log says why.

#[get("/")]
#[with_session]
async fn office(user: Option<User<Employee>>) -> impl Responder {
    page("Staff", user.as_ref().map(|user| &*user.name))
}

#[post("/login")]
#[with_session]
async fn log_in_employee(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_in(&Employee { id: 1, name: "Grace".to_owned() }).await?;
    Ok(web::Redirect::to("/staff/").see_other())
}

#[get("/me")]
#[require_user]
async fn employee(user: User<Employee>) -> String {
    format!("Employee {}, {}", user.id, user.name)
}

/// For both: `Locals` has no type of user.
#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to(".").see_other())
}

/// An `Auth` for one type of user.
async fn auth<T>(pool: &SqlitePool, cookie: &str) -> Result<Auth<T>, Failure>
where
    T: AuthUser + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
{
    let store = SqlStore::new(pool.clone());
    store.migrate().await?;
    // The names differ, so that one browser holds both. Plain HTTP, for this demonstration: behind
    // HTTPS leave `secure` as it is, and begin the names with `__Host-`.
    let cookie = CookieConfig::default().name(cookie).secure(false);
    Ok(Auth::builder(store).cookie(cookie).build()?)
}

type Failure = Box<dyn std::error::Error>;

#[actix_web::main]
async fn main() -> Result<(), Failure> {
    let file = env::temp_dir().join("locals-shop.db");
    let store = SqlStore::<_, Customer>::sqlite(&file.display().to_string()).await?;
    let users = "CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); \
        INSERT OR IGNORE INTO customers VALUES (1, 'Ada'); \
        CREATE TABLE IF NOT EXISTS staff (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); \
        INSERT OR IGNORE INTO staff VALUES (1, 'Grace')";
    sqlx::raw_sql(users).execute(store.pool()).await?;
    let customers: Auth<Customer> = auth(store.pool(), "customer").await?;
    let staff: Auth<Employee> = auth(store.pool(), "employee").await?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address} and http://{address}/staff/");
    let app = move || {
        let inside = web::scope("/staff").configure(staff.configure());
        let inside = inside.service((office, log_in_employee, employee, logout));
        let app = App::new().configure(customers.configure()).service(inside);
        app.service((shop, log_in_customer, customer, logout))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
