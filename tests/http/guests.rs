//! What is kept of visitors who have not logged in, and how they take it along.

use std::time::Duration;

use actix_web::{
    App, get,
    http::StatusCode,
    post,
    test::{TestRequest, init_service},
    web,
};
use futures_util::future::join_all;
use locals::{Auth, AuthBuilder, Error, Locals, Session, User, require_user, with_session};
use tokio::sync::Barrier;

use crate::{
    app, routes, send,
    support::{
        self, Account, Cart, DAY, Fixture, Gate, Reply, as_set, cookie, just_before, problem,
    },
};

#[get("/cart")]
#[with_session]
async fn show(locals: Locals) -> Result<String, Error> {
    Ok(format!("{:?}", locals.guest::<Cart>().await?.items))
}

async fn put(locals: &Locals, item: u32) -> Result<usize, Error> {
    let count = locals.update_guest(|cart: &mut Cart| {
        cart.items.push(item);
        cart.items.len()
    });
    count.await
}

#[post("/add/{item}")]
#[with_session]
async fn add(item: web::Path<u32>, locals: Locals) -> Result<String, Error> {
    let count = put(&locals, *item).await?;
    assert_eq!(locals.guest::<Cart>().await?.items.len(), count, "it reads its own write");
    Ok(count.to_string())
}

/// Takes out the last item, if there is one.
#[post("/take")]
#[with_session]
async fn take(locals: Locals) -> Result<String, Error> {
    Ok(format!("{:?}", locals.update_guest(|cart: &mut Cart| cart.items.pop()).await?))
}

#[post("/forget")]
#[with_session]
async fn forget(locals: Locals) -> Result<String, Error> {
    locals.forget_guest().await?;
    Ok(format!("{:?}", locals.guest::<Cart>().await?.items))
}

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<String, Error> {
    let session = locals.log_in(&Account::of(1)).await?;
    Ok(format!("{:?}", session.data::<Cart>().items))
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, session: Session) -> String {
    format!("{} {:?}", user.name, session.data::<Cart>().items)
}

fn merging(builder: AuthBuilder<Account>) -> AuthBuilder<Account> {
    builder.merge_guest(|guest: Cart, cart: &mut Cart| cart.items.extend(guest.items))
}

/// How many guests are stored whose data no login has taken over.
async fn guests(fixture: &Fixture) -> i64 {
    let count = "SELECT COUNT(*) FROM guest_sessions WHERE data NOT LIKE 'moved %'";
    sqlx::query_scalar(count).fetch_one(fixture.pool()).await.unwrap()
}

/// How many rows of guests there are, with those that only say who follows.
async fn rows_of_guests(fixture: &Fixture) -> i64 {
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM guest_sessions");
    count.fetch_one(fixture.pool()).await.unwrap()
}

/// The token of the guest that an answer has set.
fn token(reply: &Reply) -> String {
    let cookie = reply.guest_cookie().unwrap();
    let (pair, _) = cookie.split_once(';').unwrap();
    pair.split_once('=').unwrap().1.to_owned()
}

/// The header that presents a guest.
fn as_guest(token: &str) -> (&'static str, String) {
    ("Cookie", format!("__Host-session-guest={token}"))
}

fn removes_the_guest(reply: &Reply) -> bool {
    reply.guest_cookie().is_some_and(|cookie| {
        cookie.starts_with("__Host-session-guest=;") && cookie.contains("Max-Age=0")
    })
}

#[actix_web::test]
async fn reading_an_absent_guest_leaves_no_row_and_sets_no_cookie() {
    let fixture = Fixture::configured(merging).await;
    let app = app!(fixture, show, forget);
    for _ in 0..50 {
        for request in [support::get("/cart"), support::post("/forget")] {
            let reply = send!(app, request);
            assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), ("[]", true));
        }
    }
    assert_eq!((guests(&fixture).await, fixture.store.calls()), (0, 0));
}

