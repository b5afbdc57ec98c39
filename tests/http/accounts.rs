//! What the row of a user decides about their sessions: a disabled account, an actor who may no longer
//! impersonate, and a changed credential.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, Responder, get, http::StatusCode, post, rt, web};
use locals::{
    Auth, AuthBuilder, AuthUser, Error, Locals, ManualClock, Session, Timestamp, User, UserId,
    require_user,
    store::{MemoryStore, SessionUserStore, SqlStore, StoreFuture, UserLoader, WithLoader},
    with_session,
};
use sqlx::Sqlite;

use crate::{
    app,
    routes::{logout, logout_everywhere},
    send,
    support::{self, Reply, as_set, cookie, problem},
};

/// The row of a handler.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow, AuthUser)]
#[auth_user(table = "members")]
struct Member {
    id: i64,
    #[auth_user(credential)]
    password_hash: String,
    is_active: bool,
    is_staff: bool,
}

/// The row of a login, of the same table.
#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "members")]
struct LogInRow {
    id: i64,
    #[auth_user(credential)]
    password_hash: Option<String>,
}

/// One that has forgotten what sessions are bound to.
#[derive(AuthUser)]
#[auth_user(table = "members")]
struct Unbound {
    id: i64,
}

impl Member {
    fn new(id: i64) -> Self {
        let password_hash = format!("$argon2id$v=19$of-{id}");
        Self { id, password_hash, is_active: true, is_staff: id == 9 }
    }
}

impl LogInRow {
    fn of(member: &Member) -> Self {
        Self { id: member.id, password_hash: Some(member.password_hash.clone()) }
    }
}

/// Where the members are kept, each with the sessions of its own way.
#[derive(Clone)]
enum Place {
    Sql(SqlStore<Sqlite, Member>),
    Memory(MemoryStore<Member>),
    /// Users apart from the sessions.
    Loader {
        members: MemoryStore<Member>,
        sessions: MemoryStore<Keeper>,
    },
}

/// A user of the store of sessions alone, which asks for one.
#[derive(Clone, AuthUser)]
struct Keeper {
    id: String,
}

struct FromMemory(MemoryStore<Member>);

impl UserLoader<Member> for FromMemory {
    fn load(&self, id: i64) -> StoreFuture<'_, Option<Member>> {
        Box::pin(async move { self.0.find_user(&UserId::from(id)).await })
    }
}

struct Members {
    place: Place,
    auth: Auth<Member>,
    clock: ManualClock,
}

type Configure = fn(AuthBuilder<Member>) -> AuthBuilder<Member>;

impl Members {
    /// The same in each place.
    async fn everywhere(configure: Configure) -> Vec<Self> {
        let sql = SqlStore::<_, Member>::sqlite("sqlite::memory:").await.unwrap();
        sqlx::query(
            "CREATE TABLE members (id INTEGER PRIMARY KEY AUTOINCREMENT, \
             password_hash TEXT NOT NULL, is_active INTEGER NOT NULL, is_staff INTEGER NOT NULL)",
        )
        .execute(sql.pool())
        .await
        .unwrap();
        sql.migrate().await.unwrap();
        let keepers = MemoryStore::new();
        for id in [1, 2, 9] {
            keepers.insert_user(Keeper { id: format!("members/i:{id}") });
        }
        let places = [
            Place::Sql(sql),
            Place::Memory(MemoryStore::new()),
            Place::Loader { members: MemoryStore::new(), sessions: keepers },
        ];
        let mut everywhere = Vec::new();
        for place in places {
            let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
            let builder = match place.clone() {
                Place::Sql(store) => Auth::builder(store),
                Place::Memory(store) => Auth::builder(store),
                Place::Loader { members, sessions } => {
                    Auth::builder(WithLoader::new(sessions, FromMemory(members)))
                }
            };
            let auth = configure(builder.clock(clock.clone())).build().unwrap();
            let all = Self { place, auth, clock };
            for id in [1, 2, 9] {
                all.put(&Member::new(id)).await;
            }
            everywhere.push(all);
        }
        everywhere
    }

