//! The app's data of a session: typed, and never lost between simultaneous writes.

use actix_web::{App, get, http::StatusCode, post, test::init_service, web};
use futures_util::future::{Either, join_all, select};
use locals::{Auth, AuthUser, Error, Locals, Session, require_user, store::SqlStore, with_session};
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use crate::{
    app,
    routes::{confirm, login, logout},
    send,
    support::{self, Account, Cart, DAY, Fixture, Gate, MINUTE, Reply, as_set, cookie, problem},
};

#[get("/cart")]
#[require_user]
async fn show(session: Session) -> String {
    format!("{:?}", session.data::<Cart>().items)
}

async fn put(locals: &Locals, item: u32) -> Result<usize, Error> {
    let count = locals.update_session(|cart: &mut Cart| {
        cart.items.push(item);
        cart.items.len()
    });
    count.await
}

#[post("/add/{item}")]
#[with_session]
async fn add(item: web::Path<u32>, locals: Locals) -> Result<String, Error> {
    Ok(put(&locals, *item).await?.to_string())
}

/// What the same request reads, before and after it has written, and after it has logged in.
#[post("/read-your-writes")]
#[require_user]
async fn read_your_writes(locals: Locals) -> Result<String, Error> {
    let mut seen = Vec::new();
    for item in 1..=2 {
        seen.push(locals.get_session().await?.unwrap().data::<Cart>().items);
        put(&locals, item).await?;
    }
    let (session, _) = locals.get_session_user::<Account>().await?.unwrap();
    seen.push(session.data::<Cart>().items);
    locals.log_in(&Account::of(1)).await?;
    seen.push(locals.get_session().await?.unwrap().data::<Cart>().items);
    for item in 3..=4 {
        put(&locals, item).await?;
    }
    let (session, _) = locals.get_session_user::<Account>().await?.unwrap();
    seen.push(session.data::<Cart>().items);
    Ok(format!("{seen:?}"))
}

/// What the store holds of a session's data.
async fn stored(fixture: &Fixture, session: &Session) -> Option<String> {
    fixture.row(session).await.unwrap().data
}

async fn store(fixture: &Fixture, json: &str) {
    let update = sqlx::query("UPDATE user_sessions SET data = ?").bind(json);
    update.execute(fixture.pool()).await.unwrap();
}

#[actix_web::test]
async fn data_are_read_with_the_session_and_written_by_one_statement() {
    let fixture = Fixture::new().await;
    let (session, other) = (fixture.session(1).await, fixture.session(2).await);
    let app = app!(fixture, show, add);
    assert_eq!(send!(app, support::get("/cart").insert_header(cookie(&session))).body, "[]");
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 0));
    for (item, count) in [(7, "1"), (8, "2")] {
        fixture.store.forget();
        let request = support::post(&format!("/add/{item}")).insert_header(cookie(&session));
        let reply = send!(app, request);
        assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), (count, true));
        assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 1));
    }
    assert_eq!(send!(app, support::get("/cart").insert_header(cookie(&session))).body, "[7, 8]");
    assert_eq!(send!(app, support::get("/cart").insert_header(cookie(&other))).body, "[]");
}

/// Writes when all have read.
#[post("/add-together/{item}")]
#[require_user]
async fn add_together(
    item: web::Path<u32>,
    _session: Session,
    locals: Locals,
    all: web::Data<Barrier>,
) -> Result<String, Error> {
    all.wait().await;
    Ok(put(&locals, *item).await?.to_string())
}

/// Sends a write of each of these items, to that app in turn; when all have read, all write.
macro_rules! add_together {
    ($apps:expr, $session:expr, $count:expr) => {
        join_all((0..$count).map(|item| {
            let (app, session) = (&$apps[item % $apps.len()], &$session);
            async move {
                let path = format!("/add-together/{item}");
                send!(*app, support::post(&path).insert_header(cookie(session)))
            }
        }))
        .await
    };
}