#[actix_web::test]
async fn an_update_to_the_default_creates_no_guest_and_is_stored_for_an_existing_one() {
    let fixture = Fixture::configured(merging).await;
    let app = app!(fixture, show, add, take);
    let reply = send!(app, support::post("/take"));
    assert_eq!((reply.body.as_str(), reply.sets_no_cookie()), ("None", true));
    assert_eq!((guests(&fixture).await, fixture.store.calls()), (0, 0));

    let own = token(&send!(app, support::post("/add/7")));
    let guest = as_guest(&own);
    for expected in ["Some(7)", "None"] {
        let reply = send!(app, support::post("/take").insert_header(guest.clone()));
        assert_eq!((reply.body.as_str(), token(&reply)), (expected, own.clone()));
    }
    assert_eq!(send!(app, support::get("/cart").insert_header(guest)).body, "[]");
    assert_eq!(guests(&fixture).await, 1);
}

#[actix_web::test]
async fn the_first_write_makes_a_row_and_a_cookie_with_these_attributes() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, show, add);
    let reply = send!(app, support::post("/add/7"));
    let mut attributes: Vec<_> = reply.guest_cookie().unwrap().split("; ").skip(1).collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax", "Secure"]);
    assert_eq!(reply.set_cookies().len(), 1, "and no session's");
    assert_eq!(token(&reply).len(), 64);
    assert_eq!((guests(&fixture).await, fixture.rows().await), (1, 0));

    fixture.store.forget();
    let guest = as_guest(&token(&reply));
    assert_eq!(send!(app, support::get("/cart").insert_header(guest.clone())).body, "[7]");
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 0));
    fixture.store.forget();
    let again = send!(app, support::post("/add/8").insert_header(guest));
    assert_eq!((again.body.as_str(), token(&again)), ("2", token(&reply)));
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (1, 1));
}

#[actix_web::test]
async fn a_response_that_read_the_guest_is_private() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, show, add);
    let read = send!(app, support::get("/cart"));
    assert_eq!(read.header("Vary"), Some("Cookie"));
    assert_eq!(read.header("Cache-Control"), Some("private, no-store"));
    let written = send!(app, support::post("/add/7"));
    assert_eq!(written.header("Vary"), Some("Cookie"));
    assert_eq!(written.header("Cache-Control"), Some("no-store"));
}

/// Writes when all have read.
#[post("/add-together/{item}")]
#[with_session]
async fn add_together(
    item: web::Path<u32>,
    locals: Locals,
    all: web::Data<Barrier>,
) -> Result<String, Error> {
    locals.guest::<Cart>().await?;
    all.wait().await;
    Ok(put(&locals, *item).await?.to_string())
}

#[actix_web::test]
async fn simultaneous_writes_of_a_guest_take_turns_and_lose_nothing() {
    let fixture = Fixture::new().await;
    let all = web::Data::new(Barrier::new(30));
    let app = app!(fixture; all, show, add, add_together);
    let guest = as_guest(&token(&send!(app, support::post("/add/0"))));
    let gate = fixture.store.hold_the_next_write_of_data();
    let requests =
        join_all((1..=30).map(|item| {
            let (app, guest) = (&app, guest.clone());
            async move {
                send!(*app, support::post(&format!("/add-together/{item}")).insert_header(guest))
            }
        }));
    let (replies, ()) = gate.while_paused(requests, support::until_others_wait()).await;
    let mut counts: Vec<u32> = replies.iter().map(|reply| reply.body.parse().unwrap()).collect();
    counts.sort_unstable();
    assert_eq!(counts, (2..=31).collect::<Vec<_>>());
    let cart = send!(app, support::get("/cart").insert_header(guest.clone())).body;
    let mut items: Vec<u32> = serde_json::from_str(&cart).unwrap();
    items.sort_unstable();
    assert_eq!(items, (0..=30).collect::<Vec<_>>());
    assert!(replies.iter().all(|reply| as_guest(&token(reply)) == guest));
    assert_eq!(fixture.store.writes(), 1 + 30);
}

// Logging in.