    /// Stores a member, as somebody else does who knows nothing of sessions.
    async fn put(&self, member: &Member) {
        match &self.place {
            Place::Memory(store) | Place::Loader { members: store, .. } => {
                store.insert_user(member.clone());
            }
            Place::Sql(store) => {
                let sql = "INSERT INTO members VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET \
                           password_hash = excluded.password_hash, \
                           is_active = excluded.is_active, is_staff = excluded.is_staff";
                let insert = sqlx::query(sql).bind(member.id).bind(&member.password_hash);
                let insert = insert.bind(member.is_active).bind(member.is_staff);
                insert.execute(store.pool()).await.unwrap();
            }
        }
    }

    async fn opens(&self, session: &Session) -> bool {
        let token = session.token().expose_secret();
        let alone = self.auth.validate_session(token).await.unwrap().is_some();
        let with_user = self.auth.validate_session_user(token).await.unwrap().is_some();
        assert_eq!(alone, with_user);
        alone
    }
}

fn as_is(builder: AuthBuilder<Member>) -> AuthBuilder<Member> {
    builder
}

fn only_active(builder: AuthBuilder<Member>) -> AuthBuilder<Member> {
    builder.active_users(|member| member.is_active)
}

fn only_staff_acts(builder: AuthBuilder<Member>) -> AuthBuilder<Member> {
    builder.impersonators(|member| member.is_staff)
}

#[get("/me")]
#[require_user]
async fn me(user: User<Member>) -> String {
    user.id.to_string()
}

/// The same, read by the session alone.
#[get("/session")]
#[require_user]
async fn by_session(session: Session) -> String {
    session.user_id().to_string()
}

#[get("/anybody")]
#[with_session]
async fn anybody(locals: Locals) -> Result<String, Error> {
    Ok(locals.get_session().await?.is_some().to_string())
}

#[post("/login/{row}/{id}")]
#[with_session]
async fn login(path: web::Path<(String, i64)>, locals: Locals) -> Result<&'static str, Error> {
    let (row, id) = path.into_inner();
    match &*row {
        "own" => drop(locals.log_in(&Member { is_active: id != 2, ..Member::new(id) }).await?),
        "other" => drop(locals.log_in(&LogInRow::of(&Member::new(id))).await?),
        "token" => drop(locals.create_session(&LogInRow::of(&Member::new(id))).await?),
        "manager" => drop(locals.auth().create_session(&LogInRow::of(&Member::new(id))).await?),
        "unbound" => drop(locals.log_in(&Unbound { id }).await?),
        other => unreachable!("no row {other}"),
    }
    Ok("in")
}

#[post("/impersonate/{id}")]
#[require_user]
async fn impersonate(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&LogInRow::of(&Member::new(*id))).await?;
    Ok("")
}

#[post("/stop")]
#[require_user]
async fn stop(locals: Locals) -> Result<impl Responder, Error> {
    Ok(locals.stop_impersonating().await?.is_some().to_string())
}

macro_rules! status {
    ($app:expr, $path:expr, $cookie:expr) => {
        send!($app, support::get($path).insert_header($cookie)).status.as_u16()
    };
}

#[actix_web::test]
async fn a_user_whose_account_is_disabled_is_logged_out_until_it_is_enabled_again() {
    for all in Members::everywhere(only_active).await {
        let own = all.auth.create_session(&Member::new(1)).await.unwrap();
        let others = all.auth.create_session(&LogInRow::of(&Member::new(2))).await.unwrap();
        let app = app!(all, me, by_session, anybody);
        all.put(&Member { is_active: false, ..Member::new(1) }).await;
        for path in ["/me", "/session"] {
            assert_eq!(status!(app, path, cookie(&own)), 401, "{path}");
            assert_eq!(status!(app, path, cookie(&others)), 200, "{path}");
        }
        let found = send!(app, support::get("/anybody").insert_header(cookie(&own)));
        assert_eq!((&*found.body, found.sets_no_cookie()), ("false", true));
        assert!(!all.opens(&own).await);
        assert_eq!(all.auth.user_sessions(1).await.unwrap().len(), 1, "it stays in the store");

        all.put(&Member::new(1)).await;
        assert_eq!(status!(app, "/me", cookie(&own)), 200);
        assert!(all.opens(&own).await);
    }
}

