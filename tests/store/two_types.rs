//! Two types of user whose ids are equal, in one store: what one of them is given opens nothing of the
//! other, whatever is presented where, and does nothing to it.

use std::{rc::Rc, time::Duration};

use actix_web::{
    App,
    body::MessageBody,
    dev::ServiceResponse,
    http::{
        StatusCode,
        header::{AUTHORIZATION, COOKIE, HeaderName, SET_COOKIE},
    },
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use futures_util::future::LocalBoxFuture;
use locals::{
    Auth, AuthUser, DataChange, Error, GuestRecord, Locals, ManualClock, Renewal, Session,
    SessionData, SessionId, SessionRecord, SessionTimes, SessionToken, StoreError, Timestamp,
    TokenChange, User, UserId, require_user,
    store::{Ends, MemoryStore, SessionStore, SessionUserStore, SqlStore, StoreFuture, WithLoader},
    with_session,
};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use crate::loader;

const ROTATION_PERIOD: Duration = Duration::from_mins(10);
const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, PartialEq, sqlx::FromRow, AuthUser)]
#[auth_user(table = "customers", session = Bought)]
struct Customer {
    id: i64,
}

/// Another type for the same table.
#[derive(Debug, Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "customers")]
struct Buyer {
    id: i64,
}

#[derive(Debug, Clone, PartialEq, sqlx::FromRow, AuthUser)]
#[auth_user(table = "staff", session = Sold)]
struct Staff {
    id: i64,
}

#[derive(Default, Serialize, Deserialize)]
struct Bought(Vec<u32>);

#[derive(Default, Serialize, Deserialize)]
struct Sold(Vec<u32>);

/// What is kept of guests of either app.
#[derive(Default, Serialize, Deserialize)]
struct Cart(Vec<u32>);

trait Person: AuthUser<Id = i64> + Clone {
    type Data: SessionData<User = Self> + AsMut<Vec<u32>>;

    fn of(id: i64) -> Self;
}

macro_rules! persons {
    ($($user:ident: $data:ident),+) => {$(
        impl Person for $user {
            type Data = $data;

            fn of(id: i64) -> Self {
                Self { id }
            }
        }

        impl AsMut<Vec<u32>> for $data {
            fn as_mut(&mut self) -> &mut Vec<u32> {
                &mut self.0
            }
        }
    )+};
}

persons!(Customer: Bought, Staff: Sold);

#[require_user]
async fn me<T: Person>(user: User<T>, session: Session) -> String {
    let by = session.actor().map(|actor| format!(" by {actor}"));
    format!("{} {}{}", T::TABLE, user.id(), by.unwrap_or_default())
}

/// By the session alone.
#[with_session]
async fn session(session: Option<Session>) -> String {
    session.map_or("none".to_owned(), |session| session.user_id().to_string())
}

#[with_session]
async fn log_in<T: Person>(locals: Locals) -> Result<String, Error> {
    let session = locals.log_in(&T::of(1)).await?;
    Ok(format!("{:?}", session.data::<T::Data>().as_mut()))
}

#[with_session]
async fn log_out(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

#[with_session]
async fn log_out_everywhere(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_everywhere().await?.to_string())
}

#[with_session]
async fn log_out_others(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_other_sessions().await?.to_string())
}

#[with_session]
async fn confirm(locals: Locals) -> Result<&'static str, Error> {
    locals.reauthenticate().await?;
    Ok("confirmed")
}

#[with_session]
async fn impersonate<T: Person>(locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&T::of(1)).await?;
    Ok("acting")
}

#[with_session]
async fn stop(locals: Locals) -> Result<String, Error> {
    let own = locals.stop_impersonating().await?;
    Ok(own.map_or("nobody".to_owned(), |own| own.user_id().to_string()))
}

#[with_session]
async fn kept(locals: Locals) -> Result<String, Error> {
    Ok(format!("{:?}", locals.guest::<Cart>().await?.0))
}