#[actix_web::test]
async fn a_login_takes_over_the_data_of_the_guest_in_one_step() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login, me);
    let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
    fixture.store.forget();
    let reply = send!(app, support::post("/login").insert_header(guest.clone()));
    assert_eq!(reply.body, "[7]");
    assert_eq!(fixture.store.writes(), 1);
    assert_eq!(reply.guest_cookie(), None, "another request may just have set one");
    assert_eq!((guests(&fixture).await, fixture.rows().await), (0, 1));
    let read = send!(app, support::get("/me").insert_header(as_set(&reply)));
    assert_eq!(read.body, "name-1 [7]");
    let replayed = send!(app, support::get("/cart").insert_header(guest));
    assert_eq!(replayed.body, "[]");
}

#[actix_web::test]
async fn a_login_that_is_not_stored_leaves_the_guest_as_it_was() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login);
    let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
    fixture.store.collide();
    let not_created = send!(app, support::post("/login").insert_header(guest.clone()));
    let unchangeable = "CREATE TRIGGER unchangeable BEFORE UPDATE ON guest_sessions
        BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    sqlx::query(unchangeable).execute(fixture.pool()).await.unwrap();
    let not_ended = send!(app, support::post("/login").insert_header(guest.clone()));
    for reply in [not_created, not_ended] {
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(reply.sets_no_cookie());
    }
    assert_eq!((guests(&fixture).await, fixture.rows().await), (1, 0));
    assert_eq!(send!(app, support::get("/cart").insert_header(guest)).body, "[7]");
}

#[actix_web::test]
async fn a_login_keeps_the_guest_by_default() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login);
    let guest = token(&send!(app, support::post("/add/7")));
    let reply = send!(app, support::post("/login").insert_header(as_guest(&guest)));
    assert_eq!((reply.body.as_str(), reply.guest_cookie()), ("[]", None));
    let both = format!("__Host-session={}; __Host-session-guest={guest}", reply.session_cookie());
    assert_eq!(send!(app, support::get("/cart").insert_header(("Cookie", both))).body, "[7]");
}

#[actix_web::test]
async fn guest_data_written_in_the_login_request_are_taken_over() {
    #[post("/add-and-login")]
    #[with_session]
    async fn add_and_login(locals: Locals) -> Result<String, Error> {
        put(&locals, 8).await?;
        let session = locals.log_in(&Account::of(1)).await?;
        assert!(locals.guest::<Cart>().await?.items.is_empty());
        Ok(format!("{:?}", session.data::<Cart>().items))
    }
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, add, add_and_login);
    let own = token(&send!(app, support::post("/add/7")));
    let guest = as_guest(&own);
    for (request, expected) in [
        (support::post("/add-and-login").insert_header(guest), "[7, 8]"),
        (support::post("/add-and-login"), "[8]"),
    ] {
        let reply = send!(app, request);
        assert_eq!(reply.body, expected);
        assert_eq!(reply.guest_cookie(), None);
        assert_eq!(guests(&fixture).await, 0);
    }
}

#[actix_web::test]
async fn exactly_one_of_ten_simultaneous_logins_takes_over_the_data_of_a_guest() {
    for user_of in [|_: i64| 1, |number: i64| number] {
        let fixture = Fixture::configured(merging).await;
        for id in 1..=10 {
            fixture.account(id).await;
        }
        let all = web::Data::new(Barrier::new(10));
        let app = app!(fixture; all, add, login_together);
        let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
        let log_ins = (1..=10).map(|number| {
            let (app, guest) = (&app, guest.clone());
            async move {
                let path = format!("/login-together/{}", user_of(number));
                send!(*app, support::post(&path).insert_header(guest))
            }
        });
        let replies = join_all(log_ins).await;
        assert!(replies.iter().all(|reply| reply.status == StatusCode::OK), "{replies:?}");
        let with_cart = replies.iter().filter(|reply| reply.body == "[7]").count();
        let without = replies.iter().filter(|reply| reply.body == "[]").count();
        assert_eq!((with_cart, without), (1, 9));
        assert_eq!((guests(&fixture).await, fixture.rows().await), (0, 10));
    }
}

