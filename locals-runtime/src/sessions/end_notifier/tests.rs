use std::future::Future;
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use super::{Ending, Endings};
use crate::model::{session_id::SessionId, user_id::UserId};

fn id(number: u32) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// The user whose number is the last digit of that of the session.
fn user(number: u32) -> UserId {
    UserId::Integer((number % 10).into())
}

fn of(endings: &Endings, number: u32) -> Arc<Ending> {
    endings.of(id(number), user(number), None)
}

fn has_come(ending: &Ending) -> bool {
    pin!(ending.come()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn all_who_wait_for_a_session_are_told_whenever_they_began() {
    let endings = Endings::default();
    let (first, second, other) = (of(&endings, 1), of(&endings, 1), of(&endings, 11));
    let mut waiting = pin!(first.come());
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    endings.session_ended(id(1));
    assert!(waiting.poll(&mut context).is_ready());
    assert!(has_come(&second), "an end between the question and the wait counts");
    assert!(!has_come(&other));
    assert!(!has_come(&of(&endings, 1)), "who begins now asks the store first");
}

#[test]
fn the_sessions_of_a_user_end_with_those_that_were_begun_from_them_but_not_the_kept_one() {
    let endings = Endings::default();
    let (kept, ended, others) = (of(&endings, 1), of(&endings, 11), of(&endings, 2));
    // Of the second user, by the first one, whose sessions 1 and 21 nobody need wait for.
    let acting = |number, from| endings.of(id(number), user(number), Some((id(from), user(from))));
    let (from_kept, from_ended) = (acting(12, 1), acting(22, 21));
    endings.sessions_of_user_ended(&user(1), Some(id(1)));
    assert!(has_come(&ended) && has_come(&from_ended));
    assert!(!has_come(&kept) && !has_come(&from_kept) && !has_come(&others));
    endings.session_ended(id(1));
    assert!(has_come(&kept) && has_come(&from_kept));
    endings.sessions_of_user_ended(&user(2), None);
    assert!(has_come(&others));
}

#[test]
fn those_who_have_left_leave_nothing_behind_and_those_who_wait_are_told() {
    let endings = Endings::default();
    let waiting: Vec<_> = (0..100).map(|number| of(&endings, number)).collect();
    let before = endings.waiting().size();
    let acting = |number| endings.of(id(number), user(number), Some((id(1), user(7))));
    let crowd: Vec<_> = (100..10_000).map(acting).collect();
    assert_eq!(endings.waiting().size().0, before.0 + 9_900 * 4 - 990, "7 acts as 7 at times");
    drop(crowd);
    let after = endings.waiting().size();
    assert_eq!(after.0, before.0);
    assert!(after.1 < 10 * before.1, "{} of {}", after.1, before.1);
    for number in 100..10_000 {
        drop(of(&endings, number));
    }
    assert_eq!(endings.waiting().size().0, before.0);
    for number in 0..100 {
        endings.session_ended(id(number));
    }
    assert!(waiting.iter().all(|ending| has_come(ending)));
    assert_eq!(endings.waiting().size().0, 0);
    assert_eq!(format!("{endings:?}"), "Endings { waiting: 0 }");
}

#[test]
fn who_leaves_takes_nobody_with_them_who_waits_for_the_same_session() {
    let endings = Endings::default();
    let (first, second) = (of(&endings, 1), of(&endings, 1));
    drop(first);
    endings.session_ended(id(1));
    assert!(has_come(&second), "of two, one has left");
    // Who was told, and leaves later, beside one who waits for the same session again.
    let third = of(&endings, 1);
    drop(second);
    endings.session_ended(id(1));
    assert!(has_come(&third));
}

#[test]
fn an_end_touches_those_alone_who_end_by_it() {
    let endings = Endings::default();
    let crowd: Vec<_> = (0..1_000).map(|number| of(&endings, number)).collect();
    let acting: Vec<_> = (1_000..1_003)
        .map(|number| endings.of(id(number), UserId::Integer(77), Some((id(5), user(5)))))
        .collect();
    let waiting = endings.waiting();
    assert_eq!(waiting.with_session(id(5)).len(), 1 + acting.len());
    assert_eq!(waiting.with_session(id(6)).len(), 1);
    assert_eq!(waiting.with_session(id(9_999)).len(), 0);
    assert_eq!(waiting.with_user(&UserId::Integer(77)).len(), acting.len());
    assert_eq!(waiting.with_user(&user(5)).len(), 100 + acting.len());
    assert_eq!(waiting.with_user(&UserId::Integer(78)).len(), 0);
    drop(waiting);
    drop(crowd);
}