#[with_session]
async fn keep(item: web::Path<u32>, locals: Locals) -> Result<String, Error> {
    locals.update_guest(|cart: &mut Cart| cart.0.push(*item)).await?;
    Ok(format!("{:?}", locals.guest::<Cart>().await?.0))
}

#[with_session]
async fn forget(locals: Locals) -> Result<&'static str, Error> {
    locals.forget_guest().await?;
    Ok("forgotten")
}

fn auth<T: Person>(store: impl SessionUserStore<T>, clock: &ManualClock) -> Auth<T> {
    Auth::builder(store)
        .clock(clock.clone())
        .bearer(true)
        .rotate_every(ROTATION_PERIOD)
        .merge_guest(|guest: Cart, data: &mut T::Data| data.as_mut().extend(guest.0))
        .build()
        .unwrap()
}

/// The handlers of one type of user. The names of the cookies are those of the other's.
fn routes<T: Person>(config: &mut web::ServiceConfig) {
    config
        .route("/me", web::get().to(me::<T>))
        .route("/session", web::get().to(session))
        .route("/log_in", web::post().to(log_in::<T>))
        .route("/log_out", web::post().to(log_out))
        .route("/log_out_everywhere", web::post().to(log_out_everywhere))
        .route("/log_out_others", web::post().to(log_out_others))
        .route("/confirm", web::post().to(confirm))
        .route("/impersonate", web::post().to(impersonate::<T>))
        .route("/stop", web::post().to(stop))
        .route("/kept", web::get().to(kept))
        .route("/keep/{item}", web::post().to(keep))
        .route("/forget", web::post().to(forget));
}

/// What an app has answered.
struct Reply {
    status: StatusCode,
    body: String,
    session: Option<String>,
    guest: Option<String>,
}

impl Reply {
    async fn read<B: MessageBody>(response: ServiceResponse<B>) -> Self {
        let set = |name: &str| {
            let all = response.headers().get_all(SET_COOKIE);
            let values = all.filter_map(|value| value.to_str().unwrap().strip_prefix(name));
            let value = values.last()?.split(';').next()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let status = response.status();
        let (session, guest) = (set("__Host-session="), set("__Host-session-guest="));
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        Self { status, body, session, guest }
    }

    fn session(self) -> String {
        self.session.unwrap_or_else(|| panic!("no session cookie: {} {}", self.status, self.body))
    }

    fn guest(&self) -> String {
        self.guest.clone().unwrap_or_else(|| panic!("no guest: {} {}", self.status, self.body))
    }
}

/// An app of one type of user.
struct Side<T> {
    auth: Auth<T>,
    call: Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, Reply>>,
}

impl<T: Person> Side<T> {
    async fn new(store: impl SessionUserStore<T>, clock: &ManualClock) -> Self {
        let auth = auth(store, clock);
        let app = App::new().configure(auth.configure()).configure(routes::<T>);
        let app = Rc::new(init_service(app).await);
        let call = Box::new(move |request: TestRequest| {
            let (app, request) = (Rc::clone(&app), request.to_request());
            Box::pin(async move { Reply::read(call_service(&*app, request).await).await }) as _
        });
        Self { auth, call }
    }

    async fn send(&self, line: &str, header: (HeaderName, String)) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let request = TestRequest::with_uri(path)
            .method(method.parse().unwrap())
            .insert_header(("Sec-Fetch-Site", "same-origin"))
            .insert_header(header);
        (self.call)(request).await
    }

    async fn with(&self, line: &str, token: &str) -> Reply {
        self.send(line, cookie(token)).await
    }

    async fn with_guest(&self, line: &str, token: &str) -> Reply {
        self.send(line, guest_cookie(token)).await
    }

    async fn logged_in(&self, id: i64) -> String {
        let session = self.auth.create_session(&T::of(id)).await.unwrap();
        session.token().expose_secret().to_owned()
    }

    async fn opens(&self, token: &str) -> bool {
        self.auth.validate_session_user(token).await.unwrap().is_some()
    }