#[actix_web::test]
async fn exactly_one_of_ten_simultaneous_logins_takes_over_the_data_of_a_session() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let all = web::Data::new(Barrier::new(10));
    let app = app!(fixture; all, add, login, login_together);
    let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
    let first = send!(app, support::post("/login").insert_header(guest));
    let log_ins = (0..10).map(|_| {
        let (app, presented) = (&app, as_set(&first));
        async move { send!(*app, support::post("/login-together/1").insert_header(presented)) }
    });
    let replies = join_all(log_ins).await;
    assert!(replies.iter().all(|reply| reply.status == StatusCode::OK), "{replies:?}");
    let with_cart = replies.iter().filter(|reply| reply.body == "[7]").count();
    assert_eq!((with_cart, fixture.rows().await), (1, 10));
}

/// Logs in when all have read what they present.
#[post("/login-together/{id}")]
#[with_session]
async fn login_together(
    id: web::Path<i64>,
    session: Option<Session>,
    locals: Locals,
    all: web::Data<Barrier>,
) -> Result<String, Error> {
    drop(session);
    locals.guest::<Cart>().await?;
    all.wait().await;
    let session = locals.log_in(&Account::of(*id)).await?;
    Ok(format!("{:?}", session.data::<Cart>().items))
}

#[actix_web::test]
async fn a_write_during_a_login_is_taken_over() {
    #[post("/paused-login")]
    #[with_session]
    async fn paused_login(
        session: Option<Session>,
        locals: Locals,
        gate: web::Data<Gate>,
    ) -> Result<String, Error> {
        drop(session);
        locals.guest::<Cart>().await?;
        gate.pass().await;
        let session = locals.log_in(&Account::of(1)).await?;
        Ok(format!("{:?}", session.data::<Cart>().items))
    }
    #[post("/keep/{item}")]
    #[with_session]
    async fn keep(item: web::Path<u32>, locals: Locals) -> Result<String, Error> {
        locals.update_session(|cart: &mut Cart| cart.items.push(*item)).await?;
        Ok(String::new())
    }
    let fixture = Fixture::configured(merging).await;
    let session = fixture.session(1).await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, add, keep, paused_login);
    let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
    let both = ("Cookie", format!("{}; {}", cookie(&session).1, guest.1));
    let log_in = async { send!(app, support::post("/paused-login").insert_header(both.clone())) };
    let writes = async {
        send!(app, support::post("/add/8").insert_header(guest.clone()));
        let kept = send!(app, support::post("/keep/9").insert_header(cookie(&session)));
        assert_eq!(kept.status, StatusCode::OK);
    };
    let (reply, ()) = gate.while_paused(log_in, writes).await;
    assert_eq!(reply.body, "[9, 7, 8]");
    assert_eq!((guests(&fixture).await, fixture.rows().await), (0, 1));
}

#[actix_web::test]
async fn a_write_that_follows_a_simultaneous_login_creates_another_guest() {
    #[post("/paused-add")]
    #[with_session]
    async fn paused_add(locals: Locals, gate: web::Data<Gate>) -> Result<String, Error> {
        locals.guest::<Cart>().await?;
        gate.pass().await;
        Ok(put(&locals, 8).await?.to_string())
    }
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, add, paused_add, login);
    let guest = token(&send!(app, support::post("/add/7")));
    let write = async { send!(app, support::post("/paused-add").insert_header(as_guest(&guest))) };
    let log_in = async {
        let reply = send!(app, support::post("/login").insert_header(as_guest(&guest)));
        assert_eq!(reply.body, "[7]");
    };
    let (reply, ()) = gate.while_paused(write, log_in).await;
    assert_eq!(reply.body, "1", "what was taken along is not there twice");
    assert_ne!(token(&reply), guest);
    assert_eq!(guests(&fixture).await, 1);
}

// Who follows.

