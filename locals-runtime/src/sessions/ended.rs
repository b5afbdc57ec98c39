//! Waiting for the end of a session.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crate::{
    model::{
        error::{StoreError, chain},
        events::Event,
        hashes::SecretHash,
        lifecycle,
        session_id::SessionId,
        time::{self, Timestamp},
    },
    sessions::{accounts::StoredSession, actor::Actor, manager::SessionManager, session::Session},
};

/// How often the store is asked whether a session lives, while somebody waits for its end.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// When the store is asked next about a session: once a minute, and at another moment of it for each
/// session, so that those who wait do not ask all at once.
fn next_question(id: SessionId, now: Timestamp) -> Timestamp {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let minute = time::millis(ASK_AGAIN);
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
        let manager = SessionManager::from(Arc::clone(&self.context));
        let (id, user) = (self.id(), self.user_id().clone());
        let actor = self.record.actor_session.zip(self.actor.clone());
        let mut hash = self.record.secret_hash;
        async move {
            let ending = manager.end_notifier().of(id, user, actor);
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
        let Some(StoredSession { record, account }) = self.look_up(id).await? else {
            return Ok(None);
        };
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
    use super::*;

    fn id(number: u32) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn every_session_is_asked_about_once_a_minute_at_a_moment_of_its_own() {
        let minute = time::millis(ASK_AGAIN);
        let mut seconds = [0_u32; 60];
        for number in 0..20_000 {
            for begun in [0, 1, 59_999, 1_800_000_000_123, -1] {
                let begun = Timestamp::from_millis(begun);
                let first = next_question(id(number), begun);
                assert!(begun < first && first <= begun + ASK_AGAIN, "{number}");
                for before in [Duration::from_millis(1), ASK_AGAIN] {
                    let before = time::millis(before);
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