    /// A stranger's answer to everything that is asked with this, of which nothing opens anything here.
    async fn is_a_stranger(&self, header: &(HeaderName, String)) {
        let by_cookie = header.0 == COOKIE;
        for (line, expected) in [
            ("GET /me", (StatusCode::UNAUTHORIZED, None)),
            ("GET /session", (StatusCode::OK, Some("none"))),
            ("POST /confirm", (StatusCode::UNAUTHORIZED, None)),
            ("POST /impersonate", (StatusCode::UNAUTHORIZED, None)),
            ("POST /stop", (StatusCode::UNAUTHORIZED, None)),
            ("POST /log_out_others", (StatusCode::OK, Some("0"))),
            ("POST /log_in", (StatusCode::OK, Some("[]"))),
            ("POST /log_out", (StatusCode::OK, Some("out"))),
            ("POST /log_out_everywhere", (StatusCode::OK, Some("0"))),
        ] {
            let reply = self.send(line, header.clone()).await;
            assert_eq!(reply.status, expected.0, "{line}: {}", reply.body);
            assert!(expected.1.is_none_or(|body| reply.body == body), "{line}: {}", reply.body);
            let logs_in = line == "POST /log_in" && by_cookie;
            assert_eq!(reply.session.is_some(), logs_in, "{line}: a token is given");
        }
    }

    /// As [`is_a_stranger`](Self::is_a_stranger), with this token in every place that may hold one.
    async fn knows_nobody_by(&self, token: &str) {
        assert!(self.auth.validate_session(token).await.unwrap().is_none());
        assert!(self.auth.validate_session_user(token).await.unwrap().is_none());
        self.is_a_stranger(&cookie(token)).await;
        self.is_a_stranger(&(AUTHORIZATION, format!("Bearer {token}"))).await;
    }
}

fn cookie(token: &str) -> (HeaderName, String) {
    (COOKIE, format!("__Host-session={token}"))
}

fn guest_cookie(token: &str) -> (HeaderName, String) {
    (COOKIE, format!("__Host-session-guest={token}"))
}

fn id(token: &str) -> SessionId {
    token.parse::<SessionToken>().unwrap().id()
}

/// Presents whatever users of `O` are given where users are of `F`, and sees that it does nothing to the
/// rows of `O`.
async fn nothing_of_one_is_known_to_the_other<O: Person, F: Person>(
    own: impl SessionUserStore<O> + Clone,
    foreign: impl SessionUserStore<F>,
) {
    let clock = ManualClock::at(Timestamp::from_millis(0));
    let store = own.clone();
    let row = async |token: &str| store.find(id(token)).await.unwrap().expect("the row is there");
    let own = Side::<O>::new(own, &clock).await;
    let foreign = Side::<F>::new(foreign, &clock).await;

    // Active; idle, so that a use renews it and rotates its token; rotated; rotated long ago.
    let token = own.logged_in(1).await;
    for wait in [Duration::ZERO, 2 * DAY] {
        clock.advance(wait);
        let before = row(&token).await;
        foreign.knows_nobody_by(&token).await;
        assert_eq!(row(&token).await, before);
    }
    let new = own.with("GET /me", &token).await.session();
    for wait in [Duration::ZERO, Duration::from_mins(2)] {
        clock.advance(wait);
        let before = row(&token).await;
        assert!(before.rotation.is_some());
        foreign.knows_nobody_by(&token).await;
        foreign.knows_nobody_by(&new).await;
        assert_eq!(row(&new).await, before);
    }
    let user = format!("{} 1", O::TABLE);
    assert_eq!(own.with("GET /me", &new).await.body, user);

    // Two in one request, of which none opens anything, but each may end its session.
    let other = own.logged_in(1).await;
    let both = format!("__Host-session={new}; __Host-session={other}");
    foreign.is_a_stranger(&(COOKIE, both)).await;
    assert!(own.opens(&new).await && own.opens(&other).await);

    // Somebody acts.
    let acting = own.with("POST /impersonate", &own.logged_in(2).await).await.session();
    let before = row(&acting).await;
    let actor = before.actor_session.expect("the session from which it was begun");
    foreign.knows_nobody_by(&acting).await;
    assert_eq!(row(&acting).await, before);
    assert!(store.find(actor).await.unwrap().is_some());
    assert_eq!(own.with("GET /me", &acting).await.body, format!("{user} by 2"));
    let back = own.with("POST /stop", &acting).await.session();
    foreign.knows_nobody_by(&back).await;
    foreign.knows_nobody_by(&acting).await;
    assert_eq!(own.with("GET /me", &back).await.body, format!("{} 2", O::TABLE));

    nothing_of_a_guest_is_known(&own, &foreign).await;
}

