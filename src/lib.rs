//! Sessions and users for Actix Web handlers.

pub use locals_macros::{AuthUser, require_user, with_session};
pub use locals_runtime::{
    Auth, AuthBuilder, AuthUser, BoxError, Clock, ConfigError, CookieConfig, Error, Lifetime,
    Locals, MalformedId, MalformedToken, ManualClock, Renewal, SameSite, SecretHash, Session,
    SessionId, SessionInfo, SessionRecord, SessionState, SessionToken, Sessions, StoreError,
    SystemClock, Timestamp, User, UserId, UserIdKind, UserKey, WrongIdKind, store,
};

#[doc(hidden)]
pub use locals_runtime::handler as __private;
