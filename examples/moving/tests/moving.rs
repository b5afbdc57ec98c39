//! Browsers that were logged in with the old app arrive at the new one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

use std::{
    collections::HashMap,
    rc::Rc,
    sync::{Arc, Mutex},
};

use actix_identity::{Identity, IdentityMiddleware};
use actix_session::{
    SessionMiddleware,
    storage::{
        CookieSessionStore, LoadError, SaveError, SessionKey, SessionStore, UpdateError,
        generate_session_key,
    },
};
use actix_web::{
    App, HttpMessage, HttpRequest,
    cookie::{Cookie, Key, time::Duration},
    http::{StatusCode, header::SET_COOKIE},
    post,
    test::{TestRequest, call_service, init_service, read_body},
};
use locals::{
    Auth,
    store::SqlStore,
    testing::{Jar, TestRequestExt},
};
use moving::Account;
use sqlx::SqlitePool;
use tempfile::TempDir;

/// A store of old sessions on the server, as one in Redis is.
#[derive(Clone, Default)]
struct ServerStore(Arc<Mutex<HashMap<String, HashMap<String, String>>>>);

impl SessionStore for ServerStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<HashMap<String, String>>, LoadError> {
        Ok(self.0.lock().unwrap().get(key.as_ref()).cloned())
    }

    async fn save(
        &self,
        state: HashMap<String, String>,
        _ttl: &Duration,
    ) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        self.0.lock().unwrap().insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        state: HashMap<String, String>,
        _ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.0.lock().unwrap().insert(key.as_ref().to_owned(), state);
        Ok(key)
    }

    async fn update_ttl(&self, _key: &SessionKey, _ttl: &Duration) -> anyhow::Result<()> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.0.lock().unwrap().remove(key.as_ref());
        Ok(())
    }
}

/// The database of both apps, and the key of the old cookies.
struct Fixture {
    auth: Auth<Account>,
    database: SqlitePool,
    key: Key,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("app.db");
        let store = SqlStore::sqlite(file.to_str().unwrap()).await.unwrap();
        let database = store.pool().clone();
        let create = "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL, \
            is_moved BOOLEAN NOT NULL DEFAULT FALSE); \
            INSERT INTO accounts (id, email) VALUES (1, 'ada@example.com'), (2, 'bob@example.com')";
        sqlx::raw_sql(create).execute(&database).await.unwrap();
        store.migrate().await.unwrap();
        let auth = Auth::builder(store).build().unwrap();
        Self { auth, database, key: Key::generate(), _directory: directory }
    }

    async fn rows(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM user_sessions");
        count.fetch_one(&self.database).await.unwrap()
    }

    /// A browser that has logged in with the old app, as user 1, with three things in its cart.
    async fn old_browser<S: SessionStore + 'static>(&self, store: S) -> Jar {
        let app = App::new()
            .service(old_login)
            .wrap(IdentityMiddleware::default())
            .wrap(SessionMiddleware::new(store, self.key.clone()));
        let app = init_service(app).await;
        let response = call_service(&app, TestRequest::post().uri("/login").to_request()).await;
        let mut browser = Jar::new();
        browser.keep(&response);
        assert_eq!(has(&browser), (true, false));
        browser
    }
}

#[post("/login")]
async fn old_login(request: HttpRequest, session: actix_session::Session) -> &'static str {
    Identity::login(&request.extensions(), "1".to_owned()).unwrap();
    session.insert("cart", [1, 2, 3]).unwrap();
    "Logged in"
}

/// Whether a browser has the old cookie, and whether it has the new one.
fn has(browser: &Jar) -> (bool, bool) {
    (browser.get(OLD).is_some(), browser.get(NEW).is_some())
}

const OLD: &str = "id";
const NEW: &str = "__Host-session";

/// The new app, over one store of old sessions.
macro_rules! new_app {
    ($fixture:expr, $store:expr) => {{
        let old = SessionMiddleware::new($store, $fixture.key.clone());
        init_service(moving::app(&$fixture.auth, &$fixture.database, old)).await
    }};
}

/// What a browser is answered, which keeps the cookies.
macro_rules! ask {
    ($app:expr, $browser:expr, $request:expr) => {{
        let response = call_service(&$app, $request.cookies_of(&$browser).to_request()).await;
        $browser.keep(&response);
        let status = response.status();
        (status, String::from_utf8(read_body(response).await.to_vec()).unwrap())
    }};
}

fn get() -> TestRequest {
    TestRequest::get().uri("/me")
}

fn post(path: &str) -> TestRequest {
    TestRequest::post().uri(path)
}

fn ada() -> (StatusCode, String) {
    (StatusCode::OK, "ada@example.com [1, 2, 3]".to_owned())
}

#[actix_web::test]
async fn an_old_session_is_one_of_ours_in_the_same_request_and_gone_with_the_next() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let mut browser = fixture.old_browser(store.clone()).await;
    let before = browser.clone();

    assert_eq!(ask!(app, browser, get()), ada());
    assert_eq!(has(&browser), (true, true));
    assert_eq!(ask!(app, browser, get()), ada());
    assert_eq!(has(&browser), (false, true));
    assert!(store.0.lock().unwrap().is_empty());
    assert_eq!((ask!(app, browser, get()), fixture.rows().await), (ada(), 1));

    let mut thief = before;
    assert_eq!(ask!(app, thief, get()).0, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn it_is_no_recent_log_in_and_ends_with_the_browser_as_before() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let browser = fixture.old_browser(store).await;
    let response = call_service(&app, get().cookies_of(&browser).to_request()).await;
    let cookies = response.headers().get_all(SET_COOKIE).map(|cookie| cookie.to_str().unwrap());
    let ours: Vec<_> = cookies.filter(|cookie| cookie.starts_with(NEW)).collect();
    assert!(matches!(ours[..], [cookie] if !cookie.contains("Max-Age")), "{ours:?}");
    let sessions = fixture.auth.user_sessions(1).await.unwrap();
    let proved: Vec<_> = sessions.iter().map(|info| info.authenticated_at.as_millis()).collect();
    assert_eq!(proved, [0]);
}

