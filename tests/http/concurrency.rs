//! Requests that run beside each other.

use std::cell::RefCell;

use actix_web::{get, http::StatusCode, web};
use futures_util::future::join_all;
use locals::{Error, Locals, Session, User, require_user, with_session};

use crate::{
    app,
    routes::logout,
    send,
    support::{self, Account, DAY, Fixture, Gate, cookie},
};

#[get("/me")]
#[require_user]
async fn me(user: User<Account>, session: Session) -> String {
    format!("{} {}", user.id, session.id())
}

#[actix_web::test]
async fn fifty_requests_with_one_idle_cookie_all_succeed_and_change_one_row_once() {
    let fixture = Fixture::new().await;
    let idle = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let app = app!(fixture, me);
    let replies = join_all(
        (0..50).map(|_| async { send!(app, support::get("/me").insert_header(cookie(&idle))) }),
    )
    .await;
    let mut cookies = 0;
    for reply in &replies {
        assert_eq!(reply.status, StatusCode::OK);
        if !reply.sets_no_cookie() {
            assert_eq!(reply.session_cookie(), idle.token().expose_secret());
            cookies += 1;
        }
    }
    assert_eq!((cookies, fixture.store.renewals()), (1, 1));
    assert_eq!(fixture.row(&idle).await.unwrap().idle_expires_at, fixture.now() + 15 * DAY);
}

#[get("/paused")]
#[require_user]
async fn paused(session: Session, gate: web::Data<Gate>) -> String {
    gate.pass().await;
    session.is_fresh().to_string()
}

#[get("/paused-then-asked")]
#[require_user]
async fn paused_then_asked(locals: Locals, gate: web::Data<Gate>) -> Result<String, Error> {
    gate.pass().await;
    Ok(locals.get_session().await?.is_some().to_string())
}

#[get("/paused-then-set")]
#[require_user]
async fn paused_then_set(session: Session, locals: Locals, gate: web::Data<Gate>) -> &'static str {
    gate.pass().await;
    locals.set_session(session);
    "true"
}

#[actix_web::test]
async fn a_paused_handler_never_restores_a_session_that_was_ended_meanwhile() {
    let fixture = Fixture::new().await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, paused, paused_then_asked, paused_then_set, logout, me);
    for (id, path, age) in [
        (1, "/paused", 2 * DAY),
        (2, "/paused-then-asked", 2 * DAY),
        (3, "/paused-then-set", 2 * DAY),
        (4, "/paused-then-set", DAY / 2),
    ] {
        let idle = fixture.session(id).await;
        fixture.clock.advance(age);
        let slow = async { send!(app, support::get(path).insert_header(cookie(&idle))) };
        let ending = async {
            let reply = send!(app, support::post("/logout").insert_header(cookie(&idle)));
            assert!(reply.removes_the_cookie());
        };
        let (slow, ()) = gate.while_paused(slow, ending).await;

        assert_eq!((slow.status, slow.body.as_str()), (StatusCode::OK, "true"));
        assert!(slow.sets_no_cookie(), "{path}");
        assert_eq!(fixture.rows().await, 0);
        let replay = send!(app, support::get("/me").insert_header(cookie(&idle)));
        assert_eq!(replay.status, StatusCode::UNAUTHORIZED);
    }
}

#[actix_web::test]
async fn a_paused_handler_overtaken_by_a_renewal_sends_no_second_cookie() {
    let fixture = Fixture::new().await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, paused, me);
    let idle = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let slow = async { send!(app, support::get("/paused").insert_header(cookie(&idle))) };
    let fast = async {
        fixture.clock.advance(DAY / 2);
        let reply = send!(app, support::get("/me").insert_header(cookie(&idle)));
        assert_eq!(reply.session_cookie(), idle.token().expose_secret());
    };
    let (slow, ()) = gate.while_paused(slow, fast).await;
    assert_eq!(slow.status, StatusCode::OK);
    assert!(slow.sets_no_cookie());
    let row = fixture.row(&idle).await.unwrap();
    assert_eq!(row.idle_expires_at, fixture.now() + 15 * DAY, "the later renewal stands");
}

#[actix_web::test]
async fn a_cancelled_request_leaves_the_session_unchanged() {
    let fixture = Fixture::new().await;
    let gate = web::Data::new(Gate::default());
    let app = app!(fixture; gate, paused, me);
    let idle = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let before = fixture.row(&idle).await;
    {
        let slow =
            Box::pin(async { send!(app, support::get("/paused").insert_header(cookie(&idle))) });
        let reached = Box::pin(gate.reached());
        futures_util::future::select(slow, reached).await;
    }
    assert_eq!(fixture.row(&idle).await, before);
    let reply = send!(app, support::get("/me").insert_header(cookie(&idle)));
    assert_eq!(reply.session_cookie(), idle.token().expose_secret());
}

#[get("/whose/{pause}")]
#[with_session]
async fn whose(
    pause: web::Path<u8>,
    locals: Locals,
    session: Option<Session>,
    polls: web::Data<RefCell<usize>>,
) -> Result<String, Error> {
    for _ in 0..*pause {
        futures_util::future::poll_fn(|context| {
            // Lets the other requests run in between.
            context.waker().wake_by_ref();
            let mut polls = polls.borrow_mut();
            *polls += 1;
            if polls.is_multiple_of(3) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
    let (again, user) = match locals.get_session_user::<Account>().await? {
        Some((session, user)) => (Some(session.id()), user.name.clone()),
        None => (None, "nobody".to_owned()),
    };
    assert_eq!(again, session.map(|session| session.id()));
    Ok(user)
}

#[actix_web::test]
async fn interleaved_requests_of_many_users_stay_separate() {
    let fixture = Fixture::new().await;
    let mut sessions = Vec::new();
    for id in 0..40 {
        sessions.push(fixture.session(id).await);
    }
    fixture.clock.advance(2 * DAY);
    // A `RefCell` will do: the test's service runs on one thread.
    let renewed = RefCell::new(0);
    let polls = web::Data::new(RefCell::new(0_usize));
    let app = app!(fixture; polls, whose);
    let requests = (0..400_usize).map(|number| {
        let (app, sessions, renewed) = (&app, &sessions, &renewed);
        async move {
            let path = format!("/whose/{}", number % 5);
            let reply = if number % 41 == 40 {
                send!(*app, support::get(&path))
            } else {
                send!(*app, support::get(&path).insert_header(cookie(&sessions[number % 41])))
            };
            let expected = match number % 41 {
                40 => "nobody".to_owned(),
                id => format!("name-{id}"),
            };
            assert_eq!(reply.body, expected);
            if !reply.sets_no_cookie() {
                assert_eq!(reply.session_cookie(), sessions[number % 41].token().expose_secret());
                *renewed.borrow_mut() += 1;
            }
        }
    });
    join_all(requests).await;
    assert_eq!((*renewed.borrow(), fixture.store.renewals()), (40, 40), "each renewed once");
}
