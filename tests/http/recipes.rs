//! The recipes of the guide, as whole apps. Their code is that of the page.

use std::time::Duration;

use actix_web::{
    App, HttpResponse, get,
    http::{StatusCode, header::LOCATION},
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use futures_util::future::join_all;
use locals::{
    Auth, AuthUser, ManualClock, User, require_user,
    store::SqlStore,
    testing::{Jar, TestRequestExt, Timestamp},
    with_session,
};
use sqlx::{Sqlite, SqlitePool};
use tempfile::TempDir;

#[path = "../../examples/recipes/magic_link.rs"]
mod magic_link;
#[path = "../../examples/recipes/password.rs"]
mod password;
#[path = "../../examples/recipes/two_factors.rs"]
mod two_factors;

/// An app on a database of its own.
struct Fixture<T> {
    auth: Auth<T>,
    clock: ManualClock,
    database: SqlitePool,
    _directory: TempDir,
}

impl<T> Fixture<T>
where
    T: AuthUser + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Unpin,
    SqlStore<Sqlite, T>: locals::store::SessionUserStore<T>,
{
    async fn new(accounts: &'static str) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("app.db");
        let store = SqlStore::<_, T>::sqlite(file.to_str().unwrap()).await.unwrap();
        let database = store.pool().clone();
        sqlx::raw_sql(accounts).execute(&database).await.unwrap();
        store.migrate().await.unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let auth = Auth::builder(store).clock(clock.clone()).build().unwrap();
        Self { auth, clock, database, _directory: directory }
    }

    async fn rows(&self, table: &str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        sqlx::query_scalar(count).fetch_one(&self.database).await.unwrap()
    }
}

/// What a browser is answered; it keeps the cookies.
macro_rules! visit {
    ($app:expr, $browser:expr, $request:expr) => {{
        let response = call_service(&$app, $request.cookies_of(&$browser).to_request()).await;
        $browser.keep(&response);
        response
    }};
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

fn post(path: &str) -> TestRequest {
    TestRequest::post().uri(path)
}

mod by_link {
    use tokio::sync::mpsc;

    use super::{
        magic_link::{Account, Mail, routes},
        *,
    };

    const ACCOUNTS: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL); \
        INSERT INTO accounts VALUES (1, 'ada@example.com')";

    #[get("/me")]
    #[require_user]
    async fn me(_user: User<Account>) -> &'static str {
        "logged in"
    }

    macro_rules! app {
        ($fixture:expr, $outbox:expr) => {
            init_service(
                App::new()
                    .configure($fixture.auth.configure())
                    .app_data(web::Data::new($fixture.database.clone()))
                    .app_data(web::Data::new($outbox))
                    .configure(routes)
                    .service(me),
            )
            .await
        };
    }

    async fn fixture() -> (Fixture<Account>, mpsc::Sender<Mail>, mpsc::Receiver<Mail>) {
        let (outbox, mails) = mpsc::channel(8);
        (Fixture::new(ACCOUNTS).await, outbox, mails)
    }

    fn asking(email: &str) -> TestRequest {
        post("/login/link").set_form([("email", email)])
    }

    #[actix_web::test]
    async fn a_link_logs_in_once_and_only_in_the_browser_that_requested_it() {
        let (fixture, outbox, mut mails) = fixture().await;
        let app = app!(fixture, outbox);
        let mut browser = Jar::new();
        assert_eq!(visit!(app, browser, asking("ada@example.com")).status(), StatusCode::OK);
        let mail = mails.try_recv().unwrap();
        assert_eq!(mail.to, "ada@example.com");
        assert_eq!(visit!(app, browser, get("/me")).status(), StatusCode::UNAUTHORIZED);

        let mut elsewhere = Jar::new();
        let refused = visit!(app, elsewhere, post(&mail.path));
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(elsewhere.get("__Host-session-guest").is_none(), "and leaves nothing");

        let mut copy = browser.clone();
        assert_eq!(visit!(app, browser, post(&mail.path)).status(), StatusCode::SEE_OTHER);
        assert_eq!(read_body(visit!(app, browser, get("/me"))).await, "logged in");
        assert_eq!(visit!(app, copy, post(&mail.path)).status(), StatusCode::FORBIDDEN);
    }

    #[actix_web::test]
    async fn opening_the_link_without_confirming_changes_nothing() {
        let (fixture, outbox, mut mails) = fixture().await;
        let app = app!(fixture, outbox);
        let mut browser = Jar::new();
        visit!(app, browser, asking("ada@example.com"));
        let mail = mails.try_recv().unwrap();
        for mut visitor in [Jar::new(), browser.clone()] {
            let page = visit!(app, visitor, get(&mail.path));
            assert_eq!(page.headers().get("Cache-Control").unwrap(), "no-store");
            assert_eq!(page.headers().get("Referrer-Policy").unwrap(), "same-origin");
            assert!(!page.headers().contains_key("Set-Cookie"));
            assert!(!String::from_utf8(read_body(page).await.to_vec()).unwrap().contains("token"));
        }
        assert_eq!(fixture.rows("user_sessions").await, 0);
        assert_eq!(visit!(app, browser, post(&mail.path)).status(), StatusCode::SEE_OTHER);
    }

    #[actix_web::test]
    async fn one_of_several_simultaneous_requests_with_one_link_logs_in() {
        let (fixture, outbox, mut mails) = fixture().await;
        let app = app!(fixture, outbox);
        let mut browser = Jar::new();
        visit!(app, browser, asking("ada@example.com"));
        let mail = mails.try_recv().unwrap();
        let request = || call_service(&app, post(&mail.path).cookies_of(&browser).to_request());
        let responses = join_all((0..5).map(|_| request())).await;
        let logged_in = responses.iter().filter(|it| it.status() == StatusCode::SEE_OTHER);
        assert_eq!((logged_in.count(), fixture.rows("user_sessions").await), (1, 1));
    }

    #[actix_web::test]
    async fn a_link_expires_after_15_minutes_and_when_another_is_requested() {
        let (fixture, outbox, mut mails) = fixture().await;
        let app = app!(fixture, outbox);
        let mut browser = Jar::new();
        for (minutes, status) in [(15, StatusCode::FORBIDDEN), (14, StatusCode::SEE_OTHER)] {
            visit!(app, browser, asking("ada@example.com"));
            fixture.clock.advance(Duration::from_mins(minutes));
            let mail = mails.try_recv().unwrap();
            assert_eq!(
                visit!(app, browser, post(&mail.path)).status(),
                status,
                "{minutes} minutes"
            );
        }
        let mut browser = Jar::new();
        for _ in 0..2 {
            visit!(app, browser, asking("ada@example.com"));
        }
        let (first, second) = (mails.try_recv().unwrap(), mails.try_recv().unwrap());
        assert_eq!(visit!(app, browser, post(&first.path)).status(), StatusCode::FORBIDDEN);
        assert_eq!(visit!(app, browser, post(&second.path)).status(), StatusCode::SEE_OTHER);
    }

    #[actix_web::test]
    async fn an_unknown_address_gets_the_same_response_as_a_known_one() {
        let (fixture, outbox, mut mails) = fixture().await;
        let app = app!(fixture, outbox);
        let mut answers = Vec::new();
        for email in ["ada@example.com", "nobody@example.com"] {
            let mut browser = Jar::new();
            let response = visit!(app, browser, asking(email));
            let names: Vec<_> = response.headers().keys().cloned().collect();
            let token = browser.get("__Host-session-guest").unwrap().len();
            answers.push((response.status(), names, token, read_body(response).await));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(mails.try_recv().unwrap().to, "ada@example.com");
        assert!(mails.try_recv().is_err());
    }

    #[actix_web::test]
    async fn the_database_does_not_hold_the_token() {
        let (fixture, outbox, mut mails) = fixture().await;
        let app = app!(fixture, outbox);
        let mut browser = Jar::new();
        visit!(app, browser, asking("ada@example.com"));
        let mail = mails.try_recv().unwrap();
        let (_, token) = mail.path.split_once("token=").unwrap();
        let data: String = sqlx::query_scalar("SELECT data FROM guest_sessions")
            .fetch_one(&fixture.database)
            .await
            .unwrap();
        assert!(token.len() == 43 && !data.contains(token), "{data}");
    }
}

mod by_two_factors {
    use actix_web::dev::ServiceResponse;
    use totp_rs::Builder;

    use super::{
        two_factors::{Account, routes},
        *,
    };

    const SECRET: [u8; 20] = *b"twenty bytes, random";
    const PASSWORD: &str = "correct horse";

    #[get("/me")]
    #[require_user]
    async fn me(_user: User<Account>) -> &'static str {
        "logged in"
    }

    #[get("/who")]
    #[with_session]
    async fn who(user: Option<User<Account>>) -> &'static str {
        if user.is_some() { "a user" } else { "nobody" }
    }

    async fn plain() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    macro_rules! app {
        ($fixture:expr) => {
            init_service(
                App::new()
                    .configure($fixture.auth.configure())
                    .app_data(web::Data::new($fixture.database.clone()))
                    .configure(routes)
                    .service((me, who))
                    .service(
                        web::scope("/in")
                            .wrap($fixture.auth.require_user())
                            .route("/plain", web::get().to(plain)),
                    ),
            )
            .await
        };
    }

    async fn fixture() -> Fixture<Account> {
        let fixture = Fixture::new(
            "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, \
            password_hash TEXT NOT NULL, totp_secret BLOB NOT NULL, totp_step INTEGER NOT NULL)",
        )
        .await;
        sqlx::query("INSERT INTO accounts VALUES (1, 'ada@example.com', ?, ?, 0)")
            .bind(password_auth::generate_hash(PASSWORD))
            .bind(SECRET.as_slice())
            .execute(&fixture.database)
            .await
            .unwrap();
        fixture
    }

    fn with_password(password: &str) -> TestRequest {
        post("/login").set_form([("email", "ada@example.com"), ("password", password)])
    }

    fn with_code(code: &str) -> TestRequest {
        post("/login/code?next=%2Finbox").set_form([("code", code)])
    }

    /// What the app of the user shows now.
    fn code(fixture: &Fixture<Account>) -> String {
        let codes = Builder::new().with_secret(SECRET).build().unwrap();
        let seconds = fixture.auth.now().as_millis() / 1000;
        codes.generate(u64::try_from(seconds).unwrap()).to_string()
    }

    fn wrong(code: &str) -> String {
        let turned = |digit: char| char::from_digit((digit.to_digit(10).unwrap() + 5) % 10, 10);
        code.chars().map(|digit| turned(digit).unwrap()).collect()
    }

    fn leads_to<B>(response: &ServiceResponse<B>, page: &str) {
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers().get(LOCATION).unwrap(), page);
    }

    /// That a browser is nobody to every handler.
    macro_rules! is_nobody {
        ($app:expr, $browser:expr) => {
            for path in ["/me", "/in/plain"] {
                let status = visit!($app, $browser, get(path)).status();
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
            }
            assert_eq!(read_body(visit!($app, $browser, get("/who"))).await, "nobody");
            assert!($browser.get("__Host-session").is_none());
        };
    }

    #[actix_web::test]
    async fn a_browser_is_logged_in_only_after_both_factors() {
        let fixture = fixture().await;
        let app = app!(fixture);
        let mut browser = Jar::new();
        let refused = visit!(app, browser, with_password("wrong")).status();
        assert_eq!(refused, StatusCode::UNAUTHORIZED);
        leads_to(&visit!(app, browser, with_code(&code(&fixture))), "/login");

        leads_to(&visit!(app, browser, with_password(PASSWORD)), "/login/code");
        is_nobody!(app, browser);
        assert_eq!(fixture.rows("user_sessions").await, 0);

        let wrong = visit!(app, browser, with_code(&wrong(&code(&fixture)))).status();
        assert_eq!(wrong, StatusCode::UNAUTHORIZED);
        is_nobody!(app, browser);
        leads_to(&visit!(app, browser, with_code(&code(&fixture))), "/inbox");
        assert_eq!(read_body(visit!(app, browser, get("/me"))).await, "logged in");
        assert_eq!(read_body(visit!(app, browser, get("/who"))).await, "a user");
    }

    #[actix_web::test]
    async fn a_pending_login_allows_five_codes_even_in_simultaneous_requests() {
        let fixture = fixture().await;
        let app = app!(fixture);
        let mut browser = Jar::new();
        visit!(app, browser, with_password(PASSWORD));
        let wrong = wrong(&code(&fixture));
        let request = || call_service(&app, with_code(&wrong).cookies_of(&browser).to_request());
        let responses = join_all((0..9).map(|_| request())).await;
        let looked_at = responses.iter().filter(|it| it.status() == StatusCode::UNAUTHORIZED);
        assert_eq!(looked_at.count(), 5, "the others must begin again");

        leads_to(&visit!(app, browser, with_code(&code(&fixture))), "/login");
        is_nobody!(app, browser);
        visit!(app, browser, with_password(PASSWORD));
        leads_to(&visit!(app, browser, with_code(&code(&fixture))), "/inbox");
    }

    #[actix_web::test]
    async fn a_pending_login_expires_after_five_minutes() {
        let fixture = fixture().await;
        let app = app!(fixture);
        for (minutes, page) in [(4, "/inbox"), (5, "/login")] {
            let mut browser = Jar::new();
            visit!(app, browser, with_password(PASSWORD));
            fixture.clock.advance(Duration::from_mins(minutes));
            leads_to(&visit!(app, browser, with_code(&code(&fixture))), page);
        }
        assert_eq!(fixture.rows("user_sessions").await, 1);
    }

    #[actix_web::test]
    async fn a_login_ends_the_pending_login() {
        let fixture = fixture().await;
        let app = app!(fixture);
        let mut browser = Jar::new();
        visit!(app, browser, with_password(PASSWORD));
        let mut between = browser.clone();
        leads_to(&visit!(app, browser, with_code(&code(&fixture))), "/inbox");
        fixture.clock.advance(Duration::from_mins(1));
        leads_to(&visit!(app, between, with_code(&code(&fixture))), "/login");
        is_nobody!(app, between);
    }

    #[actix_web::test]
    async fn a_pending_login_belongs_to_one_browser() {
        let fixture = fixture().await;
        let app = app!(fixture);
        let (mut browser, mut elsewhere) = (Jar::new(), Jar::new());
        visit!(app, browser, with_password(PASSWORD));
        leads_to(&visit!(app, elsewhere, with_code(&code(&fixture))), "/login");
        is_nobody!(app, elsewhere);
        assert!(elsewhere.get("__Host-session-guest").is_none(), "and leaves nothing");
        leads_to(&visit!(app, browser, with_code(&code(&fixture))), "/inbox");
    }

    #[actix_web::test]
    async fn a_used_code_and_all_earlier_ones_are_refused() {
        let fixture = fixture().await;
        let app = app!(fixture);
        let (mut browser, mut again) = (Jar::new(), Jar::new());
        let earlier = code(&fixture);
        fixture.clock.advance(Duration::from_secs(30));
        let used = code(&fixture);
        visit!(app, browser, with_password(PASSWORD));
        leads_to(&visit!(app, browser, with_code(&used)), "/inbox");

        visit!(app, again, with_password(PASSWORD));
        for seen in [&used, &earlier] {
            let refused = visit!(app, again, with_code(seen)).status();
            assert_eq!(refused, StatusCode::UNAUTHORIZED);
        }
        is_nobody!(app, again);
        fixture.clock.advance(Duration::from_secs(30));
        leads_to(&visit!(app, again, with_code(&code(&fixture))), "/inbox");
    }

    #[actix_web::test]
    async fn an_unknown_user_gets_the_same_refusal_as_a_wrong_password() {
        let fixture = fixture().await;
        let app = app!(fixture);
        let mut answers = Vec::new();
        for (email, password) in [("ada@example.com", "wrong"), ("bob@example.com", PASSWORD)] {
            let mut browser = Jar::new();
            let form = [("email", email), ("password", password)];
            let response = visit!(app, browser, post("/login").set_form(form));
            assert!(!response.headers().contains_key("Set-Cookie"));
            answers.push((response.status(), read_body(response).await));
        }
        assert_eq!(answers[0], answers[1]);
    }
}

#[actix_web::test]
async fn a_password_is_valid_for_its_own_account_and_no_unknown_one() {
    let hash = password_auth::generate_hash("right");
    for (password, hash, expected) in [
        ("right", Some(hash.clone()), true),
        ("wrong", Some(hash), false),
        ("dummy password", None, false),
    ] {
        let is_correct = password::verify(password.to_owned(), hash).await;
        assert_eq!(is_correct.unwrap(), expected, "{password}");
    }
}
