//! What an app attaches to its routes: attributes, guards and middleware.

pub(crate) mod attribute;
pub(crate) mod before_request;
pub(crate) mod guard;
pub mod handler;
pub(crate) mod late_body;
pub(crate) mod parameters;
pub(crate) mod wrapped_service;
