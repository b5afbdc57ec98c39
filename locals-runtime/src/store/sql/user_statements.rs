//! The statements that read users, built from the current columns of their table.

use std::time::{Duration, Instant};

use sqlx::SqlStr;

use crate::store::sql::dialect::UuidForm;

/// How long a missing optional column is assumed to stay missing.
const MISSING_LASTS: Duration = Duration::from_mins(1);

/// The statements that read the app's own table, and what is known of that table.
#[derive(Debug)]
pub struct UserStatements {
    pub find_with_user: SqlStr,
    pub find_user: SqlStr,
    /// Reads any one user.
    pub any: SqlStr,
    /// The number of columns of a user in these statements.
    pub columns: usize,
    pub uuid_form: UuidForm,
    /// The declared type of the id column.
    pub key: String,
    /// The required columns of the user type that the table does not have. If there are any, all columns
    /// are read, because the type's `FromRow` may use other names.
    pub missing: Vec<&'static str>,
    /// Whether only the columns of the user type are read.
    pub is_selective: bool,
    /// When an optional column was last found missing.
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
