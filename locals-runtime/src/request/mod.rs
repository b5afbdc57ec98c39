//! A request: its session, its `Locals` and its response.

pub(crate) mod auth;
pub(crate) mod auth_builder;
pub(crate) mod conflicting_tokens;
pub(crate) mod decision;
pub(crate) mod erased_auth;
pub(crate) mod error_responder;
pub(crate) mod finish_session;
pub(crate) mod locals;
pub(crate) mod presented_token;
pub(crate) mod problem_response;
pub(crate) mod request_session;
pub(crate) mod requirements;
pub(crate) mod response_headers;
#[cfg(feature = "sql")]
pub(crate) mod transaction;
pub(crate) mod user_type;
