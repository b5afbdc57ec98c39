//! The table of sessions: how it is made, printed and checked.

use sqlx::Sqlite;

use super::{SqlStore, dialect::fill};
use crate::{error::StoreError, user::AuthUser};

/// `{key}` stands for the declared type of the app's id column.
///
/// Without a rowid, a session is found by one descent of one tree.
const CREATE: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS user_sessions (
    id BLOB NOT NULL PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    user_id {key} NOT NULL REFERENCES {users} ({id}) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    active_expires_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    user_agent TEXT,
    address TEXT
) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS user_sessions_by_user ON user_sessions (user_id)",
    "CREATE INDEX IF NOT EXISTS user_sessions_by_expiry ON user_sessions (idle_expires_at)",
];

/// The columns in order: name, declared type (`None`: that of the user's id), may be null.
const COLUMNS: [(&str, Option<&str>, bool); 10] = [
    ("id", Some("BLOB"), false),
    ("secret_hash", Some("BLOB"), false),
    ("user_id", None, false),
    ("created_at", Some("INTEGER"), false),
    ("authenticated_at", Some("INTEGER"), false),
    ("active_expires_at", Some("INTEGER"), false),
    ("idle_expires_at", Some("INTEGER"), false),
    ("absolute_expires_at", Some("INTEGER"), false),
    ("user_agent", Some("TEXT"), true),
    ("address", Some("TEXT"), true),
];

const INDEXES: [&str; 2] = ["user_sessions_by_user", "user_sessions_by_expiry"];

impl<T: AuthUser> SqlStore<Sqlite, T> {
    /// Makes the table `user_sessions` and its indexes, where they are not there yet.
    ///
    /// The app's own table of users must exist: the foreign key points to it.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the table of users is missing, or a table `user_sessions` is
    /// there that is not ours; [`StoreError::Backend`] if the database fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let key = self.key_type().await?;
        for statement in statements::<T>(&key) {
            sqlx::query(statement).execute(self.pool()).await?;
        }
        self.check().await
    }

    /// The SQL that [`migrate`](Self::migrate) runs, for those who use a migration tool of
    /// their own.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub async fn migration_sql(&self) -> Result<String, StoreError> {
        let key = self.key_type().await?;
        let statements = statements::<T>(&key);
        Ok(statements.iter().flat_map(|sql| [sql.as_str(), ";\n"]).collect())
    }

    /// Compares the table `user_sessions` with what this version expects. Call it at start-up
    /// if the table is made by other hands.
    ///
    /// # Errors
    /// [`StoreError::Schema`] says in one line what differs and what to do;
    /// [`StoreError::Backend`] if the database fails.
    pub async fn check(&self) -> Result<(), StoreError> {
        let key = self.key_type().await?;
        let found = self.columns("user_sessions").await?;
        if found.is_empty() {
            return Err(StoreError::Schema(
                "the table `user_sessions` is missing: call `store.migrate()` at start-up, or run \
                 the SQL of `store.migration_sql()`"
                    .to_owned(),
            ));
        }
        let expected = COLUMNS.map(|(name, declared, nullable)| {
            (name.to_owned(), declared.unwrap_or(&key).to_owned(), nullable)
        });
        let mut differences = difference(&expected, &found);
        differences.extend(self.wrong_key().await?);
        differences.extend(self.missing_indexes().await?);
        differences.extend(self.wrong_reference().await?);
        if differences.is_empty() {
            return Ok(());
        }
        Err(StoreError::Schema(format!(
            "the table `user_sessions` differs from what this version of `locals` expects: {}; \
             compare it with `store.migration_sql()`",
            differences.join(", ")
        )))
    }

    /// The declared type of the id column of the app's own table.
    async fn key_type(&self) -> Result<String, StoreError> {
        let (table, id) = (T::TABLE, T::ID_COLUMN);
        let columns = self.columns(table).await?;
        if columns.is_empty() {
            return Err(StoreError::Schema(format!(
                "the table of users `{table}` is missing: create it before `user_sessions`, or \
                 name the right one with `#[auth_user(table = \"..\")]`"
            )));
        }
        let column = columns.into_iter().find(|(name, ..)| name.eq_ignore_ascii_case(id));
        column.map(|(_, declared, _)| declared).ok_or_else(|| {
            StoreError::Schema(format!(
                "the table of users `{table}` has no column `{id}`: mark the field of the id \
                 with `#[auth_user(id)]`, or name its column with `#[auth_user(id = \"..\")]`"
            ))
        })
    }

    /// The columns of a table: name, declared type, may be null.
    async fn columns(&self, table: &str) -> Result<Vec<(String, String, bool)>, StoreError> {
        let sql = "SELECT name, type, NOT \"notnull\" FROM pragma_table_info(?)";
        let query = sqlx::query_as(sql).bind(table);
        Ok(query.fetch_all(self.pool()).await?)
    }

    /// The primary key is what tells a collision.
    async fn wrong_key(&self) -> Result<Option<String>, StoreError> {
        let sql = "SELECT name FROM pragma_table_info('user_sessions') WHERE pk > 0";
        let query = sqlx::query_scalar(sql);
        let found: Vec<String> = query.fetch_all(self.pool()).await?;
        Ok((found != ["id"]).then(|| "`id` is not the primary key".to_owned()))
    }

    async fn missing_indexes(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM pragma_index_list('user_sessions')";
        let query = sqlx::query_scalar(sql);
        let found: Vec<String> = query.fetch_all(self.pool()).await?;
        let missing = INDEXES.iter().filter(|index| !found.iter().any(|name| name == *index));
        Ok(missing.map(|index| format!("the index `{index}` is missing")).collect())
    }

    async fn wrong_reference(&self) -> Result<Option<String>, StoreError> {
        let sql = "SELECT \"table\", on_delete FROM pragma_foreign_key_list('user_sessions') \
                   WHERE \"from\" = 'user_id'";
        let query = sqlx::query_as(sql);
        let found: Vec<(String, String)> = query.fetch_all(self.pool()).await?;
        let right = found.iter().any(|(table, on_delete)| {
            table.eq_ignore_ascii_case(T::TABLE) && on_delete == "CASCADE"
        });
        Ok((!right).then(|| {
            format!("`user_id` does not reference `{}` with `ON DELETE CASCADE`", T::TABLE)
        }))
    }
}

fn statements<T: AuthUser>(key: &str) -> [sqlx::SqlStr; 3] {
    CREATE.map(|sql| fill(&sql.replace("{key}", key), T::TABLE, T::ID_COLUMN))
}

fn difference(
    expected: &[(String, String, bool)],
    found: &[(String, String, bool)],
) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, declared, nullable) in expected {
        let Some((_, found_type, found_null)) = found.iter().find(|(other, ..)| other == name)
        else {
            differences.push(format!("the column `{name}` is missing"));
            continue;
        };
        if !found_type.eq_ignore_ascii_case(declared) {
            differences.push(format!("`{name}` is {found_type} and should be {declared}"));
        }
        if found_null != nullable {
            let should = if *nullable { "may be null" } else { "must be NOT NULL" };
            differences.push(format!("`{name}` {should}"));
        }
    }
    for (name, ..) in found {
        if !expected.iter().any(|(other, ..)| other == name) {
            differences.push(format!("the column `{name}` is unknown"));
        }
    }
    differences
}
