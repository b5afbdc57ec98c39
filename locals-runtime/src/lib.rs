//! The runtime of [`locals`](https://docs.rs/locals): cookies, the life of a session, the
//! stores. Use it through `locals`, which re-exports it.

mod entry;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod model;
mod request;
mod sessions;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::entry::handler;
#[cfg(feature = "device-names")]
pub use crate::model::device_name::device_name;
#[cfg(feature = "sql")]
pub use crate::sessions::transaction::SessionTransaction;
pub use crate::{
    entry::{before_request::BeforeRequest, guard::Guard},
    http::{
        cookie::{CookieConfig, SameSite},
        redirect::{SafeRedirect, UnsafeRedirect},
    },
    model::{
        credential::{CredentialDigest, CredentialField},
        data::SessionData,
        error::{BoxError, ConfigError, Error, StoreError},
        guest::GuestData,
        hashes::{CredentialHash, SecretHash},
        lifecycle::Lifetime,
        log_in_options::LogInOptions,
        record::{
            DataChange, GuestRecord, Periods, Renewal, Rotation, SessionRecord, SessionState,
            SessionTimes, TokenChange,
        },
        session_id::{MalformedId, SessionId},
        settings::TokenReuse,
        time::Timestamp,
        token::{MalformedToken, SessionToken},
        user::{AuthUser, User, UserColumn},
        user_id::{UserId, UserIdKind, UserKey, WrongIdKind},
    },
    request::{
        auth::Auth,
        auth_builder::{AuthBuilder, ClearSiteData},
        locals::Locals,
        response_headers::ErrorWithHeaders,
    },
    sessions::{
        clock::{Clock, ManualClock, SystemClock},
        manager::SessionManager,
        session::{Session, SessionInfo},
        sweeper::Sweeper,
        verified::{Check, Recent, Verified},
    },
};
