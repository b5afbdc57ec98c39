//! The runtime of [`locals`](https://docs.rs/locals): cookies, the life of a session, the
//! stores. Use it through `locals`, which re-exports it.

mod attribute;
mod auth;
mod clock;
mod cookie;
mod error;
pub mod handler;
mod lifecycle;
mod locals;
mod origin;
mod outcome;
mod parameters;
mod session;
mod session_manager;
pub mod store;
mod sweeper;
mod token;
#[cfg(feature = "sql")]
mod transaction;
mod user;

#[cfg(feature = "sql")]
pub use crate::transaction::Within;
pub use crate::{
    auth::{Auth, AuthBuilder},
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    cookie::{CookieConfig, SameSite},
    error::{BoxError, ConfigError, Error, StoreError},
    lifecycle::Lifetime,
    locals::Locals,
    session::{
        DataChange, GuestRecord, Periods, Renewal, Rotation, Session, SessionInfo, SessionRecord,
        SessionState, TokenChange,
    },
    session_manager::SessionManager,
    sweeper::Sweeper,
    token::{MalformedId, MalformedToken, SecretHash, SessionId, SessionToken},
    user::{AuthUser, User, UserId, UserIdKind, UserKey, WrongIdKind},
};
