//! Browsers that have logged in with the old app use the new one.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

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

/// A store that keeps the old sessions on the server, like one in Redis.
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

    /// A browser that has logged in with the old app as user 1 and has three items in its cart.
    async fn old_browser<S: SessionStore + 'static>(&self, store: S) -> Jar {
        let app = App::new()
            .service(old_login)
            .wrap(IdentityMiddleware::default())
            .wrap(SessionMiddleware::new(store, self.key.clone()));
        let app = init_service(app).await;
        let response = call_service(&app, TestRequest::post().uri("/login").to_request()).await;
        let mut browser = Jar::new();
        browser.keep(&response);
        assert_eq!(cookies(&browser), (true, false));
        browser
    }
}

#[post("/login")]
async fn old_login(request: HttpRequest, session: actix_session::Session) -> &'static str {
    Identity::login(&request.extensions(), "1".to_owned()).unwrap();
    session.insert("cart", [1, 2, 3]).unwrap();
    "Logged in"
}

/// Whether the browser has the old cookie, and whether it has the new one.
fn cookies(browser: &Jar) -> (bool, bool) {
    (browser.get(OLD).is_some(), browser.get(NEW).is_some())
}

const OLD: &str = "id";
const NEW: &str = "__Host-session";

/// The new app, with this store of old sessions.
macro_rules! new_app {
    ($fixture:expr, $store:expr) => {{
        let old = SessionMiddleware::new($store, $fixture.key.clone());
        init_service(moving::app(&$fixture.auth, &$fixture.database, old)).await
    }};
}

/// Sends a request of a browser, which keeps the cookies, and returns the status and the body.
macro_rules! send {
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
async fn an_old_session_is_replaced_in_the_same_request_and_ended_by_the_next() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let mut browser = fixture.old_browser(store.clone()).await;
    let before = browser.clone();

    assert_eq!(send!(app, browser, get()), ada());
    assert_eq!(cookies(&browser), (true, true));
    assert_eq!(send!(app, browser, get()), ada());
    assert_eq!(cookies(&browser), (false, true));
    assert!(store.0.lock().unwrap().is_empty());
    assert_eq!((send!(app, browser, get()), fixture.rows().await), (ada(), 1));

    let mut thief = before;
    assert_eq!(send!(app, thief, get()).0, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn the_new_session_is_not_a_recent_login_and_its_cookie_does_not_persist() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let browser = fixture.old_browser(store).await;
    let response = call_service(&app, get().cookies_of(&browser).to_request()).await;
    let cookies = response.headers().get_all(SET_COOKIE).map(|cookie| cookie.to_str().unwrap());
    let new: Vec<_> = cookies.filter(|cookie| cookie.starts_with(NEW)).collect();
    assert!(matches!(new[..], [cookie] if !cookie.contains("Max-Age")), "{new:?}");
    let sessions = fixture.auth.user_sessions(1).await.unwrap();
    let times: Vec<_> = sessions.iter().map(|info| info.authenticated_at.as_millis()).collect();
    assert_eq!(times, [0]);
}

#[actix_web::test]
async fn a_post_is_handled_too() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let mut browser = fixture.old_browser(store).await;
    assert_eq!(send!(app, browser, post("/add/4")), (StatusCode::OK, "Added".to_owned()));
    assert_eq!(send!(app, browser, get()).1, "ada@example.com [1, 2, 3, 4]");
}

#[actix_web::test]
async fn simultaneous_requests_all_succeed_and_nobody_is_logged_out() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = Rc::new(new_app!(fixture, store.clone()));
    let browser = fixture.old_browser(store).await;
    let requests = (0..5).map(|_| call_service(&*app, get().cookies_of(&browser).to_request()));
    let responses = futures_util::future::join_all(requests).await;
    assert_eq!(fixture.rows().await, 5, "one for each request");
    for response in responses {
        // Whichever response arrives last, its cookie is valid.
        let mut browser = browser.clone();
        browser.keep(&response);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(send!(*app, browser, get()), ada());
    }
}

#[actix_web::test]
async fn a_lost_response_logs_nobody_out() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let browser = fixture.old_browser(store).await;
    for _ in 0..2 {
        let mut without_the_response = browser.clone();
        assert_eq!(send!(app, without_the_response, get()), ada());
    }
}

#[actix_web::test]
async fn after_logout_neither_cookie_is_valid() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    for request_first in [true, false] {
        let mut browser = fixture.old_browser(store.clone()).await;
        let old = browser.clone();
        if request_first {
            send!(app, browser, get());
        }
        let both = browser.clone();
        assert_eq!(send!(app, browser, post("/logout")).0, StatusCode::SEE_OTHER);
        assert_eq!(cookies(&browser), (false, false));
        for mut replayed in [browser, old, both] {
            assert_eq!(send!(app, replayed, get()).0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(fixture.rows().await, 0);
    }
}

#[actix_web::test]
async fn after_logout_everywhere_no_old_session_of_the_user_is_valid() {
    let fixture = Fixture::new().await;
    let server = ServerStore::default();
    let on_server = new_app!(fixture, server.clone());
    let in_cookies = new_app!(fixture, CookieSessionStore::default());
    let mut elsewhere = fixture.old_browser(server.clone()).await;
    let mut browser = fixture.old_browser(CookieSessionStore::default()).await;
    let mut replayed = browser.clone();

    assert_eq!(send!(in_cookies, browser, get()), ada());
    assert_eq!(send!(in_cookies, browser, post("/logout-everywhere")).0, StatusCode::SEE_OTHER);
    assert_eq!(send!(in_cookies, replayed, get()).0, StatusCode::UNAUTHORIZED);
    assert_eq!(send!(on_server, elsewhere, get()).0, StatusCode::UNAUTHORIZED);
    assert!(server.0.lock().unwrap().is_empty(), "sessions that are not valid are not kept");
    assert_eq!(cookies(&elsewhere), (false, false));
}

/// As `docs/moving.md` says: only the account can end a session that is stored in a cookie.
#[actix_web::test]
async fn a_stolen_cookie_with_an_old_session_outlives_a_logout_of_one_device() {
    let fixture = Fixture::new().await;
    let app = new_app!(fixture, CookieSessionStore::default());
    let mut browser = fixture.old_browser(CookieSessionStore::default()).await;
    let mut stolen = browser.clone();
    assert_eq!(send!(app, browser, post("/logout")).0, StatusCode::SEE_OTHER);
    assert_eq!(cookies(&browser), (false, false));
    assert_eq!(send!(app, browser, get()).0, StatusCode::UNAUTHORIZED);
    assert_eq!(send!(app, stolen, get()), ada());
}

#[actix_web::test]
async fn without_a_valid_old_session_nobody_is_logged_in() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    for request in [get(), get().cookie(Cookie::new(OLD, "forged"))] {
        let mut browser = Jar::new();
        assert_eq!(send!(app, browser, request).0, StatusCode::UNAUTHORIZED);
        assert_eq!(cookies(&browser), (false, false));
    }
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn the_old_session_of_a_deleted_user_is_ended() {
    let (fixture, store) = (Fixture::new().await, ServerStore::default());
    let app = new_app!(fixture, store.clone());
    let mut browser = fixture.old_browser(store).await;
    sqlx::query("DELETE FROM accounts WHERE id = 1").execute(&fixture.database).await.unwrap();
    assert_eq!(send!(app, browser, get()).0, StatusCode::UNAUTHORIZED);
    assert_eq!(cookies(&browser), (false, false));
}

#[actix_web::test]
async fn a_cross_site_post_does_not_replace_a_session() {
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
async fn the_response_with_the_new_cookie_is_not_cached() {
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
