//! What must be read of a session before the handler runs.

use crate::request::user_type::UserType;

/// What a parameter needs to have read before the handler runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requirements {
    pub(crate) session: bool,
    pub(crate) user: Option<UserType>,
    /// Whether more may be needed while the handler runs.
    pub(crate) may_ask_later: bool,
}

impl Requirements {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            session: self.session || other.session,
            user: self.user.or(other.user),
            may_ask_later: self.may_ask_later || other.may_ask_later,
        }
    }
}