#[actix_web::test]
async fn the_old_guest_token_leads_to_one_successor_for_a_minute() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login);
    let old = as_guest(&token(&send!(app, support::post("/add/7"))));
    // Other processes, that know of each other by the store alone.
    let node = |fixture: &Fixture| {
        let builder = Auth::builder(fixture.store.clone()).clock(fixture.clock.clone());
        merging(builder).build().unwrap()
    };
    let app_of = |auth: &Auth<Account>| {
        init_service(App::new().configure(auth.configure()).service((show, add, login)))
    };
    let nodes = [node(&fixture), node(&fixture)];
    let (second, third) = (app_of(&nodes[0]).await, app_of(&nodes[1]).await);
    assert_eq!(send!(app, support::post("/login").insert_header(old.clone())).body, "[7]");
    let read = || support::get("/cart").insert_header(old.clone());
    let write = |item| support::post(&format!("/add/{item}")).insert_header(old.clone());
    assert_eq!(send!(second, read()).body, "[]", "what was taken along is not there twice");

    let first = send!(second, write(8));
    let successor = as_guest(&token(&first));
    assert_ne!(successor, old);
    for (count, reply) in [(1, first), (2, send!(third, write(9))), (3, send!(app, write(10)))] {
        assert_eq!(
            (&reply.body, as_guest(&token(&reply))),
            (&count.to_string(), successor.clone())
        );
    }
    let minute = Duration::from_mins(1);
    fixture.clock.advance(just_before(minute));
    assert_eq!(send!(third, read()).body, "[8, 9, 10]");
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(send!(third, read()).body, "[]");
    let anew = send!(third, write(11));
    assert_eq!(anew.body, "1");
    assert!(![&old, &successor].contains(&&as_guest(&token(&anew))));
    assert_eq!(send!(app, support::post("/login").insert_header(old.clone())).body, "[]");
    let kept = send!(app, support::get("/cart").insert_header(successor));
    assert_eq!(kept.body, "[8, 9, 10]", "who has their own token keeps it");
}

#[actix_web::test]
async fn the_row_that_names_the_successor_holds_no_token_and_no_data() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, add, login);
    let old = token(&send!(app, support::post("/add/1234567")));
    assert_eq!(send!(app, support::post("/login").insert_header(as_guest(&old))).body, "[1234567]");
    let row = "SELECT data FROM guest_sessions WHERE data LIKE 'moved %'";
    let left: String = sqlx::query_scalar(row).fetch_one(fixture.pool()).await.unwrap();
    let successor = token(&send!(app, support::post("/add/8").insert_header(as_guest(&old))));
    assert!(!left.contains("1234567"), "{left}");
    for secret in [&old, &successor] {
        for place in 22..=56 {
            assert!(!left.contains(&secret[place..place + 8]), "{left} has a part of {secret}");
        }
    }
    // Nor does the row alone lead there: a token of the same id with another secret finds nobody.
    let forged = format!("{}{}", &old[..24], "A".repeat(40));
    let reply = send!(app, support::post("/add/9").insert_header(as_guest(&forged)));
    assert_eq!(reply.body, "1");
    assert_ne!(token(&reply), successor);
}

#[actix_web::test]
async fn a_second_login_with_the_old_guest_token_takes_over_the_successor_if_any() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login);
    let old = as_guest(&token(&send!(app, support::post("/add/7"))));
    let log_in = || support::post("/login").insert_header(old.clone());
    assert_eq!(send!(app, log_in()).body, "[7]");
    assert_eq!(send!(app, log_in()).body, "[]");
    let mut successors = Vec::new();
    for item in ["8", "9"] {
        let request = support::post(&format!("/add/{item}")).insert_header(old.clone());
        let reply = send!(app, request);
        assert_eq!(reply.body, "1", "another one after each login");
        successors.push(token(&reply));
        assert_eq!(send!(app, log_in()).body, format!("[{item}]"));
        assert_eq!(send!(app, log_in()).body, "[]");
    }
    assert_ne!(successors[0], successors[1]);
    assert_eq!((guests(&fixture).await, rows_of_guests(&fixture).await), (0, 3));
}