#[actix_web::test]
async fn a_login_to_a_disabled_account_is_refused() {
    for all in Members::everywhere(only_active).await {
        all.put(&Member { is_active: false, ..Member::new(2) }).await;
        let before = all.auth.create_session(&Member::new(1)).await.unwrap();
        let app = app!(all, login, me);
        for row in ["own", "other", "token", "manager"] {
            let path = format!("/login/{row}/2");
            let reply = send!(app, support::post(&path).insert_header(cookie(&before)));
            let expected = problem(403, "inactive_user", "This account is disabled");
            assert_eq!(reply.body, expected, "{row}");
            assert!(reply.sets_no_cookie());
            assert_eq!(all.auth.user_sessions(2).await.unwrap().len(), 0, "{row}");
            assert_eq!(status!(app, "/me", cookie(&before)), 200, "nothing else has ended");
        }
        for row in ["own", "other"] {
            let path = format!("/login/{row}/1");
            assert_eq!(send!(app, support::post(&path)).status, StatusCode::OK, "{row}");
        }
        if let Place::Sql(store) = &all.place {
            let mut transaction = store.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
            let mut within = all.auth.within(&mut transaction).unwrap();
            let refused = within.create_session(&LogInRow::of(&Member::new(2))).await;
            assert!(matches!(refused, Err(Error::InactiveUser)), "{refused:?}");
            within.create_session(&LogInRow::of(&Member::new(1))).await.unwrap();
        }
    }
}

#[actix_web::test]
async fn disabling_an_account_is_reported_as_the_end_of_its_sessions() {
    for all in Members::everywhere(only_active).await {
        let own = all.auth.create_session(&Member::new(1)).await.unwrap();
        let wait = rt::spawn(own.ended());
        rt::task::yield_now().await;
        all.put(&Member { is_active: false, ..Member::new(1) }).await;
        all.clock.advance(Duration::from_mins(1));
        wait.await.unwrap();
    }
}

#[actix_web::test]
async fn only_actors_that_the_app_allows_can_impersonate_and_only_while_it_does() {
    for all in Members::everywhere(only_staff_acts).await {
        let admin = all.auth.create_session(&Member::new(9)).await.unwrap();
        let user = all.auth.create_session(&Member::new(2)).await.unwrap();
        let app = app!(all, me, by_session, impersonate, stop);
        let begin = |own: &Session| support::post("/impersonate/1").insert_header(cookie(own));
        let refused = send!(app, begin(&user));
        assert_eq!(refused.body, problem(403, "forbidden", "Not allowed"));
        let acting: Reply = send!(app, begin(&admin));
        assert_eq!(status!(app, "/me", as_set(&acting)), 200);

        all.put(&Member { is_staff: false, ..Member::new(9) }).await;
        assert_eq!(status!(app, "/session", as_set(&acting)), 401);
        assert_eq!(all.auth.user_sessions(1).await.unwrap().len(), 0);
        assert_eq!(status!(app, "/me", cookie(&admin)), 200, "their own session goes on");
        // It does not come back with the right.
        all.put(&Member::new(9)).await;
        assert_eq!(status!(app, "/me", as_set(&acting)), 401);
    }
}

#[actix_web::test]
async fn an_impersonation_ends_with_the_account_and_the_credential_of_both() {
    let changes: [fn(Member) -> Member; 2] = [
        |member| Member { is_active: false, ..member },
        |member| Member { password_hash: "another".to_owned(), ..member },
    ];
    for changed in [1, 9] {
        for change in changes {
            for all in Members::everywhere(only_active).await {
                let admin = all.auth.create_session(&Member::new(9)).await.unwrap();
                let app = app!(all, me, impersonate, stop);
                let begin = support::post("/impersonate/1").insert_header(cookie(&admin));
                let acting = send!(app, begin);
                assert_eq!(status!(app, "/me", as_set(&acting)), 200);
                all.put(&change(Member::new(changed))).await;
                assert_eq!(status!(app, "/me", as_set(&acting)), 401, "{changed}");
            }
        }
    }
}

