//! A session as a request holds it, and as a list shows it.

use std::{fmt, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    model::{
        data::{SessionData, read},
        error::Error,
        lifecycle,
        record::{Renewal, SessionRecord, SessionState},
        session_id::SessionId,
        time::Timestamp,
        token::SessionToken,
        user_id::UserId,
    },
    sessions::context::Context,
};

impl Session {
    /// The app's data of this session, as they were when it was read; see [`SessionData`].
    pub fn data<D: SessionData>(&self) -> D {
        read(self.record.data.as_deref())
    }
}

/// A validated session: one that this request presented or created.
///
/// It carries its token in memory, so that [`set_session`](crate::Locals::set_session) can
/// write the cookie. `Debug` hides the token, and there is no `Serialize`: what a page may
/// show of a session is a [`SessionInfo`].
///
/// ```
/// use locals::{Session, require_user};
///
/// #[require_user]
/// async fn about(session: Session) -> String {
///     let since = session.created_at().as_millis();
///     format!("{} from {} since {since}", session.id(), session.address().unwrap_or("somewhere"))
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    pub(crate) record: SessionRecord,
    pub(crate) token: SessionToken,
    pub(crate) state: SessionState,
    pub(crate) fresh: bool,
    /// When it was validated or created.
    pub(crate) seen_at: Timestamp,
    /// Who really acts, if it is not the user.
    pub(crate) actor: Option<UserId>,
    pub(crate) context: Arc<Context>,
}

impl Session {
    /// The public id, for lists, logs and revocation.
    pub fn id(&self) -> SessionId {
        self.record.id
    }

    /// Whose session it is.
    pub fn user_id(&self) -> &UserId {
        &self.record.user_id
    }

    /// The state in which it was presented. [`Idle`](SessionState::Idle) means that this use
    /// renews it; the expiries below are the new ones.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// Whether this request created it or found it idle, and so renews it. Its cookie is sent
    /// again, unless another request has just renewed it.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// When the user last proved who they are.
    pub fn authenticated_at(&self) -> Timestamp {
        self.record.authenticated_at
    }

    /// Whether the user has proved who they are within this time before the request, and acts in
    /// their own name. The condition behind `#[require_user(recent = "10m")]`.
    ///
    /// A proof that lies more than a minute ahead of the clock, because the clock was wrong then, is
    /// never recent.
    pub fn is_recent(&self, within: Duration) -> bool {
        let age = lifecycle::age_of_proof(&self.record, self.seen_at);
        self.actor.is_none() && age.is_some_and(|age| age <= within)
    }

    /// The member of staff who really acts, in a session that
    /// [`impersonate`](crate::Locals::impersonate) has begun.
    pub fn actor(&self) -> Option<&UserId> {
        self.actor.as_ref()
    }

    /// When its periods last began: when it was created, or last renewed.
    pub fn renewed_at(&self) -> Timestamp {
        self.record.renewed_at
    }

    /// Whether the browser keeps its cookie when it is closed; see
    /// [`LogInOptions::remember`](crate::LogInOptions::remember).
    pub fn is_persistent(&self) -> bool {
        self.record.is_persistent
    }

    /// Until when it is active.
    pub fn active_expires_at(&self) -> Timestamp {
        self.record.active_expires_at
    }

    /// When it ends unless it is used before.
    pub fn idle_expires_at(&self) -> Timestamp {
        self.record.idle_expires_at
    }

    /// When it ends however much it is used.
    pub fn absolute_expires_at(&self) -> Timestamp {
        lifecycle::absolute_end(&self.record)
    }

    /// The browser that logged in, as it called itself.
    pub fn user_agent(&self) -> Option<&str> {
        self.record.user_agent.as_deref()
    }

    /// The network address that logged in.
    pub fn address(&self) -> Option<&str> {
        self.record.address.as_deref()
    }

