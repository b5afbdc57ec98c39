//! The runtime of [`locals`](https://docs.rs/locals): cookies, the life of a session, the
//! stores. Use it through `locals`, which re-exports it.

mod account;
mod acting;
mod admission;
mod answer;
mod attribute;
mod auth;
mod auth_builder;
mod bearer;
mod before_request;
mod clock;
mod cookie;
mod cookie_scopes;
mod credential;
mod data;
#[cfg(feature = "device-names")]
mod device;
mod endings;
mod error;
mod events;
mod finish;
mod flows;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guest;
mod guest_room;
pub mod handler;
mod impersonation;
mod late_body;
mod lifecycle;
mod locals;
mod log_in;
mod middleware;
mod newest;
mod origin;
mod outcome;
mod parameters;
mod presented;
mod proxy;
mod redirect;
mod resolution;
mod session;
mod session_manager;
mod settings;
pub mod store;
mod successor;
mod sweeper;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod token_change;
#[cfg(feature = "sql")]
mod transaction;
mod turns;
mod user;
mod verified;

#[cfg(feature = "device-names")]
pub use crate::device::device_name;
#[cfg(feature = "sql")]
pub use crate::transaction::Within;
pub use crate::{
    auth::Auth,
    auth_builder::{AuthBuilder, ClearSiteData},
    before_request::{BeforeRequest, Prepared},
    clock::{Clock, ManualClock, SystemClock, Timestamp},
    cookie::{CookieConfig, SameSite},
    credential::{CredentialDigest, CredentialField},
    data::SessionData,
    error::{BoxError, ConfigError, Error, StoreError},
    finish::FinishedError,
    guest::GuestData,
    lifecycle::Lifetime,
    locals::Locals,
    log_in::LogInOptions,
    middleware::{Guard, Guarded},
    redirect::{SafeRedirect, UnsafeRedirect},
    session::{
        DataChange, GuestRecord, Periods, Renewal, Rotation, Session, SessionInfo, SessionRecord,
        SessionState, SessionTimes, TokenChange,
    },
    session_manager::SessionManager,
    settings::TokenReuse,
    sweeper::Sweeper,
    token::{CredentialHash, MalformedId, MalformedToken, SecretHash, SessionId, SessionToken},
    user::{AuthUser, User, UserColumn, UserId, UserIdKind, UserKey, WrongIdKind},
    verified::{Check, Recent, Verified},
};
