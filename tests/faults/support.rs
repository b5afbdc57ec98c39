//! One app, on any of the databases.

use std::{collections::BTreeMap, future::Future, pin::Pin, rc::Rc, time::Duration};

use actix_web::{
    App,
    body::to_bytes,
    get,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE},
    },
    post,
    test::{TestRequest, call_service, init_service},
    web,
};
use locals::{
    Auth, AuthBuilder, AuthUser, Error, Locals, Session, StoreError, User, require_user,
    store::{Dialect, SqlStore},
    with_session,
};
use sqlx::{AssertSqlSafe, Connection, Pool, Transaction, pool::PoolOptions};
use tempfile::TempDir;
use tokio::time::timeout;

/// No response may take longer: the timeout for the database is 2 s, and the machine may be busy.
pub const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
pub struct Account {
    pub id: i64,
    pub name: String,
}

impl Account {
    pub fn numbered(id: i64) -> Self {
        Self { id, name: format!("name-{id}") }
    }
}

#[get("/public")]
#[with_session]
async fn public(session: Option<Session>) -> &'static str {
    if session.is_some() { "somebody" } else { "nobody" }
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.name.clone()
}

#[post("/login/{id}")]
#[with_session]
async fn login(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account::numbered(*id)).await?;
    Ok("in")
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

/// All handlers.
pub fn handlers(config: &mut web::ServiceConfig) {
    config.service((public, me, login, logout));
}

/// A running app, and requests to it.
#[derive(Clone)]
pub struct Client(Rc<dyn Fn(TestRequest) -> Answer>);

type Answer = Pin<Box<dyn Future<Output = Reply>>>;

impl Client {
    pub async fn of(auth: &Auth<Account>) -> Self {
        Self::with_handlers(auth, handlers).await
    }

    /// Of an app with handlers, and perhaps users, of its own.
    pub async fn with_handlers<T: AuthUser>(
        auth: &Auth<T>,
        handlers: fn(&mut web::ServiceConfig),
    ) -> Self {
        let app = App::new().configure(auth.configure()).configure(handlers);
        let service = Rc::new(init_service(app).await);
        Self(Rc::new(move |request| {
            let service = Rc::clone(&service);
            Box::pin(async move {
                let response = call_service(&*service, request.to_request()).await;
                let headers = response.headers();
                let text = |value: &actix_web::http::header::HeaderValue| {
                    value.to_str().unwrap().to_owned()
                };
                let set = headers.get_all(SET_COOKIE).map(text);
                let (status, cookies) = (response.status(), set.filter(|it| is_own(it)).collect());
                let (retry_after, cache_control) =
                    (headers.get(RETRY_AFTER).map(text), headers.get(CACHE_CONTROL).map(text));
                let body = to_bytes(response.into_body()).await.ok().unwrap();
                let body = String::from_utf8(body.to_vec()).unwrap();
                Reply { status, cookies, retry_after, cache_control, body }
            })
        }))
    }

    /// An answer, in time.
    pub async fn send(&self, request: TestRequest) -> Reply {
        timeout(TIMEOUT, (self.0)(request)).await.expect("an answer in time")
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(carrying(TestRequest::get().uri(path), token)).await
    }

    pub async fn me(&self, token: &str) -> Reply {
        self.get("/me", token).await
    }

    /// Logs in, presenting a token unless it is empty.
    pub async fn login(&self, id: i64, token: &str) -> Reply {
        let request = TestRequest::post().uri(&format!("/login/{id}"));
        self.send(carrying(request, token)).await
    }

    pub async fn logout(&self, token: &str) -> Reply {
        self.send(carrying(TestRequest::post().uri("/logout"), token)).await
    }

    /// The token of a new session.
    pub async fn token(&self, id: i64) -> String {
        self.login(id, "").await.token()
    }
}

fn carrying(request: TestRequest, token: &str) -> TestRequest {
    let request = request.insert_header(("Sec-Fetch-Site", "same-origin"));
    if token.is_empty() {
        return request;
    }
    request.insert_header(("Cookie", format!("__Host-session={token}")))
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub cookies: Vec<String>,
    pub retry_after: Option<String>,
    pub cache_control: Option<String>,
    pub body: String,
}

