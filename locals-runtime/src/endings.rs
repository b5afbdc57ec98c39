//! Who waits for the end of a session in this process.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync,
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    account::Found,
    clock::{self, Timestamp},
    error::{StoreError, chain},
    events::Event,
    impersonation::Actor,
    lifecycle,
    session::Session,
    session_manager::SessionManager,
    token::{SecretHash, SessionId},
};

#[cfg(test)]
mod interleaved;
mod waiting;

pub(crate) use waiting::Endings;

/// How often the store is asked whether a session lives, while somebody waits for its end.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// When the store is asked next about a session: once a minute, and at another moment of it for each
/// session, so that those who wait do not ask all at once.
fn next_question(id: SessionId, now: Timestamp) -> Timestamp {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let minute = clock::millis(ASK_AGAIN);
    let offset = i64::try_from(hasher.finish() % minute.unsigned_abs()).unwrap_or_default();
    let since_last = (now.as_millis() - offset).rem_euclid(minute);
    Timestamp::from_millis(now.as_millis().saturating_add(minute - since_last))
}

impl Session {
    /// Waits for the end of this session: by its user logging out, by whoever ends it, by its time,
    /// or by a new token in place of the one that opened it, as after a change of password: who has
    /// the new one connects again. For connections that last, such as a `WebSocket` or server-sent
    /// events, which are answered once and then go on.
    ///
    /// An end in this process is known at once; one in another process, or by a statement of
    /// the app's own, within a minute, for which the store is asked when the wait begins and then once a minute, for each
    /// session at another moment of it; also when the clock is set back. Renewals by other requests count. While
    /// the store fails nothing ends. A token that is exchanged twice between two questions, where
    /// [`rotate_every`](crate::AuthBuilder::rotate_every) is below a minute, counts as replaced.
    ///
    /// ```
    /// # use actix_web::HttpResponse;
    /// # use locals::{Session, require_user};
    /// #[require_user]
    /// async fn live(session: Session) -> HttpResponse {
    ///     actix_web::rt::spawn(async move {
    ///         session.ended().await;
    ///         // .. close the connection ..
    ///     });
    ///     HttpResponse::SwitchingProtocols().finish()
    /// }
    /// ```
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let Self { manager, .. } = self.clone();
        let (id, user) = (self.id(), self.user_id().clone());
        let actor = self.record.actor_session.zip(self.actor.clone());
        let mut hash = self.record.secret_hash;
        async move {
            let ending = manager.endings().of(id, user, actor);
            loop {
                let again = next_question(id, manager.now());
                let until = match manager.end_of(id, hash).await {
                    Ok(None) => return,
                    Ok(Some((end, current))) => {
                        hash = current;
                        end.min(again)
                    }
                    Err(error) => {
                        let cause = &chain(&error);
                        let doing = "asking whether a session lives";
                        Event::StoreFailed { cause, doing }.record();
                        again
                    }
                };
                tokio::select! {
                    () = ending.come() => return,
                    () = manager.clock().wait_until(until) => {}
                }
            }
        }
    }
}

impl SessionManager {
    /// When a living session ends if it is not used, and the hash of its token by now; `None` if it
    /// has ended, or the token with this hash was replaced. One that was exchanged goes on: its
    /// holder has been given the new one.
    async fn end_of(
        &self,
        id: SessionId,
        hash: SecretHash,
    ) -> Result<Option<(Timestamp, SecretHash)>, StoreError> {
        let Some(Found { record, account }) = self.look_up(id).await? else { return Ok(None) };
        // A session whose token was replaced and then exchanged is not that of this one's holder.
        let is_exchanged = record.rotation.is_some_and(|rotation| rotation.previous == hash);
        let is_living = lifecycle::state(&record, self.now()).is_some()
            && account.denial.is_none()
            && (record.secret_hash == hash || is_exchanged)
            && !matches!(self.actor(&record).await?, Actor::Gone);
        Ok(is_living.then_some((record.idle_expires_at, record.secret_hash)))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        sync::Arc,
        task::{Context, Waker},
    };

    use super::{waiting::Ending, *};
    use crate::user::UserId;

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
        let acting =
            |number, from| endings.of(id(number), user(number), Some((id(from), user(from))));
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

    #[test]
    fn every_session_is_asked_about_once_a_minute_at_a_moment_of_its_own() {
        let minute = clock::millis(ASK_AGAIN);
        let mut seconds = [0_u32; 60];
        for number in 0..20_000 {
            for begun in [0, 1, 59_999, 1_800_000_000_123, -1] {
                let begun = Timestamp::from_millis(begun);
                let first = next_question(id(number), begun);
                assert!(begun < first && first <= begun + ASK_AGAIN, "{number}");
                for before in [Duration::from_millis(1), ASK_AGAIN] {
                    let before = clock::millis(before);
                    let before = Timestamp::from_millis(first.as_millis() - before);
                    assert_eq!(next_question(id(number), before), first);
                }
                assert_eq!(next_question(id(number), first), first + ASK_AGAIN);
            }
            let first = next_question(id(number), Timestamp::from_millis(0)).as_millis();
            seconds[usize::try_from(first % minute / 1_000).unwrap()] += 1;
        }
        // 333 in each second; 100 is five standard deviations.
        assert!(seconds.iter().all(|count| (233..=433).contains(count)), "{seconds:?}");
    }
}
