//! The runtime of [`locals`](https://docs.rs/locals): cookies, the life of a session, the
//! stores. Use it through `locals`, which re-exports it.

mod answer;
mod attribute;
mod auth;
mod clock;
mod cookie;
#[cfg(feature = "device-names")]
mod device;
mod error;
mod finish;
pub mod handler;
mod lifecycle;
mod locals;
mod middleware;
mod origin;
mod outcome;
mod parameters;
#[allow(dead_code)] // wired up next
mod proxy;
mod redirect;
mod resolution;
mod session;
mod session_manager;
pub mod store;
mod sweeper;
mod token;
#[cfg(feature = "sql")]
mod transaction;
mod user;
mod verified;

#[cfg(feature = "device-names")]
pub use crate::device::device_name;
#[cfg(feature = "sql")]
pub use crate::transaction::Within;
pub use crate::{
    auth::{Auth, AuthBuilder},
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    cookie::{CookieConfig, SameSite},
    error::{BoxError, ConfigError, Error, StoreError},
    lifecycle::Lifetime,
    locals::Locals,
    middleware::{Guard, Guarded},
    redirect::{SafeRedirect, UnsafeRedirect},
    session::{
        DataChange, GuestRecord, Periods, Renewal, Rotation, Session, SessionInfo, SessionRecord,
        SessionState, TokenChange,
    },
    session_manager::SessionManager,
    sweeper::Sweeper,
    token::{MalformedId, MalformedToken, SecretHash, SessionId, SessionToken},
    user::{AuthUser, User, UserId, UserIdKind, UserKey, WrongIdKind},
    verified::{Check, Recent, Verified},
};
