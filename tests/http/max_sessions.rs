//! Which sessions remain where a user may have only so many: exactly the newest.

use std::{cmp::Reverse, time::Duration};

use actix_web::{get, http::StatusCode};
use locals::{
    Auth, Clock, Error, ManualClock, Session, Timestamp, User, require_user, store::MemoryStore,
};

use crate::{
    app,
    orders::{Orders, Stepped},
    routes::login,
    send,
    support::{self, Account, DAY, Fixture, Reply, as_set},
};

const NOW: i64 = 1_800_000_000_000;

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> Result<String, Error> {
    Ok(user.id.to_string())
}

/// Each on a node of its own, whose clock is so many milliseconds ahead; or all on one. Where every
/// order would be too many, these are some of them, the same each time.
async fn the_newest_remain(most: usize, clocks: &[i64], on_one_node: bool, mut drawn: u32) {
    let is_drawn = drawn > 0;
    let memory = MemoryStore::new();
    let ada = Account::of(1);
    memory.insert_user(ada.clone());
    let store = Stepped::new(memory);
    let node = |ahead: &i64| -> Auth<Account> {
        let clock = ManualClock::at(Timestamp::from_millis(NOW + ahead));
        Auth::builder(store.clone()).clock(clock).max_sessions(most).build().unwrap()
    };
    let mut nodes: Vec<_> = clocks.iter().map(node).collect();
    if on_one_node {
        let one = nodes[0].clone();
        nodes.fill(one);
    }
    let mut orders = if is_drawn { Orders::drawn() } else { Orders::default() };
    loop {
        let log_ins = nodes.iter().map(|node| Box::pin(node.create_session(&ada)));
        let mut made = Vec::new();
        store
            .interleave(&mut orders, log_ins.collect(), async |_, session: Result<Session, _>| {
                made.push(session.unwrap());
            })
            .await;
        made.sort_by_key(|session| Reverse((session.created_at(), session.id())));
        let newest: Vec<_> = made.iter().take(most).map(Session::id).collect();
        let left = nodes[0].user_sessions(1).await.unwrap();
        let left: Vec<_> = left.iter().map(|session| session.id).collect();
        assert_eq!(left, newest, "{most} of {clocks:?}: {:?}", orders.chosen());
        nodes[0].invalidate_user_sessions(1).await.unwrap();
        drawn = drawn.saturating_sub(1);
        if !orders.advance() || is_drawn && drawn == 0 {
            return;
        }
    }
}

#[actix_web::test]
async fn simultaneous_logins_in_every_order_leave_the_newest_sessions() {
    for clocks in [[0, 0], [0, 1], [1, 0], [0, 20_000], [20_000, 0], [0, 59_000], [59_000, 0]] {
        the_newest_remain(1, &clocks, false, 0).await;
    }
    the_newest_remain(1, &[0, 0], true, 0).await;
    for (most, clocks) in [
        (1, [0, 1, 2]),
        (2, [0, 1, 2]),
        (2, [2, 0, 1]),
        (1, [20_000, 0, 40_000]),
        (2, [40_000, 20_000, 0]),
    ] {
        the_newest_remain(most, &clocks, false, 2_000).await;
    }
    the_newest_remain(2, &[0, 0, 0], true, 2_000).await;
}

#[actix_web::test]
async fn a_login_is_newer_than_an_earlier_one_on_a_node_whose_clock_is_ahead() {
    for ahead in [1, 10_000, 20_000, 59_999, 60_000] {
        for most in 1..4 {
            let memory = MemoryStore::new();
            let ada = Account::of(1);
            memory.insert_user(ada.clone());
            let clocks = [NOW + ahead, NOW].map(|at| ManualClock::at(Timestamp::from_millis(at)));
            let node = |clock: &ManualClock| -> Auth<Account> {
                let builder = Auth::builder(memory.clone()).clock(clock.clone());
                builder.max_sessions(most).build().unwrap()
            };
            // The fourth is a node that has just been started.
            let [fast, slow, again, started] = [0, 1, 0, 1].map(|it| node(&clocks[it]));
            let mut made = Vec::new();
            for node in [&fast, &slow, &slow, &again, &started, &slow, &fast, &started] {
                let session = node.create_session(&ada).await.unwrap();
                made.insert(0, session.id());
                made.truncate(most);
                for node in [&fast, &slow] {
                    let left = node.user_sessions(1).await.unwrap();
                    let left: Vec<_> = left.iter().map(|session| session.id).collect();
                    assert_eq!(left, made, "{most} with a clock {ahead} ms ahead");
                }
                for clock in &clocks {
                    clock.advance(Duration::from_millis(50));
                }
            }
            assert!(clocks[0].now() > clocks[1].now());
        }
    }
}

