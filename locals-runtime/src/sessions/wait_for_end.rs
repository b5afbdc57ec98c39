//! `Session::ended`: waits for the end of a session.

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

/// How often the store is checked while somebody waits for the end of a session.
const CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// Returns when the store is checked next for a session: once a minute, at a different moment for
/// each session, so that the queries do not all come at the same time.
fn next_check(id: SessionId, now: Timestamp) -> Timestamp {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let minute = time::millis(CHECK_INTERVAL);
    let offset = i64::try_from(hasher.finish() % minute.unsigned_abs()).unwrap_or_default();
    let since_last = (now.as_millis() - offset).rem_euclid(minute);
    Timestamp::from_millis(now.as_millis().saturating_add(minute - since_last))
}

impl Session {
    /// Waits for the end of this session. Use it for connections that last, such as a `WebSocket`
    /// or server-sent events.
    ///
    /// A session ends when its user logs out, when it is ended elsewhere, when it expires, or when
    /// its token is replaced, as after a change of password: the holder of the new token must
    /// connect again.
    ///
    /// An end in this process is noticed immediately. An end in another process, or by a statement
    /// of the app's own, is noticed within a minute: the store is read when the wait begins and
    /// then once a minute, at a different moment for each session, and also when the clock is set
    /// back. Renewals by other requests are taken into account. While the store fails, no session
    /// counts as ended. If [`rotate_every`](crate::AuthBuilder::rotate_every) is below a minute, a
    /// token that is rotated twice between two checks counts as replaced.
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
            let ending = manager.end_notifier().watch(id, user, actor);
            loop {
                let next = next_check(id, manager.now());
                let until = match manager.end_of(id, hash).await {
                    Ok(None) => return,
                    Ok(Some((end, current))) => {
                        hash = current;
                        end.min(next)
                    }
                    Err(error) => {
                        let cause = &chain(&error);
                        let doing = "checking whether a session has ended";
                        Event::StoreFailed { cause, doing }.record();
                        next
                    }
                };
                tokio::select! {
                    () = ending.wait() => return,
                    () = manager.clock().wait_until(until) => {}
                }
            }
        }
    }
}

impl SessionManager {
    /// Returns when a session expires if it is not used, and the current hash of its token. Returns
    /// `None` if it has ended, or if the token with this hash was replaced. A rotated token counts
    /// as valid, since its holder has received the new one.
    async fn end_of(
        &self,
        id: SessionId,
        hash: SecretHash,
    ) -> Result<Option<(Timestamp, SecretHash)>, StoreError> {
        let Some(StoredSession { record, account }) = self.look_up(id).await? else {
            return Ok(None);
        };
        // After a replacement and then a rotation, the session is no longer that of this token's
        // holder.
        let is_rotated = record.rotation.is_some_and(|rotation| rotation.previous == hash);
        let is_valid = lifecycle::state(&record, self.now()).is_some()
            && account.denial.is_none()
            && (record.secret_hash == hash || is_rotated)
            && !matches!(self.actor(&record).await?, Actor::Gone);
        Ok(is_valid.then_some((record.idle_expires_at, record.secret_hash)))
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
    fn every_session_is_checked_once_a_minute_at_a_moment_of_its_own() {
        let minute = time::millis(CHECK_INTERVAL);
        let mut seconds = [0_u32; 60];
        for number in 0..20_000 {
            for begun in [0, 1, 59_999, 1_800_000_000_123, -1] {
                let begun = Timestamp::from_millis(begun);
                let first = next_check(id(number), begun);
                assert!(begun < first && first <= begun + CHECK_INTERVAL, "{number}");
                for before in [Duration::from_millis(1), CHECK_INTERVAL] {
                    let before = time::millis(before);
                    let before = Timestamp::from_millis(first.as_millis() - before);
                    assert_eq!(next_check(id(number), before), first);
                }
                assert_eq!(next_check(id(number), first), first + CHECK_INTERVAL);
            }
            let first = next_check(id(number), Timestamp::from_millis(0)).as_millis();
            seconds[usize::try_from(first % minute / 1_000).unwrap()] += 1;
        }
        // 333 in each second; 100 is five standard deviations.
        assert!(seconds.iter().all(|count| (233..=433).contains(count)), "{seconds:?}");
    }
}