/// Each answer is a count of its own, and all items are there.
async fn assert_nothing_was_lost(fixture: &Fixture, session: &Session, replies: &[Reply]) {
    let mut counts: Vec<usize> = replies.iter().map(|reply| reply.body.parse().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=replies.len()).collect::<Vec<_>>(), "each saw a count of its own");
    let row = fixture.row(session).await.unwrap();
    assert_eq!(row.data_revision, i64::try_from(replies.len()).unwrap());
    let mut items = serde_json::from_str::<Cart>(&row.data.unwrap()).unwrap().items;
    items.sort_unstable();
    assert_eq!(items, (0..u32::try_from(replies.len()).unwrap()).collect::<Vec<_>>());
}

#[actix_web::test]
async fn four_hundred_simultaneous_writes_cost_one_read_and_one_write_each_and_none_is_lost() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let all = web::Data::new(Barrier::new(400));
    let apps = [app!(fixture; all, add_together)];
    let gate = fixture.store.hold_the_next_write_of_data();
    let requests = async { add_together!(apps, session, 400) };
    let (replies, ()) = gate.while_paused(requests, support::until_others_wait()).await;
    assert_nothing_was_lost(&fixture, &session, &replies).await;
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (400, 400));
}

#[actix_web::test]
async fn simultaneous_writes_of_two_processes_lose_nothing() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let other = Auth::builder(fixture.store.clone()).clock(fixture.clock.clone()).build().unwrap();
    let all = web::Data::new(Barrier::new(50));
    let app = |auth: &Auth<Account>| {
        init_service(
            App::new().app_data(all.clone()).configure(auth.configure()).service(add_together),
        )
    };
    let apps = [app(&fixture.auth).await, app(&other).await];
    let replies = add_together!(apps, session, 50);
    assert_nothing_was_lost(&fixture, &session, &replies).await;
    // Whoever has the turn in one process meets one of the other at most.
    assert!(fixture.store.calls() <= 50 * 4, "{} operations", fixture.store.calls());
}

#[actix_web::test]
async fn a_slow_or_cancelled_write_delays_only_its_own_session_and_only_briefly() {
    let fixture = Fixture::new().await;
    let (session, other) = (fixture.session(1).await, fixture.session(2).await);
    let app = app!(fixture, add, show);
    let write = |item: u32, session: &Session| {
        let request = support::post(&format!("/add/{item}")).insert_header(cookie(session));
        let app = &app;
        Box::pin(async move { send!(*app, request) })
    };
    // One is held up in the store, two wait for it, and one of those goes away.
    let gate = fixture.store.hold_the_next_write_of_data();
    let mut held = write(1, &session);
    assert!(matches!(select(&mut held, Box::pin(gate.reached())).await, Either::Right(_)));
    let mut gone = write(2, &session);
    let mut waiting = write(3, &session);
    for request in [&mut gone, &mut waiting] {
        let reads = fixture.store.reads();
        let until_it_has_read = Box::pin(async {
            while fixture.store.reads() == reads {
                tokio::task::yield_now().await;
            }
        });
        assert!(matches!(select(request, until_it_has_read).await, Either::Right(_)));
    }
    assert_eq!(write(4, &other).await.body, "1", "another session is not concerned");
    let request = support::get("/cart").insert_header(cookie(&session));
    let read = async { send!(app, request) };
    let both = select(&mut gone, &mut waiting);
    let Either::Left((reply, _)) = select(Box::pin(read), both).await else { panic!("they wait") };
    assert_eq!(reply.body, "[]", "nor is who reads");
    assert_eq!(fixture.store.writes(), 2, "the one that is held up, and that of the other session");

    drop(gone);
    drop(held);
    assert_eq!(waiting.await.body, "1");
    assert_eq!(write(5, &session).await.body, "2");
    assert_eq!(stored(&fixture, &session).await.as_deref(), Some(r#"{"items":[3,5]}"#));
}

#[actix_web::test]
async fn a_request_reads_its_own_writes_even_after_it_has_logged_in() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, read_your_writes, show);
    let reply = send!(app, support::post("/read-your-writes").insert_header(cookie(&session)));
    assert_eq!(reply.body, "[[], [1], [1, 2], [1, 2], [1, 2, 3, 4]]");
    let later = send!(app, support::get("/cart").insert_header(as_set(&reply)));
    assert_eq!(later.body, "[1, 2, 3, 4]");
}