#[actix_web::test]
async fn a_password_that_is_changed_elsewhere_logs_the_user_out_everywhere() {
    for all in Members::everywhere(as_is).await {
        let by_own = all.auth.create_session(&Member::new(1)).await.unwrap();
        let by_other = all.auth.create_session(&LogInRow::of(&Member::new(1))).await.unwrap();
        let others = all.auth.create_session(&Member::new(2)).await.unwrap();
        let app = app!(all, me, by_session, anybody);
        assert!(all.opens(&by_own).await && all.opens(&by_other).await);

        all.put(&Member { password_hash: "another".to_owned(), ..Member::new(1) }).await;
        for ended in [&by_own, &by_other] {
            for path in ["/me", "/session"] {
                assert_eq!(status!(app, path, cookie(ended)), 401, "{path}");
            }
            let found = send!(app, support::get("/anybody").insert_header(cookie(ended)));
            assert_eq!(found.body, "false");
            assert!(!all.opens(ended).await);
        }
        assert_eq!(all.auth.user_sessions(1).await.unwrap().len(), 0, "none is listed as living");
        assert_eq!(status!(app, "/me", cookie(&others)), 200);
        // Whatever else changes in the row is no credential.
        all.put(&Member { is_staff: true, ..Member::new(2) }).await;
        assert_eq!(status!(app, "/me", cookie(&others)), 200);
    }
}

/// Changes the password of the logged-in user, by the verb of this name.
#[post("/password/{verb}")]
#[require_user]
async fn change_password(
    verb: web::Path<String>,
    all: web::Data<Arc<Members>>,
    session: Session,
    locals: Locals,
) -> Result<HttpResponse, Error> {
    if verb.starts_with("within") {
        let Place::Sql(store) = &all.place else {
            return Ok(HttpResponse::NotImplemented().finish());
        };
        let mut transaction = store.pool().begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE members SET password_hash = 'another' WHERE id = 1")
            .execute(&mut *transaction)
            .await?;
        let mut within = all.auth.within(&mut transaction)?;
        if *verb != "within_reauthenticate" {
            within.invalidate_other_sessions(&session).await?;
        }
        let after = match &**verb {
            "within_invalidate_other_sessions" => None,
            _ => within.reauthenticate(&session).await?,
        };
        transaction.commit().await?;
        if let Some(after) = after {
            locals.set_session(after);
        }
        return Ok(HttpResponse::NoContent().finish());
    }
    all.put(&Member { password_hash: "another".to_owned(), ..Member::new(1) }).await;
    match &**verb {
        "reauthenticate" => drop(locals.reauthenticate().await?),
        "log_out_other_sessions" => drop(locals.log_out_other_sessions().await?),
        "manager" => {
            let session = locals.auth().reauthenticate(&session).await?;
            locals.set_session(session.ok_or(Error::Unauthenticated)?);
        }
        other => unreachable!("no verb {other}"),
    }
    Ok(HttpResponse::NoContent().finish())
}

#[actix_web::test]
async fn changing_ones_own_password_keeps_the_login_with_every_verb_that_authenticates() {
    for verb in [
        "reauthenticate",
        "log_out_other_sessions",
        "manager",
        "within_reauthenticate",
        "within_invalidate_other_sessions",
        "within_both",
    ] {
        for all in Members::everywhere(as_is).await {
            let all = Arc::new(all);
            let here = all.auth.create_session(&Member::new(1)).await.unwrap();
            let there = all.auth.create_session(&Member::new(1)).await.unwrap();
            let data = web::Data::new(Arc::clone(&all));
            let app = app!(all; data, me, change_password);
            let path = format!("/password/{verb}");
            let reply = send!(app, support::post(&path).insert_header(cookie(&here)));
            if reply.status == StatusCode::NOT_IMPLEMENTED {
                assert!(verb.starts_with("within"), "only a database has transactions");
                continue;
            }
            assert_eq!(reply.status, StatusCode::NO_CONTENT, "{verb}: {reply:?}");
            let own = if reply.sets_no_cookie() { cookie(&here) } else { as_set(&reply) };
            assert_eq!(status!(app, "/me", own), 200, "{verb}");
            assert_eq!(status!(app, "/me", cookie(&there)), 401, "{verb}");
        }
    }
}

