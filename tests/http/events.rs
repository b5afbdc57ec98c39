//! What is logged and counted: each event by its name, with its fields, as the page says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{get, http::StatusCode, post, web};
use locals::{
    Auth, AuthUser, Error, Locals, Session, User, require_user, store::MemoryStore, with_session,
};
use tracing::{
    Dispatch, Level,
    field::{Field, Visit},
    subscriber::{DefaultGuard, Interest},
};

use crate::{
    app,
    routes::{login, logout},
    send,
    support::{self, Account, Cart, DAY, FAULT, Fixture, cookie},
};

const PAGE: &str = include_str!("../../docs/observability.md");

/// An event as it was logged.
#[derive(Debug, Clone)]
pub struct Logged {
    level: Level,
    pub fields: BTreeMap<&'static str, String>,
}

impl Visit for Logged {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// Keeps the events of `locals` on this thread.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<Logged>>>);

impl Events {
    /// Keeps them until what comes with them is dropped.
    ///
    /// While there is one subscriber alone, `tracing` asks that of the thread in which an event
    /// first happens, which may be of another test and have none, and never asks again. So there
    /// are two.
    pub fn capture() -> (Self, (Dispatch, DefaultGuard)) {
        let events = Self::default();
        let another = Dispatch::new(events.clone());
        let guard = tracing::subscriber::set_default(events.clone());
        (events, (another, guard))
    }

    /// The events since the last call, by name.
    pub fn take(&self) -> BTreeMap<String, Logged> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        events.into_iter().map(|event| (event.fields["event"].clone(), event)).collect()
    }
}

impl tracing::Subscriber for Events {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "locals"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut logged = Logged { level: *event.metadata().level(), fields: BTreeMap::new() };
        event.record(&mut logged);
        self.0.lock().unwrap().push(logged);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[post("/logout-others")]
#[require_user]
async fn logout_others(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out_other_sessions().await?;
    Ok("")
}

#[post("/act-as/{id}")]
#[require_user]
async fn act_as(id: actix_web::web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&Account { id: *id, name: String::new() }).await?;
    locals.stop_impersonating().await?;
    Ok("")
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, _session: Session) -> String {
    user.name.clone()
}

#[get("/admin")]
#[require_user(check = |account| account.id > 100)]
async fn admin(_user: User<Account>) -> &'static str {
    ""
}

#[get("/login")]
#[require_user(redirect = "/login")]
async fn guarded_login() -> &'static str {
    ""
}

/// Keeps something of a visitor.
#[post("/keep")]
#[with_session]
async fn keep(locals: Locals) -> Result<&'static str, Error> {
    locals.update_guest(|cart: &mut Cart| cart.items.push(1)).await?;
    Ok("")
}

/// Asks for a row that is not there, as one that has to be.
#[get("/missing")]
#[with_session]
async fn missing(database: web::Data<sqlx::SqlitePool>, _locals: Locals) -> Result<String, Error> {
    let find = sqlx::query_scalar("SELECT name FROM accounts WHERE id = 99");
    find.fetch_one(&**database).await.map_err(Error::from)
}

/// A user whose row is asked about their sessions.
#[derive(Clone, AuthUser)]
struct Member {
    id: i64,
    #[auth_user(credential)]
    hash: String,
    is_active: bool,
}

/// Names and levels, as the page lists them.
fn listed() -> BTreeMap<String, String> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').unwrap();
        (name.to_owned(), rest.trim_start_matches(" | ").split(' ').next().unwrap().to_owned())
    })
    .collect()
}