#[actix_web::test]
async fn the_oldest_sessions_are_ended_first_where_one_login_cannot_end_all() {
    let memory = MemoryStore::new();
    let ada = Account::of(1);
    memory.insert_user(ada.clone());
    let clock = ManualClock::at(Timestamp::from_millis(NOW));
    let node = |most| -> Auth<Account> {
        Auth::builder(memory.clone()).clock(clock.clone()).max_sessions(most).build().unwrap()
    };
    let (before, after) = (node(1_000), node(10));
    let mut made = Vec::new();
    for _ in 0..130 {
        made.insert(0, before.create_session(&ada).await.unwrap().id());
        clock.advance(Duration::from_secs(1));
    }
    // A hundred at a login.
    for left in [31, 10] {
        made.insert(0, after.create_session(&ada).await.unwrap().id());
        made.truncate(left);
        let listed = after.user_sessions(1).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|session| session.id).collect();
        assert_eq!(listed, made);
        clock.advance(Duration::from_secs(1));
    }
}

/// Whether these are still logged in.
macro_rules! are_in {
    ($app:expr, $($reply:expr),+) => {
        [$(send!($app, support::get("/me").insert_header(as_set($reply))).status == StatusCode::OK),+]
    };
}

#[actix_web::test]
async fn a_new_login_is_logged_in_whatever_the_clock_did_before() {
    let moves = [0, 1, 59_999, 60_000, 60_001, 3_600_000, 40 * 86_400_000];
    for back in moves {
        let fixture = Fixture::configured(|builder| builder.max_sessions(1)).await;
        fixture.account(1).await;
        let app = app!(fixture, login, me);
        let before = send!(app, support::post("/login/1"));
        fixture.clock.set(Timestamp::from_millis(fixture.now().as_millis() - back));
        let after = send!(app, support::post("/login/1"));
        assert_eq!(are_in!(app, &before, &after), [false, true], "{back} ms back");
        fixture.clock.advance(Duration::from_millis(1));
        let last = send!(app, support::post("/login/1"));
        assert_eq!(are_in!(app, &after, &last), [false, true], "after {back} ms back");
    }
}

#[actix_web::test]
async fn a_login_made_while_the_clock_was_ahead_ends_no_later_one() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(2)).await;
    fixture.account(1).await;
    let app = app!(fixture, login, me);
    let log_in = async || -> Reply { send!(app, support::post("/login/1")) };
    let (now, first) = (fixture.now(), log_in().await);
    fixture.clock.advance(10 * DAY);
    let ahead = log_in().await;
    fixture.clock.set(now + Duration::from_secs(1));
    let second = log_in().await;
    assert_eq!(are_in!(app, &first, &ahead, &second), [true, false, true]);
    let third = log_in().await;
    assert_eq!(are_in!(app, &first, &second, &third), [false, true, true]);
}

#[actix_web::test]
async fn a_session_whose_future_time_was_corrected_ends_no_later_one() {
    let fixture = Fixture::configured(|builder| builder.max_sessions(2)).await;
    fixture.account(1).await;
    let app = app!(fixture, login, me);
    let log_in = async || -> Reply { send!(app, support::post("/login/1")) };
    let now = fixture.now();
    fixture.clock.advance(10 * DAY);
    let ahead = log_in().await;
    fixture.clock.set(now);
    assert_eq!(are_in!(app, &ahead), [true], "its life begins now");
    fixture.clock.set(now + 9 * DAY);
    let real = log_in().await;
    // The day has come at which the first seems to have been created.
    fixture.clock.set(now + 11 * DAY);
    let last = log_in().await;
    assert_eq!(are_in!(app, &ahead, &real, &last), [false, true, true]);
}
