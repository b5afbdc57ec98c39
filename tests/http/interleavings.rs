//! Pairs of requests that break sessions elsewhere, in every order in which the store can come to
//! hear of them, with a third one beside them. After each: what has ended opens nothing and does
//! not come back, no answer brings a token that is dead when it is given, what was written is
//! there, and the browser has what the contract says.

use std::{collections::HashMap, time::Duration};

use actix_web::{App, http::StatusCode, test::init_service};
use futures_util::future::{LocalBoxFuture, join_all};
use locals::{Auth, SessionToken};

use crate::{
    orders::Orders,
    routes::{end_by_post, login, logout, logout_everywhere, logout_others},
    send,
    support::{Account, DAY, Reply},
};

mod room;

use room::{
    Jar, Room, SESSION, add, add_as_guest, confirm, impersonate, keep, me, page, request, stop,
};

/// The age of the sessions when the requests come: active, with a token to exchange where tokens
/// are exchanged, and idle.
const AGES: [Duration; 3] =
    [Duration::from_mins(1), Duration::from_mins(20), DAY.saturating_mul(2)];

/// Whose browser sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    /// A user's.
    Own,
    /// The same user's, on another device.
    Other,
    /// That of an actor who impersonates the user.
    Acting,
    /// That of a guest.
    Visitor,
}
use Who::{Acting, Other, Own, Visitor};

/// Whether somebody is logged in at last, by the answers in the order in which they were given.
type Expected = fn(&[Answer]) -> bool;

/// Simultaneous requests and their expected outcome.
struct Case {
    at_once: &'static [(Who, &'static str)],
    /// Whose session has ended at last, and whose has not.
    ends: &'static [Who],
    keeps: &'static [Who],
    /// Who is logged in at last.
    logged_in: &'static [(Who, Expected)],
    /// Which answers may arrive last, although others were given later.
    may_arrive_last: fn(&Answer) -> bool,
    /// What is under way beside them.
    with: &'static [(Who, &'static str)],
}

const CASE: Case = Case {
    at_once: &[],
    ends: &[],
    keeps: &[],
    logged_in: &[],
    may_arrive_last: |_| true,
    with: &[(Own, "/me")],
};

#[derive(Debug)]
struct Answer {
    who: Who,
    path: &'static str,
    reply: Reply,
}

impl Answer {
    /// What it says that it has written.
    fn item(&self) -> Option<u32> {
        let (_, item) = self.path.strip_prefix("/add")?.rsplit_once('/')?;
        item.parse().ok()
    }
}

fn yes(_: &[Answer]) -> bool {
    true
}

fn no(_: &[Answer]) -> bool {
    false
}

fn none(_: &Answer) -> bool {
    false
}

impl Case {
    /// Runs the two in every order, and with what else is under way in so many more that they are a
    /// thousand; and on the database, in every order once.
    async fn hold(&self) {
        let mut runs = 0;
        for rotates in [false, true] {
            let room = Room::in_memory(rotates);
            runs += self.run(&room, Orders::default(), &AGES, &[], usize::MAX).await;
        }
        let more = 500_usize.saturating_sub(runs / 2).max(100);
        for rotates in [false, true] {
            let room = Room::in_memory(rotates);
            runs += self.run(&room, Orders::drawn(), &AGES, self.with, more).await;
        }
        assert!(runs >= 1_000, "{runs} runs");
        self.run(&Room::on_sqlite().await, Orders::default(), &AGES[2..], &[], usize::MAX).await;
    }