#[actix_web::test]
async fn exactly_the_documented_events_are_emitted_with_their_names_and_levels() {
    let fixture = Fixture::configured(|builder| {
        builder.max_sessions(2).rotate_every(Duration::from_hours(1)).max_guests(1)
    })
    .await;
    for id in 1..=3 {
        fixture.account(id).await;
    }
    let (events, _guard) = Events::capture();
    let database = web::Data::new(fixture.pool().clone());
    let app = app!(
        fixture; database, login, logout, logout_others, act_as, me, admin, guarded_login, keep,
        missing
    );
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut take = || {
        let taken = events.take();
        seen.extend(
            taken
                .iter()
                .map(|(name, event)| (name.clone(), event.level.to_string().to_lowercase())),
        );
        taken
    };
    let session = |id| async move { Account { id, name: String::new() } };
    let create = async |id| fixture.auth.create_session(&session(id).await).await.unwrap();

    // Logging in, out, and too often.
    let first = create(1).await;
    let created = &take()["session_created"];
    assert_eq!(created.fields["session"], first.id().to_string());
    assert_eq!(created.fields["user"], "1");
    fixture.clock.advance(Duration::from_secs(1));
    send!(app, support::post("/login/1"));
    assert_eq!(take()["log_in"].fields["user"], "1");
    fixture.clock.advance(Duration::from_secs(1));
    create(1).await;
    let trimmed = &take()["session_trimmed"];
    assert_eq!(
        (&*trimmed.fields["session"], &*trimmed.fields["user"]),
        (&*first.id().to_string(), "1")
    );
    let other = create(2).await;
    send!(app, support::post("/logout").insert_header(cookie(&other)));
    let ended = take();
    assert_eq!(ended["log_out"].fields["session"], other.id().to_string());
    assert_eq!(ended["session_ended"].fields["session"], other.id().to_string());

    // Tokens.
    let own = create(2).await;
    let reply = send!(app, support::post("/logout-others").insert_header(cookie(&own)));
    let replaced = take();
    assert_eq!(replaced["sessions_ended"].fields["user"], "2");
    assert_eq!(replaced["token_replaced"].fields["session"], own.id().to_string());
    let current = ("Cookie", format!("__Host-session={}", reply.session_cookie()));
    send!(app, support::get("/me").insert_header(cookie(&own)));
    assert_eq!(take()["secret_wrong"].fields["session"], own.id().to_string());
    fixture.clock.advance(Duration::from_hours(1));
    send!(app, support::get("/me").insert_header(current.clone()));
    assert_eq!(take()["token_rotated"].fields["session"], own.id().to_string());
    fixture.clock.advance(Duration::from_mins(1));
    send!(app, support::get("/me").insert_header(current));
    let reused = take();
    assert_eq!(reused["token_superseded"].fields["user"], "2");
    assert_eq!(reused["session_ended"].fields["session"], own.id().to_string());

    // Time.
    let idle = create(3).await;
    fixture.clock.advance(2 * DAY);
    send!(app, support::get("/me").insert_header(cookie(&idle)));
    assert_eq!(take()["session_renewed"].fields["session"], idle.id().to_string());
    let dead = create(3).await;
    fixture.clock.advance(40 * DAY);
    send!(app, support::get("/me").insert_header(cookie(&dead)));
    assert_eq!(take()["session_expired"].fields["session"], dead.id().to_string());

    // Staff.
    let staff = create(1).await;
    send!(app, support::post("/act-as/3").insert_header(cookie(&staff)));
    let acted = take();
    for name in ["impersonation_began", "impersonation_ended"] {
        assert_eq!((&*acted[name].fields["user"], &*acted[name].fields["actor"]), ("3", "1"));
    }

    // What is refused.
    let user = create(2).await;
    send!(app, support::get("/admin?secret=1").insert_header(cookie(&user)));
    let refused = &take()["refused"].fields;
    let expected = [
        ("code", "forbidden"),
        ("method", "GET"),
        ("path", "/admin"),
        ("session", &user.id().to_string()),
        ("user", "2"),
    ];
    for (field, value) in expected {
        assert_eq!(refused[field], value);
    }
    let cross_site = support::post("/logout").insert_header(("Sec-Fetch-Site", "cross-site"));
    send!(app, cross_site);
    assert!(take()["cross_origin_refused"].fields["reason"].contains("Sec-Fetch-Site"));
    let navigation = ("Sec-Fetch-Mode", "navigate");
    send!(app, support::get("/login?secret=1").insert_header(navigation));
    let looping = take();
    let looping = &looping["redirect_loop"].fields;
    assert_eq!((&*looping["path"], &*looping["page"]), ("/login", "/login"));
    let conflicting = format!("__Host-session={}; __Host-session=x", user.token().expose_secret());
    send!(app, support::get("/me").insert_header(("Cookie", conflicting)));
    send!(app, support::get("/me").insert_header(("Cookie", "__Host-session=x")));
    take();

    // Too many, and what is no outage.
    for _ in 0..2 {
        send!(app, support::post("/keep"));
    }
    assert_eq!(take()["guests_full"].fields["most"], "1");
    let reply = send!(app, support::get("/missing"));
    assert_eq!(reply.body, support::problem(500, "internal", "Internal error"));
    let failed = take();
    let cause = &failed["query_failed"].fields["cause"];
    assert!(cause.contains("no rows returned") && cause.contains("`fetch_optional`"), "{cause}");
    assert!(!failed.contains_key("store_failed"));

    // Accounts.
    let members = MemoryStore::new();
    let builder = Auth::<Member>::builder(members.clone()).clock(fixture.clock.clone());
    let auth = builder.active_users(|member| member.is_active).build().unwrap();
    let member = Member { id: 1, hash: "old".to_owned(), is_active: true };
    members.insert_user(member.clone());
    let bound = auth.create_session(&member).await.unwrap();
    for (name, changed) in [
        ("user_inactive", Member { is_active: false, ..member.clone() }),
        ("credential_changed", Member { hash: "new".to_owned(), ..member }),
    ] {
        members.insert_user(changed);
        let token = bound.token().expose_secret();
        assert!(auth.validate_session(token).await.unwrap().is_none(), "{name}");
        assert_eq!(take()[name].fields["session"], bound.id().to_string());
    }

    // Faults.
    sqlx::query("UPDATE user_sessions SET created_at = 'x' WHERE id = ?")
        .bind(user.id().as_bytes().as_slice())
        .execute(fixture.pool())
        .await
        .unwrap();
    send!(app, support::get("/me").insert_header(cookie(&user)));
    fixture.store.fail(true);
    send!(app, support::get("/me").insert_header(cookie(&staff)));
    assert!(take()["store_failed"].fields["cause"].contains(FAULT));

    let difference = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (a.iter().collect(), b.iter().collect());
        a.difference(&b).map(|(name, level)| format!("{name} ({level})")).collect::<Vec<_>>()
    };
    let page = listed();
    assert_eq!(difference(&page, &seen), [""; 0], "on the page, and never seen");
    assert_eq!(difference(&seen, &page), [""; 0], "seen, and not on the page");
}

