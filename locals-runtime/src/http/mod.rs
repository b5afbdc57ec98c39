//! Pure functions of HTTP: from the bytes of a request to decisions and header values.

pub(crate) mod bearer;
pub(crate) mod cookie;
pub(crate) mod cookie_action;
pub(crate) mod origin;
pub(crate) mod problem;
pub(crate) mod proxy;
pub(crate) mod redirect;
pub(crate) mod request_head;
