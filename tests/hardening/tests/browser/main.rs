//! What Chromium does with the cookie and sends along, and what the app makes of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod browser;
mod cookie;
mod origin;
mod scopes;
mod site;
mod tossed;
