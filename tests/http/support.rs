//! An app with an account, a clock that the test sets, and a store that counts calls and can fail.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    body::{MessageBody, to_bytes},
    dev::ServiceResponse,
    http::{
        StatusCode,
        header::{HeaderMap, SET_COOKIE},
    },
    test::TestRequest,
};
use futures_util::future::join;
use locals::{
    Auth, AuthBuilder, AuthUser, Clock, DataChange, GuestRecord, ManualClock, Renewal, Session,
    SessionId, SessionRecord, SessionTimes, StoreError, Timestamp, TokenChange, UserId,
    store::{Ends, SessionStore, SessionUserStore, SqlStore, StoreFuture},
};
use serde::{Deserialize, Serialize};
use sqlx::{Sqlite, SqlitePool};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::record;

pub const DAY: Duration = Duration::from_hours(24);
pub const HOUR: Duration = Duration::from_hours(1);
pub const MINUTE: Duration = Duration::from_mins(1);
/// The smallest step of the clock.
pub const TICK: Duration = Duration::from_millis(1);

/// The last millisecond of a time.
pub fn just_before(time: Duration) -> Duration {
    time.checked_sub(Duration::from_millis(1)).unwrap()
}

/// The user of all tests. The password stands for what must not leak.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts", session = Cart)]
pub struct Account {
    pub id: i64,
    pub name: String,
}

impl Account {
    /// The account with this id, as a login needs it.
    pub fn of(id: i64) -> Self {
        Self { id, name: String::new() }
    }
}

/// What is kept with the sessions of all tests, and of their guests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cart {
    pub items: Vec<u32>,
}

pub struct Fixture {
    pub auth: Auth<Account>,
    pub store: Spy,
    pub clock: ManualClock,
    /// Goes with the fixture.
    directory: TempDir,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        record::ended(self, self.directory.path());
    }
}

impl Fixture {
    pub async fn new() -> Self {
        Self::configured(|builder| builder).await
    }

    pub async fn configured(
        configure: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>,
    ) -> Self {
        record::begun();
        // A file, as in an app: a database in memory has one connection.
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("app.db");
        let store = SqlStore::<_, Account>::sqlite(file.to_str().unwrap()).await.unwrap();
        let accounts = "CREATE TABLE accounts \
            (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL)";
        sqlx::query(accounts).execute(store.pool()).await.unwrap();
        store.migrate().await.unwrap();
        // As the library opens it, with a longer timeout: a busy machine makes a test slow and is no fault.
        let pool = store.pool();
        let patient = pool.options().clone().acquire_timeout(Duration::from_mins(1));
        let database = (*pool.connect_options()).clone();
        let store = SqlStore::new(patient.connect_with(database).await.unwrap());
        let store = Spy { inner: store, counts: Arc::default() };
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let builder = Auth::builder(store.clone()).clock(clock.clone());
        let auth = configure(builder).build().unwrap();
        Self { auth, store, clock, directory }
    }

    pub fn pool(&self) -> &SqlitePool {
        self.store.inner.pool()
    }

    pub async fn account(&self, id: i64) -> Account {
        let account = Account { id, name: format!("name-{id}") };
        sqlx::query("INSERT INTO accounts (id, name) VALUES (?, ?)")
            .bind(id)
            .bind(&account.name)
            .execute(self.pool())
            .await
            .unwrap();
        account
    }

    /// A new session of a new account, and the counters back at zero.
    pub async fn session(&self, id: i64) -> Session {
        let account = self.account(id).await;
        let session = self.auth.create_session(&account).await.unwrap();
        record::issued(session.token().expose_secret());
        self.store.forget();
        session
    }

    pub async fn row(&self, session: &Session) -> Option<SessionRecord> {
        self.store.inner.find(session.id()).await.unwrap()
    }