async fn nothing_of_a_guest_is_known<O: Person, F: Person>(own: &Side<O>, foreign: &Side<F>) {
    let guest = own.with_guest("POST /keep/7", "").await.guest();
    assert_eq!(foreign.with_guest("GET /kept", &guest).await.body, "[]");
    let another = foreign.with_guest("POST /keep/9", &guest).await;
    assert_eq!(another.body, "[9]");
    assert_ne!(id(&another.guest()), id(&guest), "a new one");
    for line in ["POST /log_in", "POST /log_out", "POST /log_out_everywhere", "POST /forget"] {
        let reply = foreign.with_guest(line, &guest).await;
        assert_eq!(reply.status, StatusCode::OK, "{line}: {}", reply.body);
        assert!(line != "POST /log_in" || reply.body == "[]", "nothing is taken over");
        assert_eq!(own.with_guest("GET /kept", &guest).await.body, "[7]", "{line}");
    }

    // Taken over: for a moment the old token leads to the guest who follows.
    assert_eq!(own.with_guest("POST /log_in", &guest).await.body, "[7]");
    assert_eq!(foreign.with_guest("POST /keep/9", &guest).await.body, "[9]");
    assert_eq!(own.with_guest("GET /kept", &guest).await.body, "[]", "nobody has begun them");
    let successor = own.with_guest("POST /keep/8", &guest).await.guest();
    for token in [&guest, &successor] {
        assert_eq!(foreign.with_guest("GET /kept", token).await.body, "[]");
        assert_eq!(foreign.with_guest("POST /forget", token).await.body, "forgotten");
        assert_eq!(own.with_guest("GET /kept", token).await.body, "[8]");
    }
}

/// In both directions.
async fn neither_knows_the_other(
    customers: impl SessionUserStore<Customer> + Clone,
    staff: impl SessionUserStore<Staff> + Clone,
) {
    nothing_of_one_is_known_to_the_other::<Customer, Staff>(customers.clone(), staff.clone()).await;
    nothing_of_one_is_known_to_the_other::<Staff, Customer>(staff, customers).await;
}

const TABLES: &str = "CREATE TABLE customers (id BIGINT PRIMARY KEY);
    CREATE TABLE staff (id BIGINT PRIMARY KEY);
    INSERT INTO customers VALUES (1), (2);
    INSERT INTO staff VALUES (1), (2)";

// The tables of sessions and guests are made for customers, and nobody has called `migrate` for staff.

#[actix_web::test]
async fn nothing_of_one_type_opens_for_another_in_the_same_table_of_sqlite() {
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite://{}", directory.path().join("app.db").display());
    let customers = SqlStore::sqlite(&url).await.unwrap();
    let tables = AssertSqlSafe(TABLES.replace("BIGINT", "INTEGER"));
    sqlx::raw_sql(tables).execute(customers.pool()).await.unwrap();
    customers.migrate().await.unwrap();
    let staff = SqlStore::new(customers.pool().clone());
    neither_knows_the_other(customers, staff).await;
}

#[cfg(feature = "postgres")]
#[actix_web::test]
async fn nothing_of_one_type_opens_for_another_in_the_same_table_of_postgres() {
    let (_database, customers) = crate::postgres().await;
    sqlx::raw_sql(TABLES).execute(customers.pool()).await.unwrap();
    customers.migrate().await.unwrap();
    let staff = SqlStore::new(customers.pool().clone());
    neither_knows_the_other(customers, staff).await;
}