    /// The token, for carriers other than the session cookie. Keep it secret.
    pub fn token(&self) -> &SessionToken {
        &self.token
    }
}

impl Session {
    /// The session with the times that a renewal sets.
    pub(super) fn renewed_by(mut self, renewal: &Renewal) -> Self {
        self.record.active_expires_at = renewal.active_expires_at;
        self.record.idle_expires_at = renewal.idle_expires_at;
        self.record.renewed_at = renewal.renewed_at;
        self.fresh = true;
        self
    }

    /// Why a session that must be of a recent login is refused: an impersonation never is one.
    pub(crate) fn not_recent(&self) -> Error {
        if self.actor().is_some() { Error::Forbidden } else { Error::NotRecent }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("user_id", self.user_id())
            .field("actor", &self.actor)
            .field("state", &self.state)
            .field("is_fresh", &self.fresh)
            .field("idle_expires_at", &self.idle_expires_at())
            .finish_non_exhaustive()
    }
}

/// One entry of a list of sessions. It has no token: it can be shown, and opens nothing.
///
/// ```
/// use locals::{Error, Locals, require_user};
///
/// #[require_user]
/// async fn devices(locals: Locals) -> Result<String, Error> {
///     let lines = locals.sessions().await?.into_iter().map(|info| {
///         let browser = info.user_agent.as_deref().unwrap_or("unknown");
///         format!("{} {browser}{}\n", info.id, if info.is_current { " (this one)" } else { "" })
///     });
///     Ok(lines.collect())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// The public id, to end the session by.
    pub id: SessionId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the user last proved who they are.
    pub authenticated_at: Timestamp,
    /// When its periods last began: when it was created, or last renewed. It was used then, and
    /// perhaps since.
    pub renewed_at: Timestamp,
    /// Until when it is active.
    pub active_expires_at: Timestamp,
    /// When it ends unless it is used before.
    pub idle_expires_at: Timestamp,
    /// When it ends however much it is used.
    pub absolute_expires_at: Timestamp,
    /// Whether the browser keeps its cookie when it is closed.
    pub is_persistent: bool,
    /// The member of staff who acts as this user, in a session that
    /// [`impersonate`](crate::Locals::impersonate) has begun.
    pub actor: Option<UserId>,
    /// Active, or idle and waiting for its next use.
    pub state: SessionState,
    /// The browser that logged in, as it called itself.
    pub user_agent: Option<String>,
    /// The network address that logged in.
    pub address: Option<String>,
    /// Whether it is the session of the request that asks.
    pub is_current: bool,
}

impl SessionInfo {
    pub(crate) fn new(record: SessionRecord, state: SessionState, actor: Option<UserId>) -> Self {
        Self {
            id: record.id,
            created_at: record.created_at,
            authenticated_at: record.authenticated_at,
            renewed_at: record.renewed_at,
            active_expires_at: record.active_expires_at,
            idle_expires_at: record.idle_expires_at,
            absolute_expires_at: lifecycle::absolute_end(&record),
            is_persistent: record.is_persistent,
            actor,
            state,
            user_agent: record.user_agent,
            address: record.address,
            is_current: false,
        }
    }