#[actix_web::test]
async fn forgetting_or_logging_out_by_the_old_guest_token_ends_the_successor_too() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login, forget, routes::logout);
    for verb in ["/forget", "/logout"] {
        for writes in [false, true] {
            let guest = token(&send!(app, support::post("/add/7")));
            let logged_in = send!(app, support::post("/login").insert_header(as_guest(&guest)));
            if writes {
                send!(app, support::post("/add/8").insert_header(as_guest(&guest)));
            }
            let both = format!("{}; {}", as_set(&logged_in).1, as_guest(&guest).1);
            let reply = send!(app, support::post(verb).insert_header(("Cookie", both)));
            assert_eq!(reply.status, StatusCode::OK, "{verb}");
            assert!(removes_the_guest(&reply), "{verb}");
            assert_eq!(rows_of_guests(&fixture).await, 0, "{verb}");
        }
    }
}

#[actix_web::test]
async fn a_guest_write_after_a_login_in_one_request_goes_to_the_successor() {
    #[post("/login-and-add")]
    #[with_session]
    async fn login_and_add(locals: Locals) -> Result<String, Error> {
        put(&locals, 7).await?;
        locals.log_in(&Account::of(1)).await?;
        Ok(put(&locals, 8).await?.to_string())
    }
    #[post("/login-and-forget")]
    #[with_session]
    async fn login_and_forget(locals: Locals) -> Result<String, Error> {
        put(&locals, 7).await?;
        locals.log_in(&Account::of(1)).await?;
        put(&locals, 8).await?;
        locals.forget_guest().await?;
        Ok(format!("{:?}", locals.guest::<Cart>().await?.items))
    }
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login_and_add, login_and_forget);
    let old = as_guest(&token(&send!(app, support::post("/add/6"))));
    let reply = send!(app, support::post("/login-and-add").insert_header(old.clone()));
    assert_eq!(reply.body, "1");
    let late = send!(app, support::post("/add/9").insert_header(old));
    assert_eq!((late.body.as_str(), token(&late)), ("2", token(&reply)));

    sqlx::query("DELETE FROM guest_sessions").execute(fixture.pool()).await.unwrap();
    let old = as_guest(&token(&send!(app, support::post("/add/6"))));
    let reply = send!(app, support::post("/login-and-forget").insert_header(old));
    assert_eq!((reply.body.as_str(), removes_the_guest(&reply)), ("[]", true));
    assert_eq!(rows_of_guests(&fixture).await, 0);
}

#[actix_web::test]
async fn a_successor_that_has_ended_is_followed_by_a_new_guest() {
    let short = Duration::from_secs(20);
    let fixture = Fixture::configured(|builder| merging(builder).guest_lifetime(short)).await;
    fixture.account(1).await;
    // Of an earlier deployment, whose guests lived longer.
    let before = Auth::builder(fixture.store.clone()).clock(fixture.clock.clone());
    let before = merging(before).build().unwrap();
    let before = init_service(App::new().configure(before.configure()).service((add, login))).await;
    let app = app!(fixture, add);
    let old = as_guest(&token(&send!(before, support::post("/add/7"))));
    send!(before, support::post("/login").insert_header(old.clone()));
    let successor = token(&send!(app, support::post("/add/8").insert_header(old.clone())));
    fixture.clock.advance(short);
    let anew = send!(app, support::post("/add/9").insert_header(old));
    assert_eq!(anew.body, "1");
    assert_ne!(token(&anew), successor);
}

#[actix_web::test]
async fn simultaneous_late_writes_all_go_to_one_successor() {
    let fixture = Fixture::configured(merging).await;
    fixture.account(1).await;
    let all = web::Data::new(Barrier::new(20));
    let app = app!(fixture; all, show, add, add_together, login);
    let old = as_guest(&token(&send!(app, support::post("/add/0"))));
    send!(app, support::post("/login").insert_header(old.clone()));
    let replies =
        join_all((1..=20).map(|item| {
            let (app, old) = (&app, old.clone());
            async move {
                send!(*app, support::post(&format!("/add-together/{item}")).insert_header(old))
            }
        }));
    let replies = replies.await;
    let successor = token(&replies[0]);
    assert!(replies.iter().all(|reply| token(reply) == successor));
    let read = support::get("/cart").insert_header(as_guest(&successor));
    let mut items: Vec<u32> = serde_json::from_str(&send!(app, read).body).unwrap();
    items.sort_unstable();
    assert_eq!(items, (1..=20).collect::<Vec<_>>());
}