    pub async fn rows(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT COUNT(*) FROM user_sessions");
        count.fetch_one(self.pool()).await.unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The `Cookie` header that presents a session.
pub fn cookie(session: &Session) -> (&'static str, String) {
    record::shown(&(session, session.token()));
    ("Cookie", format!("__Host-session={}", session.token().expose_secret()))
}

/// The `Cookie` header that presents the session that an answer has set.
pub fn as_set(reply: &Reply) -> (&'static str, String) {
    ("Cookie", format!("__Host-session={}", reply.session_cookie()))
}

/// A place where a handler stops until the test lets it go on.
#[derive(Default)]
pub struct Gate {
    reached: Notify,
    open: Notify,
}

impl Gate {
    /// In the handler.
    pub async fn pass(&self) {
        self.reached.notify_one();
        self.open.notified().await;
    }

    /// In the test: until the handler has come here.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    /// In the test: lets it go on.
    pub fn open(&self) {
        self.open.notify_one();
    }

    /// In the test: sends a request, and runs `meanwhile` while its handler is stopped here.
    pub async fn while_paused<R, M>(
        &self,
        request: impl Future<Output = R>,
        meanwhile: impl Future<Output = M>,
    ) -> (R, M) {
        let meanwhile = async {
            self.reached().await;
            let output = meanwhile.await;
            self.open();
            output
        };
        join(request, meanwhile).await
    }
}

/// Lets all other requests of a test run until each waits for something: for their turn to write, where
/// the first write is held. Without it, a write may end before the next one waits.
pub async fn until_others_wait() {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
}

pub fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

pub fn post(path: &str) -> TestRequest {
    TestRequest::post().uri(path).insert_header(("Sec-Fetch-Site", "same-origin"))
}

/// An initialised service with the fixture's auth and the given handlers, and data for them.
#[macro_export]
macro_rules! app {
    ($fixture:expr; $data:expr $(, $handler:expr)* $(,)?) => {
        actix_web::test::init_service(
            actix_web::App::new()
                .app_data($data.clone())
                .configure($fixture.auth.configure())
                $(.service($handler))*,
        )
        .await
    };
    ($fixture:expr $(, $handler:expr)* $(,)?) => {
        actix_web::test::init_service(
            actix_web::App::new().configure($fixture.auth.configure())$(.service($handler))*,
        )
        .await
    };
}

/// Sends a request and reads the whole answer.
#[macro_export]
macro_rules! send {
    ($app:expr, $request:expr) => {
        $crate::support::Reply::read(
            actix_web::test::call_service(&$app, $request.to_request()).await,
        )
        .await
    };
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub async fn read<B: MessageBody>(response: ServiceResponse<B>) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let path = response.request().path().to_owned();
        let body = to_bytes(response.into_body()).await.ok().unwrap();
        let reply = Self { status, headers, body: String::from_utf8(body.to_vec()).unwrap() };
        record::answered(&path, &reply);
        reply
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The cookies that are written as the app has configured them: not the removals in other scopes,
    /// which come along.
    pub fn set_cookies(&self) -> Vec<&str> {
        let all = self.all_set_cookies().into_iter();
        all.filter(|cookie| !cookie.contains("Max-Age=0") || cookie.contains("HttpOnly")).collect()
    }

    pub fn all_set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(SET_COOKIE).map(|value| value.to_str().unwrap()).collect()
    }

    /// The value of the session cookie that is set; there must be exactly one.
    pub fn session_cookie(&self) -> &str {
        let set: Vec<_> = self
            .set_cookies()
            .into_iter()
            .filter_map(|cookie| cookie.strip_prefix("__Host-session="))
            .collect();
        assert_eq!(set.len(), 1, "one session cookie: {set:?}");
        set[0].split_once(';').unwrap().0
    }

    /// The whole `Set-Cookie` of the guest, if there is one.
    pub fn guest_cookie(&self) -> Option<&str> {
        let set = self.set_cookies();
        set.into_iter().find(|cookie| cookie.starts_with("__Host-session-guest="))
    }

    pub fn max_age(&self) -> i64 {
        let cookie = self.set_cookies()[0];
        let (_, rest) = cookie.split_once("Max-Age=").unwrap();
        rest.split(';').next().unwrap().parse().unwrap()
    }

    pub fn sets_no_cookie(&self) -> bool {
        self.all_set_cookies().is_empty()
    }

    pub fn removes_the_cookie(&self) -> bool {
        self.session_cookie().is_empty() && self.max_age() == 0
    }
}

/// A store that counts what it is asked, and fails when told to.
#[derive(Clone)]
pub struct Spy {
    pub inner: SqlStore<Sqlite, Account>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    reads: AtomicUsize,
    writes: AtomicUsize,
    changes: AtomicUsize,
    counted_guests: AtomicUsize,
    collides: AtomicBool,
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    holds: Mutex<Option<Arc<Gate>>>,
}

impl Spy {
    /// How many operations that read were asked for.
    pub fn reads(&self) -> usize {
        self.counts.reads.load(Ordering::SeqCst)
    }