    /// Runs it in these orders, but not more often; says how often.
    async fn run(
        &self,
        room: &Room,
        mut orders: Orders,
        ages: &[Duration],
        with: &[(Who, &'static str)],
        most: usize,
    ) -> usize {
        let node = |auth: &Auth<Account>| {
            init_service(
                App::new()
                    .configure(auth.configure())
                    .service((me, page, login, logout, logout_everywhere, logout_others))
                    .service((end_by_post, confirm, add, add_as_guest, impersonate, stop)),
            )
        };
        let app = node(&room.auth).await;
        let nodes = join_all(room.nodes.iter().map(node)).await;
        for runs in 1.. {
            // The browsers, as they are when the requests are sent.
            let mut jars: HashMap<Who, Jar> = HashMap::new();
            for (who, paths) in [
                (Own, &["/login/1", "/add/1"][..]),
                (Other, &["/login/1"]),
                (Acting, &["/login/9", "/impersonate/1"]),
                (Visitor, &["/add-as-guest/1"]),
            ] {
                let is_concerned = self.at_once.iter().any(|(sender, _)| *sender == who)
                    || [self.ends, self.keeps].concat().contains(&who);
                for path in paths.iter().filter(|_| is_concerned) {
                    let jar = jars.entry(who).or_default();
                    keep(jar, &send!(app, request(jar, path)));
                }
            }
            room.clock.advance(ages[orders.choose(ages.len())]);
            let before = jars.clone();
            let token = |who| before[&who][SESSION].parse::<SessionToken>().unwrap();

            let sent = [self.at_once, with].concat();
            let requests = sent.iter().zip(&nodes).map(|((who, path), node)| {
                let own = before.get(&Own).map_or(String::new(), |_| token(Own).id().to_string());
                let request = request(&before[who], &path.replace("own", &own));
                Box::pin(async { send!(*node, request) }) as LocalBoxFuture<'_, Reply>
            });
            assert!(sent.len() <= nodes.len(), "a node for each request");
            let mut answers = Vec::new();
            let interleaved = room.store.interleave(
                &mut orders,
                requests.collect(),
                async |number, reply: Reply| {
                    let (who, path) = sent[number];
                    let is_answered =
                        [StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&reply.status);
                    assert!(is_answered, "{path}: {reply:?}");
                    let mut jar = Jar::new();
                    keep(&mut jar, &reply);
                    if let Some(token) = jar.get(SESSION) {
                        let opens = room.opens(&token.parse().unwrap()).await;
                        assert!(opens, "{who:?} {path} is given a dead token");
                    }
                    answers.push(Answer { who, path, reply });
                },
            );
            interleaved.await;

            for answer in &answers {
                keep(jars.get_mut(&answer.who).unwrap(), &answer.reply);
            }
            let run = format!("{:#?} {:?}", answers, orders.chosen());
            self.check(room, &before, &jars, &answers, with.is_empty(), &run).await;
            for (who, is_logged_in) in self.logged_in {
                let reply = send!(app, request(&jars[who], "/me"));
                let expected = is_logged_in(&answers);
                assert_eq!(reply.status == StatusCode::OK, expected, "{who:?}: {run}");
            }
            for user in [1_i64, 9] {
                room.auth.invalidate_user_sessions(user).await.unwrap();
            }
            if !orders.advance() || runs == most {
                return runs;
            }
        }
        unreachable!("there is a last order");
    }

    /// What has ended and what has not, what was written, and what the browsers have.
    async fn check(
        &self,
        room: &Room,
        before: &HashMap<Who, Jar>,
        jars: &HashMap<Who, Jar>,
        answers: &[Answer],
        are_alone: bool,
        run: &str,
    ) {
        for (whose, lives) in [(self.ends, false), (self.keeps, true)] {
            for who in whose {
                let token = before[who][SESSION].parse().unwrap();
                assert_eq!(room.row(&token).await.is_some(), lives, "{who:?}: {run}");
            }
        }
        for (who, is_logged_in) in self.logged_in {
            let is_logged_in = is_logged_in(answers);
            let items = room.items(&jars[who]).await;
            let own: Vec<_> = answers.iter().filter(|answer| answer.who == *who).collect();
            for last in own.iter().filter(|_| are_alone && *who == Visitor) {
                // The guest's cookie and the session's do not contradict each other: whichever
                // answer arrives last, all that was answered is found.
                let mut jar = before[who].clone();
                let others = own.iter().filter(|answer| !std::ptr::eq(**answer, *last));
                others.chain([last]).for_each(|answer| keep(&mut jar, &answer.reply));
                let items = room.items(&jar).await;
                let mut written = own.iter().filter_map(|answer| answer.item());
                let path = last.path;
                assert!(
                    written.all(|item| items.contains(&item)),
                    "only {items:?} if {path} arrives last: {run}"
                );
            }
            for answer in own {
                if is_logged_in && answer.reply.status == StatusCode::OK {
                    let item = answer.item();
                    let is_there = item.is_none_or(|item| items.contains(&item));
                    assert!(is_there, "{item:?} was lost: {items:?} {run}");
                }
                if are_alone && (self.may_arrive_last)(answer) {
                    // The last to arrive that says something of the cookie decides.
                    let mut jar = jars[who].clone();
                    keep(&mut jar, &answer.reply);
                    let opens = room.opens_session(&jar).await;
                    let path = answer.path;
                    assert_eq!(opens, is_logged_in, "{who:?} if {path} arrives last: {run}");
                }
            }
        }
    }
}

macro_rules! hold {
    ($($(#[$doc:meta])* $name:ident: $case:expr,)*) => {$(
        $(#[$doc])*
        #[actix_web::test]
        async fn $name() {
            $case.hold().await;
        }
    )*};
}

hold! {
    a_logout_is_not_undone_by_a_simultaneous_renewal_or_rotation: Case {
        at_once: &[(Own, "/me"), (Own, "/logout")],
        ends: &[Own],
        logged_in: &[(Own, no)],
        ..CASE
    },
    two_simultaneous_rotations_lead_to_one_token: Case {
        at_once: &[(Own, "/me"), (Own, "/page")],
        keeps: &[Own],
        logged_in: &[(Own, yes)],
        ..CASE
    },
    /// The last to be answered decides about the cookie.
    a_login_during_a_logout_ends_the_old_session: Case {
        at_once: &[(Own, "/login/1"), (Own, "/logout")],
        ends: &[Own],
        logged_in: &[(Own, |answers| {
            let place = |path| answers.iter().position(|answer| answer.path == path);
            place("/login/1") > place("/logout")
        })],
        may_arrive_last: none,
        ..CASE
    },
    a_write_does_not_restore_a_session_that_was_logged_out: Case {
        at_once: &[(Own, "/add/7"), (Own, "/logout")],
        ends: &[Own],
        logged_in: &[(Own, no)],
        ..CASE
    },
    a_write_does_not_restore_a_session_that_was_ended_by_its_id: Case {
        at_once: &[(Own, "/add/7"), (Other, "/end/own")],
        ends: &[Own],
        keeps: &[Other],
        logged_in: &[(Own, no), (Other, yes)],
        ..CASE
    },
    a_write_does_not_restore_a_session_that_was_logged_out_everywhere: Case {
        at_once: &[(Own, "/add/7"), (Other, "/logout-everywhere")],
        ends: &[Own, Other],
        logged_in: &[(Own, no), (Other, no)],
        ..CASE
    },
    a_write_of_a_guest_does_not_prevent_its_login: Case {
        at_once: &[(Visitor, "/add-as-guest/7"), (Visitor, "/login/1")],
        with: &[(Visitor, "/add-as-guest/8"), (Visitor, "/add-as-guest/9")],
        logged_in: &[(Visitor, yes)],
        may_arrive_last: none,
        ..CASE
    },
    a_write_does_not_restore_a_session_that_a_login_replaced: Case {
        at_once: &[(Own, "/add/7"), (Own, "/login/1")],
        ends: &[Own],
        logged_in: &[(Own, yes)],
        may_arrive_last: none,
        ..CASE
    },
    a_reauthentication_during_a_renewal_leaves_the_browser_with_the_new_token: Case {
        at_once: &[(Own, "/confirm"), (Own, "/me")],
        keeps: &[Own],
        logged_in: &[(Own, yes)],
        may_arrive_last: none,
        ..CASE
    },
    one_of_two_simultaneous_reauthentications_gives_the_token: Case {
        at_once: &[(Own, "/confirm"), (Own, "/confirm")],
        keeps: &[Own],
        logged_in: &[(Own, yes)],
        may_arrive_last: none,
        ..CASE
    },
    other_sessions_stay_ended_whatever_they_are_doing: Case {
        at_once: &[(Own, "/logout-others"), (Other, "/me")],
        ends: &[Other],
        keeps: &[Own],
        logged_in: &[(Own, yes), (Other, no)],
        may_arrive_last: none,
        ..CASE
    },
    ending_the_other_sessions_twice_simultaneously_keeps_the_own_session: Case {
        at_once: &[(Own, "/logout-others"), (Own, "/logout-others")],
        ends: &[Other],
        keeps: &[Own],
        logged_in: &[(Own, yes)],
        may_arrive_last: none,
        ..CASE
    },
    two_simultaneous_impersonations_leave_one_in_the_browser: Case {
        at_once: &[(Own, "/impersonate/9"), (Own, "/impersonate/9")],
        keeps: &[Own],
        logged_in: &[(Own, yes)],
        ..CASE
    },
    stopping_an_impersonation_twice_simultaneously_keeps_the_actor_logged_in: Case {
        at_once: &[(Acting, "/stop"), (Acting, "/stop")],
        with: &[(Acting, "/me")],
        ends: &[Acting],
        logged_in: &[(Acting, yes)],
        ..CASE
    },
    /// Only one that has found it alive may not arrive last: it may set the renewed cookie.
    a_response_about_the_old_session_does_not_log_out_of_the_new_one: Case {
        at_once: &[(Own, "/page"), (Own, "/login/1")],
        ends: &[Own],
        logged_in: &[(Own, yes)],
        may_arrive_last: |answer| answer.reply.body != "in",
        ..CASE
    },
}