/// Whether a `Set-Cookie` is of the scope that these apps have, and no removal in another one.
fn is_own(set: &str) -> bool {
    !set.contains("Partitioned")
}

impl Reply {
    pub fn is_ok(&self) -> bool {
        self.status == StatusCode::OK
    }

    /// Whether it is 503; it must then be all that 503 has to be.
    pub fn is_unavailable(&self) -> bool {
        if self.status != StatusCode::SERVICE_UNAVAILABLE {
            return false;
        }
        assert!(self.cookies.is_empty(), "a cookie is touched: {self:?}");
        assert_eq!(self.retry_after.as_deref(), Some("1"));
        assert_eq!(self.cache_control.as_deref(), Some("no-store"));
        assert_eq!(self.body, problem(503, "unavailable", "Temporarily unavailable"));
        true
    }

    /// The token that it sets.
    pub fn token(&self) -> String {
        assert_eq!((self.status, self.cookies.len()), (StatusCode::OK, 1), "{self:?}");
        let value = self.cookies[0].strip_prefix("__Host-session=").unwrap();
        value.split(';').next().unwrap().to_owned()
    }

    /// Whether it takes the cookie away.
    pub fn removes_the_cookie(&self) -> bool {
        self.cookies.iter().any(|cookie| cookie.starts_with("__Host-session=;"))
    }
}

/// A database, with what its driver's bounds keep generic tests from writing themselves.
pub trait Engine: Dialect {
    /// What keeps the database there.
    type Place;

    /// An empty database, and its address.
    fn place() -> impl Future<Output = (Self::Place, String)>;

    /// By the library's own constructor.
    fn open(url: &str) -> impl Future<Output = SqlStore<Self, Account>>;

    fn builder(store: SqlStore<Self, Account>) -> AuthBuilder<Account>;

    fn run_on(
        connection: &mut Self::Connection,
        sql: &str,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// The one integer that a query gives.
    fn number(pool: &Pool<Self>, sql: &str) -> impl Future<Output = i64>;
}

macro_rules! engine {
    ($database:ty, $place:ty, $open:ident, $make:expr) => {
        impl Engine for $database {
            type Place = $place;

            async fn place() -> ($place, String) {
                $make.await
            }

            async fn open(url: &str) -> SqlStore<Self, Account> {
                SqlStore::$open(url).await.unwrap()
            }

            fn builder(store: SqlStore<Self, Account>) -> AuthBuilder<Account> {
                Auth::builder(store)
            }

            async fn run_on(connection: &mut Self::Connection, sql: &str) -> sqlx::Result<()> {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
            }

            async fn number(pool: &Pool<Self>, sql: &str) -> i64 {
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await.unwrap()
            }
        }
    };
}

engine!(sqlx::Sqlite, TempDir, sqlite, async {
    let directory = TempDir::new().unwrap();
    let url = directory.path().join("app.db").display().to_string();
    (directory, url)
});

#[cfg(feature = "postgres")]
engine!(sqlx::Postgres, crate::servers::TestDatabase<Self>, postgres, async {
    let database = crate::servers::TestDatabase::new().await;
    let url = database.url();
    (database, url)
});

#[cfg(feature = "mysql")]
engine!(sqlx::MySql, crate::servers::TestDatabase<Self>, mysql, async {
    let database = crate::servers::TestDatabase::new().await;
    let url = database.url();
    (database, url)
});

/// An app on a database of its own, with accounts 1 to 9.
pub struct Fixture<E: Engine> {
    pub client: Client,
    pub auth: Auth<Account>,
    pub store: SqlStore<E, Account>,
    pub url: String,
    // Last, so that it goes last.
    _place: E::Place,
}

impl<E: Engine> Fixture<E> {
    pub async fn new() -> Self {
        let (place, url) = E::place().await;
        let store = E::open(&url).await;
        populate(&store).await;
        Self::with_store(place, url, store).await
    }

    pub async fn with_store(place: E::Place, url: String, store: SqlStore<E, Account>) -> Self {
        let auth = E::builder(store.clone()).build().unwrap();
        let client = Client::of(&auth).await;
        Self { client, auth, store, url, _place: place }
    }

