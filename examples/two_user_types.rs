//! Customers and staff: two user types in one app, each in its own scope.
//!
//! `cargo run --example two_user_types`, then open the address it prints, and `/staff/` there. You
//! can log in to both in one browser: the two sessions are independent.
//!
//! Each type has its own `Auth`, cookie, user table and session table, all in one database.

use std::env;

use actix_web::{App, HttpServer, Responder, get, post, web};
use locals::{
    Auth, AuthUser, BoxError, CookieConfig, Error, Locals, User, require_user, store::SqlStore,
    with_session,
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

/// A start page. Its links are relative, so under `/staff/` they lead to the staff pages.
fn page(title: &str, name: Option<&str>) -> impl Responder + use<> {
    let form = match name {
        Some(name) => format!(
            "<p>Logged in as {}. <a href=me>My account</a>\
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

/// Always logs in as the same customer, without a password. `quickstart` verifies one.
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

// The same for staff. The scope of a handler decides which `Auth` it uses. If a handler there asks
// for the other user type, the response is 500, and the log says why.

#[get("/")]
#[with_session]
async fn staff_home(user: Option<User<Employee>>) -> impl Responder {
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

/// For both: `Locals` does not depend on the user type.
#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to(".").see_other())
}

/// Builds the `Auth` for one user type.
async fn auth<T>(pool: &SqlitePool, cookie: &str) -> Result<Auth<T>, BoxError>
where
    T: AuthUser + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
{
    let store = SqlStore::new(pool.clone());
    store.migrate().await?;
    // The names differ, so that a browser can have both cookies. `secure(false)` is for plain HTTP
    // during development: behind HTTPS, omit it and start the names with `__Host-`.
    let cookie = CookieConfig::default().name(cookie).secure(false);
    Ok(Auth::builder(store).cookie(cookie).build()?)
}

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
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
        let staff_scope = web::scope("/staff").configure(staff.configure());
        let staff_scope = staff_scope.service((staff_home, log_in_employee, employee, logout));
        let app = App::new().configure(customers.configure()).service(staff_scope);
        app.service((shop, log_in_customer, customer, logout))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
