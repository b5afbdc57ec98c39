//! The runtime of [`locals`](https://docs.rs/locals): cookies, the life of a session, the
//! stores. Use it through `locals`, which re-exports it.

mod auth;
mod clock;
mod cookie;
mod error;
pub mod handler;
mod lifecycle;
mod locals;
mod origin;
mod parameters;
mod session;
mod sessions;
pub mod store;
mod token;
mod user;

pub use crate::{
    auth::{Auth, AuthBuilder},
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    cookie::{CookieConfig, SameSite},
    error::{BoxError, ConfigError, Error, StoreError},
    lifecycle::Lifetime,
    locals::Locals,
    session::{Renewal, Session, SessionInfo, SessionRecord, SessionState},
    sessions::Sessions,
    token::{MalformedId, MalformedToken, SecretHash, SessionId, SessionToken},
    user::{AuthUser, User, UserId, UserIdKind, UserKey, WrongIdKind},
};