#[actix_web::test]
async fn a_fetch_that_changes_something_is_served_too() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let mut browser = fixture.old_browser(store).await;
    assert_eq!(ask!(app, browser, post("/add/4")), (StatusCode::OK, "Added".to_owned()));
    assert_eq!(ask!(app, browser, get()).1, "ada@example.com [1, 2, 3, 4]");
}

#[actix_web::test]
async fn requests_at_once_all_succeed_and_nobody_is_logged_out() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = Rc::new(new_app!(fixture, store.clone()));
    let browser = fixture.old_browser(store).await;
    let requests = (0..5).map(|_| call_service(&*app, get().cookies_of(&browser).to_request()));
    let responses = futures_util::future::join_all(requests).await;
    assert_eq!(fixture.rows().await, 5, "one for each of them, and no more");
    for response in responses {
        // Whichever answer arrives last, its cookie is good.
        let mut browser = browser.clone();
        browser.keep(&response);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(ask!(*app, browser, get()), ada());
    }
}

#[actix_web::test]
async fn an_answer_that_is_lost_signs_nobody_out() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let browser = fixture.old_browser(store).await;
    for _ in 0..2 {
        let mut without_the_answer = browser.clone();
        assert_eq!(ask!(app, without_the_answer, get()), ada());
    }
}

#[actix_web::test]
async fn after_a_log_out_neither_cookie_logs_in_again() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    for ask_first in [true, false] {
        let mut browser = fixture.old_browser(store.clone()).await;
        let old = browser.clone();
        if ask_first {
            ask!(app, browser, get());
        }
        let both = browser.clone();
        assert_eq!(ask!(app, browser, post("/logout")).0, StatusCode::SEE_OTHER);
        assert_eq!(has(&browser), (false, false));
        for mut replayed in [browser, old, both] {
            assert_eq!(ask!(app, replayed, get()).0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(fixture.rows().await, 0);
    }
}

#[actix_web::test]
async fn after_a_log_out_everywhere_no_old_session_of_the_user_counts() {
    let fixture = Fixture::new().await;
    let server = ServerStore::default();
    let on_server = new_app!(fixture, server.clone());
    let in_cookies = new_app!(fixture, CookieSessionStore::default());
    let mut elsewhere = fixture.old_browser(server.clone()).await;
    let mut browser = fixture.old_browser(CookieSessionStore::default()).await;
    let mut replayed = browser.clone();

    assert_eq!(ask!(in_cookies, browser, get()), ada());
    assert_eq!(ask!(in_cookies, browser, post("/logout-everywhere")).0, StatusCode::SEE_OTHER);
    assert_eq!(ask!(in_cookies, replayed, get()).0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask!(on_server, elsewhere, get()).0, StatusCode::UNAUTHORIZED);
    assert!(server.0.lock().unwrap().is_empty(), "what opens nothing is not kept");
    assert_eq!(has(&elsewhere), (false, false));
}

/// As the page says: nothing revokes what a browser holds, but the account.
#[actix_web::test]
async fn a_stolen_copy_of_an_old_session_that_is_a_cookie_outlives_a_log_out_of_one_device() {
    let fixture = Fixture::new().await;
    let app = new_app!(fixture, CookieSessionStore::default());
    let mut browser = fixture.old_browser(CookieSessionStore::default()).await;
    let mut stolen = browser.clone();
    assert_eq!(ask!(app, browser, post("/logout")).0, StatusCode::SEE_OTHER);
    assert_eq!(has(&browser), (false, false));
    assert_eq!(ask!(app, browser, get()).0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask!(app, stolen, get()), ada());
}

#[actix_web::test]
async fn strangers_stay_strangers_and_leave_nothing() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    for request in [get(), get().cookie(Cookie::new(OLD, "forged"))] {
        let mut browser = Jar::new();
        assert_eq!(ask!(app, browser, request).0, StatusCode::UNAUTHORIZED);
        assert_eq!(has(&browser), (false, false));
    }
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn the_old_session_of_a_user_who_is_gone_is_removed() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let mut browser = fixture.old_browser(store).await;
    sqlx::query("DELETE FROM accounts WHERE id = 1").execute(&fixture.database).await.unwrap();
    assert_eq!(ask!(app, browser, get()).0, StatusCode::UNAUTHORIZED);
    assert_eq!(has(&browser), (false, false));
}

#[actix_web::test]
async fn a_page_elsewhere_exchanges_nothing_by_a_post() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let browser = fixture.old_browser(store).await;
    let request = post("/add/4").cookies_of(&browser);
    let request = request.insert_header(("Sec-Fetch-Site", "cross-site"));
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!((response.headers().contains_key(SET_COOKIE), fixture.rows().await), (false, 0));
}

#[actix_web::test]
async fn no_cache_keeps_an_answer_of_the_exchange() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let mut browser = fixture.old_browser(store).await;
    for caching in ["no-store", "private, no-store"] {
        let response = call_service(&app, get().cookies_of(&browser).to_request()).await;
        browser.keep(&response);
        assert_eq!(response.headers().get("Cache-Control").unwrap(), caching);
        assert_eq!(response.headers().get("Vary").unwrap(), "Cookie");
    }
}
