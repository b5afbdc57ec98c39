//! What differs between databases: a table of statements, and how values go in and out.

use std::future::Future;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr, error::BoxDynError};
use uuid::Uuid;

use crate::user::{UserId, UserIdKind};

/// A database that [`SqlStore`](super::SqlStore) speaks. Sealed: it is `sqlx::Sqlite`.
pub trait Dialect: Driver {}

/// A value on its way into a statement.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(Option<&'a str>),
    Uuid(Uuid),
}

/// The operations of one driver, behind [`Dialect`], so that its long bounds reach no page of
/// the documentation.
pub trait Driver: sqlx::Database {
    const TEMPLATES: Templates;

    fn execute(
        connection: &mut Self::Connection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = sqlx::Result<u64>> + Send;

    fn fetch_optional(
        connection: &mut Self::Connection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = sqlx::Result<Option<Self::Row>>> + Send;

    fn fetch_all(
        connection: &mut Self::Connection,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = sqlx::Result<Vec<Self::Row>>> + Send;

    fn integer(row: &Self::Row, column: usize) -> Result<i64, BoxDynError>;

    fn bytes(row: &Self::Row, column: usize) -> Result<&[u8], BoxDynError>;

    fn text(row: &Self::Row, column: usize) -> Result<Option<String>, BoxDynError>;

    fn user_id(row: &Self::Row, column: usize, kind: UserIdKind) -> Result<UserId, BoxDynError>;
}

/// The statements of one dialect. `{users}` and `{id}` stand for the app's own table and its
/// id column.
#[derive(Debug, Clone, Copy)]
pub struct Templates {
    pub create: &'static str,
    pub find: &'static str,
    pub find_with_user: &'static str,
    pub renew: &'static str,
    pub delete: &'static str,
    pub delete_by_user: &'static str,
    pub delete_others: &'static str,
    pub list_by_user: &'static str,
    pub delete_expired: &'static str,
}

/// The statements of one app.
#[derive(Debug)]
pub struct Statements {
    pub create: SqlStr,
    pub find: SqlStr,
    pub find_with_user: SqlStr,
    pub renew: SqlStr,
    pub delete: SqlStr,
    pub delete_by_user: SqlStr,
    pub delete_others: SqlStr,
    pub list_by_user: SqlStr,
    pub delete_expired: SqlStr,
}

impl Templates {
    /// The statements for an app whose users live in `users`, with their id in `id`.
    pub fn fill(&self, users: &str, id: &str) -> Statements {
        let fill = |template| fill(template, users, id);
        Statements {
            create: fill(self.create),
            find: fill(self.find),
            find_with_user: fill(self.find_with_user),
            renew: fill(self.renew),
            delete: fill(self.delete),
            delete_by_user: fill(self.delete_by_user),
            delete_others: fill(self.delete_others),
            list_by_user: fill(self.list_by_user),
            delete_expired: fill(self.delete_expired),
        }
    }
}

/// Puts the app's names into a statement, quoted, so that none can be anything but a name.
pub fn fill(template: &str, users: &str, id: &str) -> SqlStr {
    let quote = |name: &str| {
        let parts = name.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\"")));
        parts.collect::<Vec<_>>().join(".")
    };
    let sql = template.replace("{users}", &quote(users)).replace("{id}", &quote(id));
    AssertSqlSafe(sql).into_sql_str()
}

/// The columns of `user_sessions` but the id, in the order in which they are written and read.
/// The id stands behind them, where it is not known already: each column read costs time.
macro_rules! columns {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "secret_hash, ",
            $prefix,
            "user_id, ",
            $prefix,
            "created_at, ",
            $prefix,
            "authenticated_at, ",
            $prefix,
            "active_expires_at, ",
            $prefix,
            "idle_expires_at, ",
            $prefix,
            "absolute_expires_at, ",
            $prefix,
            "user_agent, ",
            $prefix,
            "address"
        )
    };
}

/// In a `SELECT` beside the columns of the user, the columns of the session take names that no
/// column of the user has, so that `FromRow` finds the user's.
macro_rules! columns_beside_user {
    () => {
        "s.secret_hash AS \"session.secret_hash\", \
         s.user_id AS \"session.user_id\", s.created_at AS \"session.created_at\", \
         s.authenticated_at AS \"session.authenticated_at\", \
         s.active_expires_at AS \"session.active_expires_at\", \
         s.idle_expires_at AS \"session.idle_expires_at\", \
         s.absolute_expires_at AS \"session.absolute_expires_at\", \
         s.user_agent AS \"session.user_agent\", s.address AS \"session.address\""
    };
}

/// SQLite.
///
/// Bound keys are written `+?`: after `ANALYZE`, SQLite (with `STAT4`, as bundled) would
/// otherwise prepare the join anew at every execution, to look at the value.
#[cfg(feature = "sqlite")]
pub const SQLITE: Templates = Templates {
    create: concat!(
        "INSERT INTO user_sessions (",
        columns!(""),
        ", id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ),
    find: concat!(
        "SELECT ",
        columns!("s."),
        " FROM user_sessions AS s \
         JOIN {users} AS u ON u.{id} = s.user_id WHERE s.id = +?"
    ),
    find_with_user: concat!(
        "SELECT ",
        columns_beside_user!(),
        ", u.* FROM user_sessions AS s \
         JOIN {users} AS u ON u.{id} = s.user_id WHERE s.id = +?"
    ),
    renew: "UPDATE user_sessions SET active_expires_at = ?, idle_expires_at = ? \
            WHERE id = +? AND active_expires_at <= ?",
    delete: "DELETE FROM user_sessions WHERE id = +?",
    delete_by_user: "DELETE FROM user_sessions WHERE user_id = ?",
    delete_others: "DELETE FROM user_sessions WHERE user_id = ? AND id <> ?",
    list_by_user: concat!(
        "SELECT ",
        columns!(""),
        ", id FROM user_sessions WHERE user_id = ? \
         ORDER BY created_at DESC, id DESC"
    ),
    delete_expired: "DELETE FROM user_sessions WHERE id IN \
                     (SELECT id FROM user_sessions WHERE idle_expires_at <= ? LIMIT ?)",
};
