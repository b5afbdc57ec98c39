//! `Session`, which a request holds, and `SessionInfo`, which a list shows.

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
    /// Returns the app's data of this session, as they were when it was read. See [`SessionData`].
    pub fn data<D: SessionData>(&self) -> D {
        read(self.record.data.as_deref())
    }
}

/// A validated session: one that a request has presented or created.
///
/// It holds its token in memory, so that [`set_session`](crate::Locals::set_session) can write the
/// cookie. `Debug` hides the token, and `Serialize` is not implemented; to show a session on a
/// page, use [`SessionInfo`].
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
    /// The actor, in an impersonation.
    pub(crate) actor: Option<UserId>,
    pub(crate) context: Arc<Context>,
}

impl Session {
    /// The public id, for lists, logs and ending the session.
    pub fn id(&self) -> SessionId {
        self.record.id
    }

    /// The id of the user whose session it is.
    pub fn user_id(&self) -> &UserId {
        &self.record.user_id
    }

    /// The state in which it was presented. [`Idle`](SessionState::Idle) means that this request
    /// renews it; the expiry times below are the new ones.
    pub fn state(&self) -> SessionState {
        self.state
    }

    /// Whether this request created the session, or found it idle and so renews it. Its cookie is
    /// sent again, unless another request has just renewed it.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// When the user last authenticated.
    pub fn authenticated_at(&self) -> Timestamp {
        self.record.authenticated_at
    }

    /// Whether the user has authenticated within this time before the request, and the session is
    /// not an impersonation. This is the condition of `#[require_user(recent = "10m")]`.
    ///
    /// An authentication more than a minute in the future, which was recorded while the clock was
    /// wrong, is never recent.
    pub fn is_recent(&self, within: Duration) -> bool {
        let age = lifecycle::age_of_authentication(&self.record, self.seen_at);
        self.actor.is_none() && age.is_some_and(|age| age <= within)
    }

    /// The id of the member of staff who really acts, in a session that
    /// [`impersonate`](crate::Locals::impersonate) has created.
    pub fn actor(&self) -> Option<&UserId> {
        self.actor.as_ref()
    }

    /// When its periods last began: when it was created or last renewed.
    pub fn renewed_at(&self) -> Timestamp {
        self.record.renewed_at
    }

    /// Whether the browser keeps its cookie when it is closed; see
    /// [`LogInOptions::remember`](crate::LogInOptions::remember).
    pub fn is_persistent(&self) -> bool {
        self.record.is_persistent
    }

    /// When its active period ends.
    pub fn active_expires_at(&self) -> Timestamp {
        self.record.active_expires_at
    }

    /// When it expires by the idle timeout, unless it is used before.
    pub fn idle_expires_at(&self) -> Timestamp {
        self.record.idle_expires_at
    }

    /// When it expires by the absolute timeout, however much it is used.
    pub fn absolute_expires_at(&self) -> Timestamp {
        lifecycle::absolute_end(&self.record)
    }

    /// The `User-Agent` of the browser that logged in.
    pub fn user_agent(&self) -> Option<&str> {
        self.record.user_agent.as_deref()
    }

    /// The network address from which the user logged in.
    pub fn address(&self) -> Option<&str> {
        self.record.address.as_deref()
    }

    /// The token, for carriers other than the session cookie. Keep it secret.
    pub fn token(&self) -> &SessionToken {
        &self.token
    }
}

impl Session {
    /// Returns the session with the times that a renewal sets.
    pub(super) fn renewed_by(mut self, renewal: &Renewal) -> Self {
        self.record.active_expires_at = renewal.active_expires_at;
        self.record.idle_expires_at = renewal.idle_expires_at;
        self.record.renewed_at = renewal.renewed_at;
        self.fresh = true;
        self
    }

    /// Returns the error for a session without the required recent login. An impersonation never
    /// has one.
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

/// An entry in a list of sessions. It has no token, so it can be shown safely.
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
    /// The public id, which ends the session.
    pub id: SessionId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the user last authenticated.
    pub authenticated_at: Timestamp,
    /// When its periods last began: when it was created or last renewed. It was used then, and
    /// perhaps later.
    pub renewed_at: Timestamp,
    /// When its active period ends.
    pub active_expires_at: Timestamp,
    /// When it expires by the idle timeout, unless it is used before.
    pub idle_expires_at: Timestamp,
    /// When it expires by the absolute timeout, however much it is used.
    pub absolute_expires_at: Timestamp,
    /// Whether the browser keeps its cookie when it is closed.
    pub is_persistent: bool,
    /// The id of the member of staff who really acts, in a session that
    /// [`impersonate`](crate::Locals::impersonate) has created.
    pub actor: Option<UserId>,
    /// Active, or idle: an idle session is renewed at its next use.
    pub state: SessionState,
    /// The `User-Agent` of the browser that logged in.
    pub user_agent: Option<String>,
    /// The network address from which the user logged in.
    pub address: Option<String>,
    /// Whether it is the session of the current request.
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

    /// Returns a readable name of the device, such as "Firefox on Windows".
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
        model::{
            record::test_record, settings::Settings, user::test_user::Account,
            user_table::UserTable,
        },
        sessions::{clock::ManualClock, manager::SessionManager},
        store::MemoryStore,
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A session in which every value differs.
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
            authenticated_at: at(2_000),
            renewed_at: at(3_000),
            user_agent: Some("browser".to_owned()),
            address: Some("192.0.2.7".to_owned()),
            ..test_record::record(1, at(1_000), [4_000, 5_000, 6_000].map(at))
        };
        manager.session(record, token, SessionState::Idle, true, at(3_500), None)
    }

    #[test]
    fn a_session_returns_the_values_of_its_row() {
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
    fn an_entry_in_a_list_has_the_values_of_the_row() {
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
    fn a_login_is_recent_to_the_millisecond_and_never_in_an_impersonation() {
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
    fn a_session_without_a_user_agent_has_a_device_name() {
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