// Who is none.

#[actix_web::test]
async fn a_token_that_the_server_did_not_issue_is_no_guest_and_never_adopted() {
    let fixture = Fixture::configured(merging).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, show, add, login);
    let guest = token(&send!(app, support::post("/add/7")));
    let wrong_secret = format!("{}{}", &guest[..24], "A".repeat(40));
    let of_a_session = session.token().expose_secret().to_owned();
    for forged in ["a".repeat(64), wrong_secret, of_a_session, "x".to_owned(), String::new()] {
        let forged = as_guest(&forged);
        let read = send!(app, support::get("/cart").insert_header(forged.clone()));
        assert_eq!((read.status, read.body.as_str()), (StatusCode::OK, "[]"));
        let written = send!(app, support::post("/add/8").insert_header(forged.clone()));
        assert_eq!(written.body, "1");
        assert_ne!(as_guest(&token(&written)), forged);
        let logged_in = send!(app, support::post("/login").insert_header(forged));
        assert_eq!(logged_in.body, "[]");
    }
    let read = send!(app, support::get("/cart").insert_header(as_guest(&guest)));
    assert_eq!(read.body, "[7]", "theirs is as it was");
}

#[actix_web::test]
async fn a_guest_is_not_logged_in() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, add, show, me);
    let guest = token(&send!(app, support::post("/add/7")));
    let as_session = ("Cookie", format!("__Host-session={guest}"));
    for header in [as_guest(&guest), as_session] {
        let reply = send!(app, support::get("/me").insert_header(header));
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let by_token = fixture.auth.validate_session(&guest).await.unwrap();
    assert!(by_token.is_none());
    let reply = send!(app, support::get("/cart").insert_header(cookie(&session)));
    assert_eq!(reply.body, "[]", "nor is a user a guest");
}

#[actix_web::test]
async fn a_guest_expires_one_lifetime_after_the_last_write() {
    let hour = Duration::from_hours(1);
    let fixture = Fixture::configured(|builder| merging(builder).guest_lifetime(hour)).await;
    fixture.account(1).await;
    let app = app!(fixture, show, add, login);
    let first = send!(app, support::post("/add/7"));
    assert!(first.guest_cookie().unwrap().contains("Max-Age=3600"));
    let guest = as_guest(&token(&first));
    let read = || support::get("/cart").insert_header(guest.clone());
    fixture.clock.advance(just_before(hour));
    assert_eq!(send!(app, read()).body, "[7]");
    let again = send!(app, support::post("/add/8").insert_header(guest.clone()));
    assert!(again.guest_cookie().unwrap().contains("Max-Age=3600"));

    fixture.clock.advance(just_before(hour));
    assert_eq!(send!(app, read()).body, "[7, 8]", "reading moves nothing");
    fixture.clock.advance(Duration::from_millis(1));
    let ended = send!(app, read());
    assert_eq!((ended.body.as_str(), ended.sets_no_cookie()), ("[]", true), "the cookie is kept");
    let anew = send!(app, support::post("/add/9").insert_header(guest.clone()));
    assert_eq!(anew.body, "1");
    assert_ne!(as_guest(&token(&anew)), guest);
    assert_eq!(send!(app, support::post("/login").insert_header(guest)).body, "[]");

    assert_eq!(guests(&fixture).await, 2);
    assert_eq!(fixture.auth.delete_expired_sessions().await.unwrap(), 1);
    assert_eq!(guests(&fixture).await, 1);
}