#[actix_web::test]
async fn a_write_and_a_renewal_of_one_request_both_stand() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, add);
    let reply = send!(app, support::post("/add/7").insert_header(cookie(&session)));
    assert_eq!(reply.session_cookie(), session.token().expose_secret());
    let row = fixture.row(&session).await.unwrap();
    assert_eq!(row.idle_expires_at, fixture.now() + 15 * DAY);
    assert_eq!(row.data.as_deref(), Some(r#"{"items":[7]}"#));
}

#[actix_web::test]
async fn data_stay_with_the_session_and_its_user_and_end_with_it() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let stranger = fixture.session(2).await;
    let app = app!(fixture, add, show, confirm, login);
    for session in [&session, &stranger] {
        send!(app, support::post("/add/7").insert_header(cookie(session)));
    }
    let confirmed = send!(app, support::post("/confirm").insert_header(cookie(&session)));
    let reply = send!(app, support::get("/cart").insert_header(as_set(&confirmed)));
    assert_eq!(reply.body, "[7]");
    // Who logs in again, as with a second factor, keeps them; somebody else gets none of them.
    let again = send!(app, support::post("/login/1").insert_header(as_set(&confirmed)));
    let reply = send!(app, support::get("/cart").insert_header(as_set(&again)));
    assert_eq!(reply.body, "[7]");
    let other = send!(app, support::post("/login/1").insert_header(cookie(&stranger)));
    let reply = send!(app, support::get("/cart").insert_header(as_set(&other)));
    assert_eq!(reply.body, "[]");
}

#[post("/paused-add")]
#[require_user]
async fn paused_add(locals: Locals, gate: web::Data<Gate>) -> Result<String, Error> {
    gate.pass().await;
    Ok(put(&locals, 7).await?.to_string())
}

#[post("/add-paused")]
#[require_user]
async fn add_paused(locals: Locals, gate: web::Data<Gate>) -> Result<String, Error> {
    let count = put(&locals, 7).await?;
    gate.pass().await;
    Ok(count.to_string())
}

#[actix_web::test]
async fn a_write_never_brings_back_a_session_that_was_ended_meanwhile() {
    let fixture = Fixture::new().await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, paused_add, add_paused, logout);
    let cases = ["/paused-add", "/add-paused"].map(|path| [(path, MINUTE), (path, 2 * DAY)]);
    for (id, (path, age)) in (1..).zip(cases.concat()) {
        for by_log_out in [true, false] {
            let session = fixture.session(if by_log_out { id } else { id + 10 }).await;
            fixture.clock.advance(age);
            let write = async { send!(app, support::post(path).insert_header(cookie(&session))) };
            let ending = async {
                if by_log_out {
                    send!(app, support::post("/logout").insert_header(cookie(&session)));
                } else {
                    let user = session.user_id().clone();
                    fixture.auth.invalidate_user_sessions(user).await.unwrap();
                }
            };
            let (reply, ()) = gate.while_paused(write, ending).await;
            let expected =
                if path == "/paused-add" { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
            assert_eq!(reply.status, expected, "{path}");
            assert!(reply.sets_no_cookie(), "{path}");
            assert_eq!(fixture.rows().await, 0, "{path}");
        }
    }
}