#[cfg(feature = "mysql")]
#[actix_web::test]
async fn nothing_of_one_type_opens_for_another_in_the_same_table_of_mysql() {
    let (_database, customers) = crate::mysql().await;
    sqlx::raw_sql(TABLES).execute(customers.pool()).await.unwrap();
    customers.migrate().await.unwrap();
    let staff = SqlStore::new(customers.pool().clone());
    neither_knows_the_other(customers, staff).await;
}

/// A loader that knows all users of a type.
fn joined<T: Person>(sessions: impl SessionStore + Clone) -> impl SessionUserStore<T> + Clone {
    WithLoader::new(sessions, |id: i64| async move { Ok::<_, StoreError>(Some(T::of(id))) })
}

#[cfg(feature = "redis")]
#[actix_web::test]
async fn nothing_of_one_type_opens_for_another_under_the_same_prefix_of_redis() {
    let keys = crate::redis::Keys::new();
    let sessions = keys.store().await;
    neither_knows_the_other(joined(sessions.clone()), joined(sessions)).await;
}

#[actix_web::test]
async fn nothing_of_one_type_opens_for_another_in_the_same_memory() {
    let sessions = MemoryStore::new();
    for table in ["customers", "staff"] {
        for id in [1, 2] {
            sessions.insert_user(loader::Person { id: format!("{table}/i:{id}") });
        }
    }
    neither_knows_the_other(joined(sessions.clone()), joined(sessions)).await;
}

/// A store of an app's own, which says nothing of the type of a user.
#[derive(Clone, Default)]
struct OwnStore(MemoryStore<Customer>);

impl OwnStore {
    fn new() -> Self {
        let store = Self::default();
        store.0.insert_user(Customer { id: 1 });
        store.0.insert_user(Customer { id: 2 });
        store
    }
}

impl<T: Person> SessionUserStore<T> for OwnStore {
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>> {
        Box::pin(async move {
            let found = self.0.find_with_user(id).await?;
            Ok(found.map(|(session, user)| (session, T::of(user.id))))
        })
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<T>> {
        Box::pin(async move { Ok(self.0.find_user(id).await?.map(|user| T::of(user.id))) })
    }
}

impl SessionStore for OwnStore {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        self.0.create(session, ends)
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        self.0.find(id)
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        self.0.renew(id, renewal)
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        self.0.change_token(id, change)
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        self.0.write_data(id, change)
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.0.delete(id)
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        self.0.delete_by_user(user, keep)
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        self.0.list_by_user(user)
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        self.0.list_times_by_user(user)
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.0.delete_expired(now, limit)
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        self.0.find_guest(id)
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        self.0.write_guest(guest, replaces)
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.0.delete_guest(id)
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        self.0.count_guests(now)
    }
}

#[actix_web::test]
async fn nothing_of_one_type_opens_for_another_in_a_store_that_cannot_distinguish_them() {
    let store = OwnStore::new();
    neither_knows_the_other(store.clone(), store).await;
}

#[actix_web::test]
async fn two_types_of_one_table_share_its_sessions() {
    let store = MemoryStore::new();
    store.insert_user(loader::Person { id: "customers/i:1".to_owned() });
    let buyers =
        WithLoader::new(
            store.clone(),
            |id: i64| async move { Ok::<_, StoreError>(Some(Buyer { id })) },
        );
    let buyers = Auth::<Buyer>::builder(buyers).build().unwrap();
    let customers = Auth::<Customer>::builder(joined(store)).build().unwrap();
    let session = customers.create_session(&Buyer { id: 1 }).await.unwrap();
    let token = session.token().expose_secret();
    let (_, buyer) = buyers.validate_session_user(token).await.unwrap().expect("the same session");
    assert_eq!(buyer.id, 1);
    assert!(customers.validate_session(token).await.unwrap().is_some());
}
