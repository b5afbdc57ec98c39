//! The two attributes, as generated code names them.

/// What stands in the parentheses of an attribute, and what the attribute means.
pub trait Attribute {
    /// Whether a request without a session is answered 401.
    const REQUIRES_SESSION: bool;

    /// Whether a request from another origin runs, without its session.
    fn allows_cross_origin(&self) -> bool;
}

/// `#[with_session]`.
#[derive(Debug, Default)]
pub struct WithSession {
    cross_origin: bool,
}

impl WithSession {
    /// `#[with_session]`.
    pub const fn new() -> Self {
        Self { cross_origin: false }
    }

    /// `#[with_session(cross_origin)]`.
    pub fn cross_origin(self) -> Self {
        Self { cross_origin: true }
    }
}

impl Attribute for WithSession {
    const REQUIRES_SESSION: bool = false;

    fn allows_cross_origin(&self) -> bool {
        self.cross_origin
    }
}

/// `#[require_user]`.
#[derive(Debug, Default)]
pub struct RequireUser;

impl RequireUser {
    /// `#[require_user]`.
    pub const fn new() -> Self {
        Self
    }
}

impl Attribute for RequireUser {
    const REQUIRES_SESSION: bool = true;

    fn allows_cross_origin(&self) -> bool {
        false
    }
}
