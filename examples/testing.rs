//! How to test an app. The tests are at the end of this file.
//!
//! `cargo test --example testing` runs them; `cargo run --example testing` runs the app.
//!
//! One function registers the routes, and `main` chooses the store. So the tests can use the same
//! routes with an in-memory store and a manual clock. In your own app, enable the feature `testing`
//! of `locals` under `[dev-dependencies]`.

use std::env;

use actix_web::{App, HttpServer, Responder, get, post, web};
use locals::{
    Auth, AuthUser, CookieConfig, Error, Locals, User, require_user, store::SqlStore, with_session,
};

/// `MemoryStore` needs `Clone`, `SqlStore` needs `FromRow`.
#[derive(Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    email: String,
    is_admin: bool,
}

impl Account {
    fn is_admin(&self) -> bool {
        self.is_admin
    }
}

#[derive(serde::Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

/// Stands in for a real password check, as in `quickstart`.
fn verify(form: &Credentials) -> Option<Account> {
    let is_ada = (&*form.email, &*form.password) == ("ada@example.com", "correct horse");
    is_ada.then(|| Account { id: 1, email: form.email.clone(), is_admin: false })
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    web::Html::new(match user {
        Some(user) => format!("Logged in as user {}.", user.id),
        None => "<form method=post action=/login>\
            <input name=email value=ada@example.com> <input name=password value='correct horse'>\
            <button>Log in</button></form>"
            .to_owned(),
    })
}

#[post("/login")]
#[with_session]
async fn login(form: web::Form<Credentials>, locals: Locals) -> Result<impl Responder, Error> {
    let account = verify(&form).ok_or(Error::Unauthenticated)?;
    locals.log_in(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.email.clone()
}

#[get("/admin")]
#[require_user(check = Account::is_admin)]
async fn admin() -> &'static str {
    "All accounts"
}

/// All routes of the app, for `main` and for the tests.
fn routes(config: &mut web::ServiceConfig) {
    config.service((home, login, logout, me, admin));
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = SqlStore::sqlite("sqlite::memory:").await?;
    let create = "CREATE TABLE accounts \
        (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, is_admin BOOLEAN); \
        INSERT INTO accounts VALUES (1, 'ada@example.com', FALSE)";
    sqlx::raw_sql(create).execute(store.pool()).await?;
    store.migrate().await?;

    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Account>::builder(store).cookie(cookie).build()?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address}");
    let app = move || App::new().configure(auth.configure()).configure(routes);
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::test::{TestRequest, call_and_read_body, call_service, init_service};
    use locals::{store::MemoryStore, testing::*};

    use super::*;

    /// Builds the app and returns it with its `Auth` and its clock. (This is a macro because a
    /// function would have to name the type of Actix's service.)
    macro_rules! app {
        () => {{
            let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::from_millis(0)));
            store.insert_user(account(1, false));
            store.insert_user(account(2, true));
            let auth = Auth::builder(store).clock(clock.clone()).build().unwrap();
            let app = App::new().configure(auth.configure()).configure(routes);
            (init_service(app).await, auth, clock)
        }};
    }

    fn account(id: i64, is_admin: bool) -> Account {
        Account { id, email: "ada@example.com".to_owned(), is_admin }
    }

    /// Three lines: create a session, build a request with it, check the response.
    #[actix_web::test]
    async fn a_user_sees_their_own_email_address() {
        let (app, auth, _) = app!();
        let session = auth.test_session(&account(1, false)).await;
        let request = TestRequest::get().uri("/me").logged_in(&session).to_request();
        assert_eq!(call_and_read_body(&app, request).await, "ada@example.com");
    }

    #[actix_web::test]
    async fn only_an_admin_sees_all_accounts() {
        let (app, auth, _) = app!();
        for (user, status) in [(account(1, false), 403), (account(2, true), 200)] {
            let session = auth.test_session(&user).await;
            let request = TestRequest::get().uri("/admin").logged_in(&session).to_request();
            assert_eq!(call_service(&app, request).await.status(), status);
        }
    }

    /// A `Jar` keeps cookies like a browser. This test uses the app's own login and logout.
    #[actix_web::test]
    async fn a_user_is_logged_in_until_they_log_out() {
        let (app, _, _) = app!();
        let mut jar = Jar::new();
        let form = [("email", "ada@example.com"), ("password", "correct horse")];
        let steps = [
            (TestRequest::get().uri("/me"), 401),
            (TestRequest::post().uri("/login").set_form(form), 303),
            (TestRequest::get().uri("/me"), 200),
            (TestRequest::post().uri("/logout"), 303),
            (TestRequest::get().uri("/me"), 401),
        ];
        for (request, status) in steps {
            let response = call_service(&app, request.cookies_of(&jar).to_request()).await;
            assert_eq!(response.status(), status);
            jar.keep(&response);
        }
    }

    /// The test moves the clock, so it does not have to wait.
    #[actix_web::test]
    async fn a_session_without_requests_expires_after_fifteen_days() {
        let (app, auth, clock) = app!();
        let session = auth.test_session(&account(1, false)).await;
        for (days, status) in [(14, 200), (15, 401)] {
            clock.advance(Duration::from_hours(days * 24));
            let request = TestRequest::get().uri("/me").logged_in(&session).to_request();
            assert_eq!(call_service(&app, request).await.status(), status);
        }
    }

    /// Sends requests to the whole app as an attacker and as a cache would.
    #[actix_web::test]
    async fn the_app_passes_the_hygiene_checks() {
        let (app, auth, _) = app!();
        let credentials = [("email", "ada@example.com"), ("password", "correct horse")];
        let hygiene = Hygiene {
            log_in: Probe::post("/login").form(credentials),
            log_out: Probe::post("/logout"),
            protected: Probe::get("/me"),
            ..Hygiene::of(&auth)
        };
        assert_hygiene(&app, hygiene).await;
    }
}
