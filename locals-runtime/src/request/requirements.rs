//! What must be read of the session before a handler runs.

use crate::request::user_type::UserType;

/// What a parameter asks of the session before the handler runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requirements {
    pub(crate) session: bool,
    pub(crate) user: Option<UserType>,
    /// More may be asked while the handler runs.
    pub(crate) later: bool,
}

impl Requirements {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            session: self.session || other.session,
            user: self.user.or(other.user),
            later: self.later || other.later,
        }
    }
}