#[actix_web::test]
async fn nothing_is_written_without_a_session_or_after_logging_out() {
    #[post("/logout-then-add")]
    #[with_session]
    async fn logout_then_add(locals: Locals) -> Result<String, Error> {
        locals.log_out().await?;
        Ok(put(&locals, 7).await?.to_string())
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, add, logout_then_add);
    let reply = send!(app, support::post("/add/7"));
    assert_eq!((reply.status, fixture.store.calls()), (StatusCode::UNAUTHORIZED, 0));
    let reply = send!(app, support::post("/logout-then-add").insert_header(cookie(&session)));
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert!(reply.removes_the_cookie());
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn a_fault_of_the_store_leaves_the_data_as_they_were() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, add);
    send!(app, support::post("/add/7").insert_header(cookie(&session)));
    fixture.store.fail_writes(true);
    let reply = send!(app, support::post("/add/8").insert_header(cookie(&session)));
    assert_eq!(reply.body, problem(503, "unavailable", "Temporarily unavailable"));
    assert_eq!(stored(&fixture, &session).await.as_deref(), Some(r#"{"items":[7]}"#));
}

#[actix_web::test]
async fn data_of_older_and_newer_versions_of_the_app_are_read_and_kept() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, show, add);
    for (json, read, then_stored) in [
        (r"{}", "[]", r#"{"items":[7]}"#),
        (r#"{"voucher":"X"}"#, "[]", r#"{"items":[7],"voucher":"X"}"#),
        (r#"{"items":[1],"voucher":{"a":[1]}}"#, "[1]", r#"{"items":[1,7],"voucher":{"a":[1]}}"#),
        (r#"{"items":"of another type","voucher":"X"}"#, "[]", r#"{"items":[7],"voucher":"X"}"#),
        (r"[1,2]", "[]", r#"{"items":[7]}"#),
        (r"no JSON", "[]", r#"{"items":[7]}"#),
        ("", "[]", r#"{"items":[7]}"#),
    ] {
        store(&fixture, json).await;
        let reply = send!(app, support::get("/cart").insert_header(cookie(&session)));
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, read), "{json}");
        assert_eq!(stored(&fixture, &session).await.as_deref(), Some(json), "reading changes none");
        send!(app, support::post("/add/7").insert_header(cookie(&session)));
        assert_eq!(stored(&fixture, &session).await.as_deref(), Some(then_stored), "{json}");
    }
}

#[actix_web::test]
async fn a_session_holds_64_kibibytes_and_no_more() {
    #[post("/fill/{count}")]
    #[require_user]
    async fn fill(count: web::Path<usize>, locals: Locals) -> Result<String, Error> {
        locals.update_session(|cart: &mut Cart| cart.items = vec![1; *count]).await?;
        Ok(String::new())
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, fill);
    // `{"items":[1,1]}` has 11 bytes and two for each item.
    let most = (64 * 1024 - 11) / 2;
    let request = |count| support::post(&format!("/fill/{count}")).insert_header(cookie(&session));
    assert_eq!(send!(app, request(most)).status, StatusCode::OK);
    let full = stored(&fixture, &session).await;
    assert_eq!(full.as_ref().unwrap().len(), 64 * 1024 - 1);

    let refused = send!(app, request(most + 1));
    assert_eq!(refused.body, problem(413, "too_much_data", "More data than can be kept"));
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(stored(&fixture, &session).await, full);
}

#[actix_web::test]
async fn data_of_another_type_of_user_are_an_error_of_the_app() {
    #[derive(Default, Serialize, Deserialize)]
    struct Draft {
        text: String,
    }
    #[derive(Clone, AuthUser)]
    #[auth_user(table = "accounts", session = Draft)]
    struct Member {
        id: i64,
    }
    #[post("/write")]
    #[require_user]
    async fn write(locals: Locals) -> Result<&'static str, Error> {
        let error = locals.update_session(|draft: &mut Draft| draft.text.push('a')).await;
        assert!(matches!(error, Err(Error::WrongUser { .. })), "{error:?}");
        error.map(|()| "")
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, write);
    let reply = send!(app, support::post("/write").insert_header(cookie(&session)));
    assert_eq!(reply.body, problem(500, "internal", "Internal error"));
    assert_eq!(fixture.store.writes(), 0);
    assert_eq!(stored(&fixture, &session).await, None);
}

/// Data of which each version of an app has its own type, and a user whose data they are.
macro_rules! version {
    ($user:ident, $data:ident, $step:ident: $($variant:ident)*; $($field:ident: $type:ty),*) => {
        #[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
        enum $step {
            #[default]
            Start,
            $($variant(u32),)*
        }
        #[derive(Debug, Default, Serialize, Deserialize)]
        struct $data {
            step: $step,
            count: u32,
            $(#[serde(alias = "otp")] $field: $type,)*
        }
        #[derive(Clone, sqlx::FromRow, AuthUser)]
        #[auth_user(table = "accounts", session = $data)]
        struct $user {
            id: i64,
        }
    };
}

version!(FirstUser, First, FirstStep: Address; otp: Option<String>);
version!(SecondUser, Second, SecondStep: Address Payment; code: Option<String>);

#[post("/first")]
#[require_user]
async fn first(locals: Locals) -> Result<String, Error> {
    let seen = locals.update_session(|data: &mut First| {
        data.count += 1;
        format!("{:?} {:?}", data.step, data.otp)
    });
    seen.await
}

#[post("/second/{pays}")]
#[require_user]
async fn second(pays: web::Path<bool>, locals: Locals) -> Result<String, Error> {
    let seen = locals.update_session(|data: &mut Second| {
        let seen = format!("{:?} {:?} {}", data.step, data.code.take(), data.count);
        if *pays {
            data.step = SecondStep::Payment(7);
        }
        seen
    });
    seen.await
}

#[actix_web::test]
async fn two_versions_of_an_app_write_one_session_and_neither_resets_what_the_other_has_written() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    store(&fixture, r#"{"step":{"Address":1},"count":1,"otp":"123","theme":"dark"}"#).await;
    let auth = Auth::<FirstUser>::builder(SqlStore::new(fixture.pool().clone())).build().unwrap();
    let older = init_service(App::new().configure(auth.configure()).service(first)).await;
    let auth = Auth::<SecondUser>::builder(SqlStore::new(fixture.pool().clone())).build().unwrap();
    let newer = init_service(App::new().configure(auth.configure()).service(second)).await;
    let request = |path: &str| support::post(path).insert_header(cookie(&session));
    let seen = [
        send!(older, request("/first")).body,
        send!(newer, request("/second/true")).body,
        send!(older, request("/first")).body,
        send!(newer, request("/second/false")).body,
    ];
    let expected = [
        r#"Address(1) Some("123")"#,
        r#"Address(1) Some("123") 2"#,
        "Start None",
        "Payment(7) None 3",
    ];
    assert_eq!(seen, expected);
    let expected = r#"{"code":null,"count":3,"step":{"Payment":7},"theme":"dark"}"#;
    assert_eq!(stored(&fixture, &session).await.as_deref(), Some(expected));
}

#[actix_web::test]
async fn data_that_cannot_be_read_back_are_an_error_and_change_nothing() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Prices {
        price: f64,
        items: Vec<u32>,
    }
    #[derive(Clone, sqlx::FromRow, AuthUser)]
    #[auth_user(table = "accounts", session = Prices)]
    struct Buyer {
        id: i64,
    }
    #[post("/price")]
    #[require_user]
    async fn price(locals: Locals) -> Result<&'static str, Error> {
        let change = |prices: &mut Prices| {
            prices.items.push(1);
            prices.price /= 0.0;
        };
        let error = locals.update_session(change).await;
        assert!(matches!(error, Err(Error::UnwritableData(_))), "{error:?}");
        error.map(|()| "")
    }
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let auth = Auth::<Buyer>::builder(SqlStore::new(fixture.pool().clone())).build().unwrap();
    let app = init_service(App::new().configure(auth.configure()).service(price)).await;
    for json in [r#"{"items":[3],"price":0.0}"#, r#"{"items":[3],"price":1.0}"#] {
        store(&fixture, json).await;
        let reply = send!(app, support::post("/price").insert_header(cookie(&session)));
        assert_eq!(reply.body, problem(500, "internal", "Internal error"));
        assert_eq!(stored(&fixture, &session).await.as_deref(), Some(json));
        assert_eq!(fixture.row(&session).await.unwrap().data_revision, 0);
    }
}