    /// How many operations that write were asked for.
    pub fn writes(&self) -> usize {
        self.counts.writes.load(Ordering::SeqCst)
    }

    /// How many renewals changed a row.
    pub fn renewals(&self) -> usize {
        self.counts.changes.load(Ordering::SeqCst)
    }

    /// How often the guests were counted, which is apart from what single requests read.
    pub fn counted_guests(&self) -> usize {
        self.counts.counted_guests.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> usize {
        self.reads() + self.writes()
    }

    pub fn forget(&self) {
        let Counts { reads, writes, changes, counted_guests, .. } = &*self.counts;
        for count in [reads, writes, changes, counted_guests] {
            count.store(0, Ordering::SeqCst);
        }
    }

    pub fn fail_reads(&self, fail: bool) {
        self.counts.reads_fail.store(fail, Ordering::SeqCst);
    }

    pub fn fail_writes(&self, fail: bool) {
        self.counts.writes_fail.store(fail, Ordering::SeqCst);
    }

    pub fn fail(&self, fail: bool) {
        self.fail_reads(fail);
        self.fail_writes(fail);
    }

    /// Makes the next creation find its id taken.
    pub fn collide(&self) {
        self.counts.collides.store(true, Ordering::SeqCst);
    }

    async fn pass_gate(&self) {
        let gate = self.counts.holds.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.pass().await;
        }
    }

    /// Holds the next write of data, of a session or a guest, until the test lets it go on.
    pub fn hold_the_next_write_of_data(&self) -> Arc<Gate> {
        let gate = Arc::<Gate>::default();
        *self.counts.holds.lock().unwrap() = Some(gate.clone());
        gate
    }

    fn read(&self) -> Result<(), StoreError> {
        self.counts.reads.fetch_add(1, Ordering::SeqCst);
        refuse_if(&self.counts.reads_fail)
    }

    fn write(&self) -> Result<(), StoreError> {
        self.counts.writes.fetch_add(1, Ordering::SeqCst);
        refuse_if(&self.counts.writes_fail)
    }
}

/// The body of an error: a problem of RFC 9457, and nothing of the cause.
pub fn problem(status: u16, code: &str, title: &str) -> String {
    format!(r#"{{"type":"about:blank","status":{status},"code":"{code}","title":"{title}"}}"#)
}

/// What a client must never see of a fault.
pub const FAULT: &str = "connection to db-7.internal:5432 refused";

fn refuse_if(fault: &AtomicBool) -> Result<(), StoreError> {
    if fault.load(Ordering::SeqCst) { Err(StoreError::backend(FAULT)) } else { Ok(()) }
}

impl SessionStore for Spy {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.write()?;
            if self.counts.collides.swap(false, Ordering::SeqCst) {
                return Err(StoreError::Collision);
            }
            self.inner.create(session, ends).await
        })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        Box::pin(async move {
            self.read()?;
            self.inner.find(id).await
        })
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            self.write()?;
            let changed = self.inner.renew(id, renewal).await?;
            self.counts.changes.fetch_add(usize::from(changed), Ordering::SeqCst);
            Ok(changed)
        })
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.write()?;
            self.inner.change_token(id, change).await
        })
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.write()?;
            self.pass_gate().await;
            self.inner.write_data(id, change).await
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            self.write()?;
            self.inner.delete(id).await
        })
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            self.write()?;
            self.inner.delete_by_user(user, keep).await
        })
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        Box::pin(async move {
            self.read()?;
            self.inner.list_by_user(user).await
        })
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        Box::pin(async move {
            self.read()?;
            self.inner.list_times_by_user(user).await
        })
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            self.write()?;
            self.inner.delete_expired(now, limit).await
        })
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        Box::pin(async move {
            self.read()?;
            self.inner.find_guest(id).await
        })
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.write()?;
            self.pass_gate().await;
            self.inner.write_guest(guest, replaces).await
        })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            self.write()?;
            self.inner.delete_guest(id).await
        })
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            self.counts.counted_guests.fetch_add(1, Ordering::SeqCst);
            refuse_if(&self.counts.reads_fail)?;
            self.inner.count_guests(now).await
        })
    }
}

impl SessionUserStore<Account> for Spy {
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, Account)>> {
        Box::pin(async move {
            self.read()?;
            self.inner.find_with_user(id).await
        })
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<Account>> {
        Box::pin(async move {
            self.read()?;
            self.inner.find_user(id).await
        })
    }
}
