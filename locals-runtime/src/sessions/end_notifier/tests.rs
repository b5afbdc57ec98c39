use std::future::Future;
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use super::{EndNotifier, Ending};
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

fn of(end_notifier: &EndNotifier, number: u32) -> Arc<Ending> {
    end_notifier.of(id(number), user(number), None)
}

fn has_come(ending: &Ending) -> bool {
    pin!(ending.come()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn all_who_wait_for_a_session_are_told_whenever_they_began() {
    let end_notifier = EndNotifier::default();
    let (first, second, other) =
        (of(&end_notifier, 1), of(&end_notifier, 1), of(&end_notifier, 11));
    let mut waiting = pin!(first.come());
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    end_notifier.session_ended(id(1));
    assert!(waiting.poll(&mut context).is_ready());
    assert!(has_come(&second), "an end between the question and the wait counts");
    assert!(!has_come(&other));
    assert!(!has_come(&of(&end_notifier, 1)), "who begins now asks the store first");
}

#[test]
fn the_sessions_of_a_user_end_with_those_that_were_begun_from_them_but_not_the_kept_one() {
    let end_notifier = EndNotifier::default();
    let (kept, ended, others) = (of(&end_notifier, 1), of(&end_notifier, 11), of(&end_notifier, 2));
    // Of the second user, by the first one, whose sessions 1 and 21 nobody need wait for.
    let acting =
        |number, from| end_notifier.of(id(number), user(number), Some((id(from), user(from))));
    let (from_kept, from_ended) = (acting(12, 1), acting(22, 21));
    end_notifier.sessions_of_user_ended(&user(1), Some(id(1)));
    assert!(has_come(&ended) && has_come(&from_ended));
    assert!(!has_come(&kept) && !has_come(&from_kept) && !has_come(&others));
    end_notifier.session_ended(id(1));
    assert!(has_come(&kept) && has_come(&from_kept));
    end_notifier.sessions_of_user_ended(&user(2), None);
    assert!(has_come(&others));
}

#[test]
fn those_who_have_left_leave_nothing_behind_and_those_who_wait_are_told() {
    let end_notifier = EndNotifier::default();
    let waiting: Vec<_> = (0..100).map(|number| of(&end_notifier, number)).collect();
    let before = end_notifier.waiting().size();
    let acting = |number| end_notifier.of(id(number), user(number), Some((id(1), user(7))));
    let crowd: Vec<_> = (100..10_000).map(acting).collect();
    assert_eq!(end_notifier.waiting().size().0, before.0 + 9_900 * 4 - 990, "7 acts as 7 at times");
    drop(crowd);
    let after = end_notifier.waiting().size();
    assert_eq!(after.0, before.0);
    assert!(after.1 < 10 * before.1, "{} of {}", after.1, before.1);
    for number in 100..10_000 {
        drop(of(&end_notifier, number));
    }
    assert_eq!(end_notifier.waiting().size().0, before.0);
    for number in 0..100 {
        end_notifier.session_ended(id(number));
    }
    assert!(waiting.iter().all(|ending| has_come(ending)));
    assert_eq!(end_notifier.waiting().size().0, 0);
    assert_eq!(format!("{end_notifier:?}"), "EndNotifier { waiting: 0 }");
}

#[test]
fn who_leaves_takes_nobody_with_them_who_waits_for_the_same_session() {
    let end_notifier = EndNotifier::default();
    let (first, second) = (of(&end_notifier, 1), of(&end_notifier, 1));
    drop(first);
    end_notifier.session_ended(id(1));
    assert!(has_come(&second), "of two, one has left");
    // Who was told, and leaves later, beside one who waits for the same session again.
    let third = of(&end_notifier, 1);
    drop(second);
    end_notifier.session_ended(id(1));
    assert!(has_come(&third));
}

#[test]
fn an_end_touches_those_alone_who_end_by_it() {
    let end_notifier = EndNotifier::default();
    let crowd: Vec<_> = (0..1_000).map(|number| of(&end_notifier, number)).collect();
    let acting: Vec<_> = (1_000..1_003)
        .map(|number| end_notifier.of(id(number), UserId::Integer(77), Some((id(5), user(5)))))
        .collect();
    let waiting = end_notifier.waiting();
    assert_eq!(waiting.with_session(id(5)).len(), 1 + acting.len());
    assert_eq!(waiting.with_session(id(6)).len(), 1);
    assert_eq!(waiting.with_session(id(9_999)).len(), 0);
    assert_eq!(waiting.with_user(&UserId::Integer(77)).len(), acting.len());
    assert_eq!(waiting.with_user(&user(5)).len(), 100 + acting.len());
    assert_eq!(waiting.with_user(&UserId::Integer(78)).len(), 0);
    drop(waiting);
    drop(crowd);
}