#[actix_web::test]
async fn forgetting_a_guest_leaves_neither_row_nor_cookie() {
    let fixture = Fixture::new().await;
    let app = app!(fixture, show, add, forget);
    let own = token(&send!(app, support::post("/add/7")));
    let guest = as_guest(&own);
    for presented in [guest.clone(), guest, as_guest("malformed")] {
        let reply = send!(app, support::post("/forget").insert_header(presented));
        assert_eq!(reply.body, "[]");
        assert!(removes_the_guest(&reply));
        assert_eq!(guests(&fixture).await, 0);
    }
}

#[actix_web::test]
async fn guest_data_too_large_for_a_session_stay_with_the_guest_and_do_not_prevent_a_login() {
    let fixture = Fixture::configured(|builder| {
        builder.merge_guest(|guest: Cart, cart: &mut Cart| {
            for _ in 0..40_000 {
                cart.items.extend(&guest.items);
            }
        })
    })
    .await;
    fixture.account(1).await;
    let app = app!(fixture, add, show, routes::login);
    let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
    let reply = send!(app, support::post("/login/1").insert_header(guest.clone()));
    assert_eq!((reply.status, reply.guest_cookie()), (StatusCode::OK, None));
    assert!(!reply.session_cookie().is_empty());
    assert_eq!(send!(app, support::get("/cart").insert_header(guest)).body, "[7]");
}

#[actix_web::test]
async fn a_guest_survives_faults_and_data_over_the_limit() {
    #[post("/fill")]
    #[with_session]
    async fn fill(locals: Locals) -> Result<String, Error> {
        locals.update_guest(|cart: &mut Cart| cart.items = vec![1; 40_000]).await?;
        Ok(String::new())
    }
    let fixture = Fixture::new().await;
    let app = app!(fixture, show, add, fill, forget);
    let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
    let filled = send!(app, support::post("/fill").insert_header(guest.clone()));
    assert_eq!(filled.body, problem(413, "too_much_data", "More data than can be kept"));
    fixture.store.fail(true);
    let requests = [support::get("/cart"), support::post("/add/8"), support::post("/forget")];
    let mut failed = vec![filled];
    for request in requests {
        let reply = send!(app, request.insert_header(guest.clone()));
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        failed.push(reply);
    }
    fixture.store.fail(false);
    assert!(failed.iter().all(Reply::sets_no_cookie));
    assert_eq!(send!(app, support::get("/cart").insert_header(guest)).body, "[7]");
}

// Requests without cookies.

#[actix_web::test]
async fn requests_from_other_sites_and_with_bearer_tokens_have_no_guest() {
    #[post("/read-anywhere")]
    #[with_session(cross_origin)]
    async fn read_anywhere(locals: Locals) -> Result<String, Error> {
        locals.forget_guest().await?;
        Ok(format!("{:?}", locals.guest::<Cart>().await?.items))
    }
    #[post("/add-anywhere")]
    #[with_session(cross_origin)]
    async fn add_anywhere(locals: Locals) -> Result<String, Error> {
        Ok(put(&locals, 8).await?.to_string())
    }
    let fixture = Fixture::configured(|builder| builder.bearer(true)).await;
    let session = fixture.session(1).await;
    let app = app!(fixture, show, add, read_anywhere, add_anywhere);
    let guest = as_guest(&token(&send!(app, support::post("/add/7"))));
    fixture.store.forget();
    let bearer = format!("Bearer {}", session.token().expose_secret());
    for (name, value) in [("Sec-Fetch-Site", "cross-site"), ("Authorization", &bearer)] {
        let request = |path| {
            TestRequest::post().uri(path).insert_header(guest.clone()).insert_header((name, value))
        };
        let read = send!(app, request("/read-anywhere"));
        assert_eq!((read.body.as_str(), read.sets_no_cookie()), ("[]", true), "{name}");
        let written = send!(app, request("/add-anywhere"));
        assert_eq!(written.status, StatusCode::FORBIDDEN, "{name}");
        assert!(written.sets_no_cookie(), "{name}");
    }
    assert_eq!(fixture.store.calls(), 0);
    fixture.clock.advance(DAY);
    assert_eq!(send!(app, support::get("/cart").insert_header(guest)).body, "[7]");
}