    /// A readable name of the device, such as "Firefox on Windows".
    #[cfg(feature = "device-names")]
    pub fn device(&self) -> String {
        crate::model::device_name::device_name(self.user_agent.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{settings::Settings, user::test_user::Account, user_table::UserTable},
        sessions::{clock::ManualClock, manager::SessionManager},
        store::MemoryStore,
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A session each of whose values is another one.
    fn session() -> Session {
        let store = MemoryStore::<Account>::new();
        let clock = ManualClock::at(at(0));
        let users = UserTable::of::<Account>();
        let manager =
            SessionManager::new(Arc::new(store), None, Arc::new(clock), Settings::default(), users);
        let token: SessionToken = "a".repeat(64).parse().unwrap();
        let record = SessionRecord {
            id: token.id(),
            secret_hash: manager.hash(&token),
            user_id: UserId::Integer(7),
            created_at: at(1_000),
            authenticated_at: at(2_000),
            renewed_at: at(3_000),
            active_expires_at: at(4_000),
            idle_expires_at: at(5_000),
            absolute_expires_at: at(6_000),
            periods: None,
            is_persistent: true,
            user_agent: Some("browser".to_owned()),
            address: Some("192.0.2.7".to_owned()),
            actor_session: None,
            data: None,
            data_revision: 0,
            rotation: None,
            credential: None,
        };
        manager.session(record, token, SessionState::Idle, true, at(3_500), None)
    }

    #[test]
    fn a_session_says_what_its_row_says() {
        let session = session();
        assert_eq!(session.id(), session.token().id());
        assert_eq!(session.token().expose_secret(), "a".repeat(64));
        assert_eq!((session.user_id(), session.actor()), (&UserId::Integer(7), None));
        assert_eq!((session.state(), session.is_fresh()), (SessionState::Idle, true));
        let times = [
            session.created_at(),
            session.authenticated_at(),
            session.renewed_at(),
            session.active_expires_at(),
            session.idle_expires_at(),
            session.absolute_expires_at(),
        ];
        assert_eq!(times.map(Timestamp::as_millis), [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]);
        assert!(session.is_persistent());
        assert_eq!(session.user_agent(), Some("browser"));
        assert_eq!(session.address(), Some("192.0.2.7"));

        let other = Session {
            fresh: false,
            actor: Some(UserId::Integer(9)),
            record: SessionRecord {
                is_persistent: false,
                user_agent: None,
                address: None,
                ..session.record.clone()
            },
            ..session
        };
        assert!(!other.is_fresh() && !other.is_persistent());
        assert_eq!((other.user_agent(), other.address()), (None, None));
        assert_eq!(other.actor(), Some(&UserId::Integer(9)));
        assert!(!format!("{other:?}").contains(&"a".repeat(30)), "{other:?}");
    }

    #[test]
    fn a_list_says_the_same_of_a_session() {
        let record = session().record;
        let actor = Some(UserId::Integer(9));
        let info = SessionInfo::new(record.clone(), SessionState::Idle, actor.clone());
        assert_eq!(
            info,
            SessionInfo {
                id: record.id,
                created_at: at(1_000),
                authenticated_at: at(2_000),
                renewed_at: at(3_000),
                active_expires_at: at(4_000),
                idle_expires_at: at(5_000),
                absolute_expires_at: at(6_000),
                is_persistent: true,
                actor,
                state: SessionState::Idle,
                user_agent: record.user_agent,
                address: record.address,
                is_current: false,
            }
        );
    }

    #[test]
    fn a_proof_is_recent_to_the_millisecond_and_never_that_of_another() {
        let session = session();
        assert!(session.is_recent(Duration::from_millis(1_500)));
        assert!(!session.is_recent(Duration::from_millis(1_499)));
        let acting = Session { actor: Some(UserId::Integer(9)), ..session.clone() };
        assert!(!acting.is_recent(Duration::MAX));
        let ahead = |millis: i64| Session { seen_at: at(2_000 - millis), ..session.clone() };
        assert!(ahead(60_000).is_recent(Duration::ZERO));
        assert!(!ahead(60_001).is_recent(Duration::MAX));
    }

    #[cfg(feature = "device-names")]
    #[test]
    fn a_device_that_says_nothing_has_a_name_too() {
        let info = |user_agent: Option<&str>| {
            let user_agent = user_agent.map(str::to_owned);
            let record = SessionRecord { user_agent, ..session().record };
            SessionInfo::new(record, SessionState::Active, None).device()
        };
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(info(Some(firefox)), crate::model::device_name::device_name(firefox));
        assert_eq!(info(None), crate::model::device_name::device_name(""));
    }
}
