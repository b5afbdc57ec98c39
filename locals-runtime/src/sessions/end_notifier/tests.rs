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

/// The user of a session, whose number is the last digit of the session's number.
fn user(number: u32) -> UserId {
    UserId::Integer((number % 10).into())
}

fn watch(end_notifier: &EndNotifier, number: u32) -> Arc<Ending> {
    end_notifier.watch(id(number), user(number), None)
}

fn has_ended(ending: &Ending) -> bool {
    pin!(ending.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn all_waiters_of_a_session_are_notified_whenever_they_began() {
    let end_notifier = EndNotifier::default();
    let (first, second, other) =
        (watch(&end_notifier, 1), watch(&end_notifier, 1), watch(&end_notifier, 11));
    let mut waiting = pin!(first.wait());
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    end_notifier.session_ended(id(1));
    assert!(waiting.poll(&mut context).is_ready());
    assert!(has_ended(&second), "an end between the query and the wait counts");
    assert!(!has_ended(&other));
    assert!(!has_ended(&watch(&end_notifier, 1)), "a new waiter queries the store first");
}

#[test]
fn the_sessions_of_a_user_end_with_their_impersonations_except_the_kept_one() {
    let end_notifier = EndNotifier::default();
    let (kept, ended, others) =
        (watch(&end_notifier, 1), watch(&end_notifier, 11), watch(&end_notifier, 2));
    // The first user impersonates the second one, from sessions 1 and 21, which need no waiters.
    let acting =
        |number, from| end_notifier.watch(id(number), user(number), Some((id(from), user(from))));
    let (from_kept, from_ended) = (acting(12, 1), acting(22, 21));
    end_notifier.sessions_of_user_ended(&user(1), Some(id(1)));
    assert!(has_ended(&ended) && has_ended(&from_ended));
    assert!(!has_ended(&kept) && !has_ended(&from_kept) && !has_ended(&others));
    end_notifier.session_ended(id(1));
    assert!(has_ended(&kept) && has_ended(&from_kept));
    end_notifier.sessions_of_user_ended(&user(2), None);
    assert!(has_ended(&others));
}

#[test]
fn dropped_waiters_leave_no_entries_and_the_others_are_notified() {
    let end_notifier = EndNotifier::default();
    let waiting: Vec<_> = (0..100).map(|number| watch(&end_notifier, number)).collect();
    let before = end_notifier.waiting().size();
    let acting = |number| end_notifier.watch(id(number), user(number), Some((id(1), user(7))));
    let crowd: Vec<_> = (100..10_000).map(acting).collect();
    assert_eq!(
        end_notifier.waiting().size().0,
        before.0 + 9_900 * 4 - 990,
        "sometimes 7 impersonates 7"
    );
    drop(crowd);
    let after = end_notifier.waiting().size();
    assert_eq!(after.0, before.0);
    assert!(after.1 < 10 * before.1, "{} of {}", after.1, before.1);
    for number in 100..10_000 {
        drop(watch(&end_notifier, number));
    }
    assert_eq!(end_notifier.waiting().size().0, before.0);
    for number in 0..100 {
        end_notifier.session_ended(id(number));
    }
    assert!(waiting.iter().all(|ending| has_ended(ending)));
    assert_eq!(end_notifier.waiting().size().0, 0);
    assert_eq!(format!("{end_notifier:?}"), "EndNotifier { waiting: 0 }");
}

#[test]
fn dropping_a_waiter_keeps_others_of_the_same_session() {
    let end_notifier = EndNotifier::default();
    let (first, second) = (watch(&end_notifier, 1), watch(&end_notifier, 1));
    drop(first);
    end_notifier.session_ended(id(1));
    assert!(has_ended(&second), "one of two was dropped");
    // A waiter that was notified is dropped later, while another one waits for the same session
    // again.
    let third = watch(&end_notifier, 1);
    drop(second);
    end_notifier.session_ended(id(1));
    assert!(has_ended(&third));
}

#[test]
fn an_end_touches_only_the_sessions_that_it_ends() {
    let end_notifier = EndNotifier::default();
    let crowd: Vec<_> = (0..1_000).map(|number| watch(&end_notifier, number)).collect();
    let acting: Vec<_> = (1_000..1_003)
        .map(|number| end_notifier.watch(id(number), UserId::Integer(77), Some((id(5), user(5)))))
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
