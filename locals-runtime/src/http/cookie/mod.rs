//! The session cookie: its configuration, reading and writing.

mod config;
mod presented;
mod scopes;
mod session_cookie;

pub use config::{CookieConfig, SameSite};
pub(crate) use presented::{AllPresented, Presented};
pub(crate) use session_cookie::{
    CookieContext, MAX_REMOVAL_BYTES, REMOVAL_BYTES_LEFT_TO_GUEST, SessionCookie, header_bytes,
};