#[actix_web::test]
async fn reaching_the_guest_limit_is_logged_once_a_minute() {
    let fixture = Fixture::configured(|builder| builder.max_guests(1)).await;
    let (events, _guard) = Events::capture();
    let app = app!(fixture, keep);
    send!(app, support::post("/keep"));
    let mut minutes_with_a_line = 0;
    for minute in 0..3 {
        for second in [0, 1, 58] {
            fixture.clock.advance(Duration::from_secs(second));
            for _ in 0..10 {
                let refused = send!(app, support::post("/keep"));
                assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
            }
            let logged = events.take();
            assert!(!logged.contains_key("store_failed") && !logged.contains_key("refused"));
            assert_eq!(logged.contains_key("guests_full"), second == 0, "{minute}:{second}");
            minutes_with_a_line += usize::from(logged.contains_key("guests_full"));
        }
        fixture.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(minutes_with_a_line, 3);
}

#[cfg(feature = "metrics")]
#[actix_web::test]
async fn every_event_is_counted_under_its_name() {
    use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, Unit};

    #[derive(Default, Clone)]
    struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

    struct Count(Counts, String);

    impl CounterFn for Count {
        fn increment(&self, value: u64) {
            *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
        }

        fn absolute(&self, _: u64) {}
    }

    impl Recorder for Counts {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            let labels: Vec<_> = key.labels().map(metrics::Label::value).collect();
            let name = format!("{} {}", key.name(), labels.join(","));
            Counter::from_arc(Arc::new(Count(self.clone(), name)))
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, login, me);
    let counts = Counts::default();
    let _guard = metrics::set_default_local_recorder(&counts);
    for _ in 0..2 {
        send!(app, support::post("/login/1"));
        send!(app, support::get("/me"));
    }
    let expected = ["log_in", "refused", "session_created"];
    let expected = expected.map(|event| (format!("locals_events_total {event}"), 2));
    assert_eq!(*counts.0.lock().unwrap(), BTreeMap::from(expected));
}