#[actix_web::test]
async fn a_rotation_does_not_restore_the_old_credential() {
    for verb in ["within_invalidate_other_sessions", "reauthenticate", "log_out_other_sessions"] {
        let rotating = |builder: AuthBuilder<Member>| builder.rotate_every(Duration::from_mins(10));
        for all in Members::everywhere(rotating).await {
            let all = Arc::new(all);
            let here = all.auth.create_session(&Member::new(1)).await.unwrap();
            // The request that changes the password is the one that rotates the token.
            all.clock.advance(Duration::from_mins(10));
            let data = web::Data::new(Arc::clone(&all));
            let app = app!(all; data, me, change_password);
            let path = format!("/password/{verb}");
            let reply = send!(app, support::post(&path).insert_header(cookie(&here)));
            if reply.status == StatusCode::NOT_IMPLEMENTED {
                continue;
            }
            assert_eq!(reply.status, StatusCode::NO_CONTENT, "{verb}: {reply:?}");
            assert_eq!(status!(app, "/me", as_set(&reply)), 200, "{verb}");
        }
    }
}

#[actix_web::test]
async fn a_logout_while_the_account_is_disabled_stands_when_it_is_enabled_again() {
    for path in ["/logout", "/logout-everywhere", "/login-as-2"] {
        for all in Members::everywhere(only_active).await {
            all.put(&Member::new(2)).await;
            let own = all.auth.create_session(&Member::new(1)).await.unwrap();
            let app = app!(all, me, logout, logout_everywhere, login_as_2);
            all.put(&Member { is_active: false, ..Member::new(1) }).await;
            let reply = send!(app, support::post(path).insert_header(cookie(&own)));
            assert_eq!(reply.status, StatusCode::OK, "{path}: {reply:?}");
            all.put(&Member::new(1)).await;
            assert_eq!(status!(app, "/me", cookie(&own)), 401, "{path}");
        }
    }
}

#[actix_web::test]
async fn a_logout_while_impersonating_a_disabled_account_ends_both_sessions() {
    for off in [1, 9] {
        for all in Members::everywhere(only_active).await {
            let admin = all.auth.create_session(&Member::new(9)).await.unwrap();
            let app = app!(all, me, impersonate, logout);
            let begin = support::post("/impersonate/1").insert_header(cookie(&admin));
            let acting = send!(app, begin);
            all.put(&Member { is_active: false, ..Member::new(off) }).await;
            send!(app, support::post("/logout").insert_header(as_set(&acting)));
            all.put(&Member::new(off)).await;
            assert_eq!(status!(app, "/me", as_set(&acting)), 401, "{off}");
            assert_eq!(status!(app, "/me", cookie(&admin)), 401, "{off}");
        }
    }
}

#[post("/login-as-2")]
#[with_session]
async fn login_as_2(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Member::new(2)).await?;
    Ok("in")
}

#[actix_web::test]
async fn a_user_type_without_the_credential_creates_no_session() {
    for all in Members::everywhere(as_is).await {
        let app = app!(all, login);
        let reply = send!(app, support::post("/login/unbound/1"));
        assert_eq!(reply.body, problem(500, "internal", "Internal error"));
        let error = all.auth.create_session(&Unbound { id: 1 }).await.unwrap_err();
        assert!(error.to_string().contains("sessions are bound to [\"password_hash\"]"), "{error}");
        assert_eq!(all.auth.user_sessions(1).await.unwrap().len(), 0);
    }
}

#[actix_web::test]
async fn sessions_without_a_credential_open_nothing_once_one_is_required() {
    for all in Members::everywhere(as_is).await {
        let Place::Sql(store) = &all.place else { continue };
        let own = all.auth.create_session(&Member::new(1)).await.unwrap();
        let forget = sqlx::query("UPDATE user_sessions SET credential = NULL");
        forget.execute(store.pool()).await.unwrap();
        assert!(!all.opens(&own).await);
    }
}

#[actix_web::test]
async fn a_digest_copied_from_another_session_does_not_match() {
    for all in Members::everywhere(as_is).await {
        let Place::Sql(store) = &all.place else { continue };
        let mine = all.auth.create_session(&Member::new(1)).await.unwrap();
        let other = all.auth.create_session(&Member::new(1)).await.unwrap();
        let copy = sqlx::query(
            "UPDATE user_sessions SET credential = (SELECT credential FROM user_sessions \
             WHERE id = ?) WHERE id = ?",
        );
        let copy = copy.bind(&other.id().as_bytes()[..]).bind(&mine.id().as_bytes()[..]);
        copy.execute(store.pool()).await.unwrap();
        assert!(!all.opens(&mine).await);
        assert!(all.opens(&other).await);
    }
}
