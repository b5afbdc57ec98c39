//! The statements that read users, as the table of the users stands.

use std::time::{Duration, Instant};

use sqlx::SqlStr;

use crate::store::sql::dialect::UuidForm;

/// For how long it is believed that a column is missing that may yet come.
const MISSING_LASTS: Duration = Duration::from_mins(1);

/// What statements need to know of the app's own table.
#[derive(Debug)]
pub struct UserStatements {
    pub find_with_user: SqlStr,
    pub find_user: SqlStr,
    /// Any one user.
    pub any: SqlStr,
    /// How many columns they name.
    pub columns: usize,
    pub uuid_form: UuidForm,
    /// How the id column is declared.
    pub key: String,
    /// The columns that the user type asks for, and that are not there. Then all are read: its `FromRow`
    /// may know better.
    pub missing: Vec<&'static str>,
    /// Whether only those columns are read that the type asks for.
    pub is_selective: bool,
    /// When a column was missing that the type can do without.
    pub lacks_optional_since: Option<Instant>,
}

impl UserStatements {
    pub fn is_up_to_date(&self) -> bool {
        self.lacks_optional_since.is_none_or(|since| since.elapsed() < MISSING_LASTS)
    }

    pub fn has_same_statements(&self, other: &Self) -> bool {
        self.find_with_user.as_str() == other.find_with_user.as_str()
    }
}