    /// Waits until the pool has all its connections back but so many.
    pub async fn settle(&self, held: usize) {
        settle(self.store.pool(), held).await;
    }

    pub async fn sessions(&self) -> i64 {
        E::number(self.store.pool(), "SELECT COUNT(*) FROM user_sessions").await
    }
}

/// Waits until a pool has all its connections back but so many: it looks after each one in the
/// background when it is given back, and a cut is to meet something else.
pub async fn settle<E: Engine>(pool: &Pool<E>, held: usize) {
    for _ in 0..500 {
        let back = pool.num_idle();
        if back + held > 0 && u32::try_from(back + held) == Ok(pool.size()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("{} of {} connections are back", pool.num_idle(), pool.size());
}

/// Makes the accounts and the table of sessions.
pub async fn populate<E: Engine>(store: &SqlStore<E, Account>) {
    run(store, "CREATE TABLE accounts (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(99) NOT NULL)")
        .await;
    let rows = (1..10).map(|id| format!("({id}, 'name-{id}')")).collect::<Vec<_>>().join(", ");
    run(store, &format!("INSERT INTO accounts VALUES {rows}")).await;
    store.migrate().await.unwrap();
}

/// Runs statements that the app itself would run.
pub async fn run<E: Engine>(store: &SqlStore<E, Account>, sql: &str) {
    let mut connection = store.pool().acquire().await.unwrap();
    E::run_on(&mut connection, sql).await.unwrap_or_else(|error| panic!("{error} in: {sql}"));
}

/// A pool of the app's own, each connection of which begins with these statements.
pub async fn pool_of<E: Engine>(url: &str, size: u32, sql: &'static str) -> Pool<E> {
    let options = PoolOptions::<E>::new().max_connections(size).acquire_timeout(TIMEOUT);
    let options = options.after_connect(move |connection, _| {
        Box::pin(async move {
            // MariaDB takes no empty statement.
            if sql.is_empty() { Ok(()) } else { E::run_on(connection, sql).await }
        })
    });
    options.connect(url).await.unwrap()
}

/// A connection beside the pools.
pub async fn connect<E: Engine>(url: &str) -> E::Connection {
    E::Connection::connect(url).await.unwrap()
}

/// All that an error says, with its causes.
pub fn said(error: &StoreError) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// What a store is refused for: a sentence that says what to do.
pub fn refusal<R>(refused: Result<R, StoreError>) -> String {
    match refused {
        Err(StoreError::Schema(refusal)) => refusal,
        Err(error) => panic!("it fails, and does not say what to do: {}", said(&error)),
        Ok(_) => panic!("it is not refused"),
    }
}

/// How often each of these is there.
pub fn counted(all: Vec<String>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for one in all {
        *counted.entry(one).or_default() += 1;
    }
    counted
}

/// A transaction as a generic test begins it.
pub async fn begin<E: Engine>(store: &SqlStore<E, Account>) -> Transaction<'static, E> {
    store.pool().begin().await.unwrap()
}

/// Makes tests of generic ones, for each database that is enabled.
#[macro_export]
macro_rules! tests_on {
    (all: $tests:tt) => {
        $crate::tests_on!(@ sqlite Sqlite $tests);
        $crate::tests_on!(servers: $tests);
    };
    (servers: $tests:tt) => {
        #[cfg(feature = "postgres")]
        $crate::tests_on!(@ postgres Postgres $tests);
        #[cfg(feature = "mysql")]
        $crate::tests_on!(@ mysql MySql $tests);
    };
    (@ $module:ident $database:ident [$($test:ident),+ $(,)?]) => {
        mod $module {
            $(
                #[actix_web::test]
                async fn $test() {
                    super::$test::<sqlx::$database>().await;
                }
            )+
        }
    };
}

/// The body of an error: a problem of RFC 9457, and nothing of the cause.
pub fn problem(status: u16, code: &str, title: &str) -> String {
    format!(r#"{{"type":"about:blank","status":{status},"code":"{code}","title":"{title}"}}"#)
}
