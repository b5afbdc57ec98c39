//! The SQL that ends sessions, for transactions of other crates than sqlx.

use crate::{
    model::user::AuthUser,
    store::sql::{driver::Dialect, store::SqlStore},
};

/// The SQL of the methods that end sessions. Returned by [`SqlStore::verb_sql`].
///
/// Each is one statement with the parameters of its database: `$1`, `$2` on PostgreSQL, `?` on the
/// others. Bind the id of a session as its 16 bytes, [`SessionId::as_bytes`](crate::SessionId::as_bytes),
/// and the id of a user as it is stored in the app's own table.
///
/// Running a statement does less than the method: nothing is logged, code that waits for the
/// [end](crate::Session::ended) of a session notices it only within a minute, and a session that is kept
/// keeps its token. After the commit, call [`reauthenticate`](crate::Locals::reauthenticate) to replace
/// its token and to bind it to a changed [credential](AuthUser::CREDENTIAL).
///
/// There is no SQL to create sessions. Call [`log_in`](crate::Locals::log_in) after the commit: the content
/// of a session depends on the app's settings, and its token must not exist before its user does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerbSql {
    /// Ends one session. Changes one row, or none if there is no such session.
    ///
    /// 1. The id of the session: 16 bytes.
    pub invalidate_session: String,

    /// Ends all sessions of a user. Changes as many rows as there were sessions.
    ///
    /// 1. The id of the user.
    pub invalidate_user_sessions: String,

    /// Ends all sessions of a user except one. Changes as many rows as there were others.
    ///
    /// 1. The id of the user.
    /// 2. The id of the session to keep: 16 bytes.
    pub invalidate_other_sessions: String,
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Returns the SQL of the methods that end sessions, for a transaction of another crate than sqlx, such
    /// as Diesel or SeaORM. For a transaction of sqlx, use [`Auth::within`](crate::Auth::within).
    ///
    /// Call it once and keep the result. The SQL belongs to this version of the library: do not store it
    /// in a file.
    ///
    /// ```
    /// # use locals::{AuthUser, Session, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # fn example(
    /// #     store: SqlStore<sqlx::Sqlite, Account>, account: Account, session: Session,
    /// #     mut execute: impl FnMut(&str, (i64, &[u8])),
    /// # ) {
    /// let sql = store.verb_sql();
    /// // In the app's transaction, after the new password:
    /// execute(&sql.invalidate_other_sessions, (account.id, session.id().as_bytes()));
    /// # }
    /// ```
    pub fn verb_sql(&self) -> VerbSql {
        let statements = &self.shared.statements;
        VerbSql {
            invalidate_session: statements.delete.as_str().to_owned(),
            invalidate_user_sessions: statements.delete_by_user.as_str().to_owned(),
            invalidate_other_sessions: statements.delete_others.as_str().to_owned(),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

    use super::*;
    use crate::{
        model::{
            hashes::SecretHash, record::SessionRecord, session_id::SessionId, time::Timestamp,
            user::test_user::Account,
        },
        store::{Ends, SessionStore},
    };

    /// A store with the users 1 and 2, the sessions 1 and 2 of the first, and session 3 of the second.
    async fn filled() -> SqlStore<Sqlite, Account> {
        let store = SqlStore::<_, Account>::sqlite("sqlite::memory:").await.unwrap();
        let accounts = "CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT); \
                        INSERT INTO accounts VALUES (1), (2)";
        sqlx::raw_sql(accounts).execute(store.pool()).await.unwrap();
        store.migrate().await.unwrap();
        for (number, user) in [(1, 1_i64), (2, 1), (3, 2)] {
            let (id, hash) = (SessionId::from_bytes([number; 16]), SecretHash::from_bytes([0; 32]));
            let session = SessionRecord::new(id, hash, user, Timestamp::from_millis(0));
            store.create(&session, Ends::default()).await.unwrap();
        }
        store
    }

    /// Returns the numbers of the sessions that remain.
    async fn remaining(connection: &mut SqliteConnection) -> Vec<u8> {
        let ids = sqlx::query_scalar("SELECT id FROM user_sessions ORDER BY id");
        let ids: Vec<Vec<u8>> = ids.fetch_all(connection).await.unwrap();
        ids.into_iter().map(|id| id[0]).collect()
    }

    #[actix_web::test]
    async fn each_statement_ends_the_right_sessions_and_can_be_rolled_back() {
        let store = filled().await;
        let VerbSql { invalidate_session, invalidate_user_sessions, invalidate_other_sessions } =
            store.verb_sql();
        let session = |number| Some(vec![number; 16]);
        for (sql, user, session, expected) in [
            (invalidate_session, None, session(1), &[2, 3][..]),
            (invalidate_user_sessions, Some(1), None, &[3]),
            (invalidate_other_sessions, Some(1), session(2), &[2, 3]),
        ] {
            let mut transaction = store.pool().begin().await.unwrap();
            let mut query = sqlx::query(AssertSqlSafe(sql.as_str()));
            if let Some(user) = user {
                query = query.bind(user);
            }
            if let Some(session) = session {
                query = query.bind(session);
            }
            let ended = query.execute(&mut *transaction).await.unwrap().rows_affected();
            assert_eq!(remaining(&mut transaction).await, expected, "{sql}");
            assert_eq!(usize::try_from(ended).unwrap(), 3 - expected.len(), "{sql}");
            transaction.rollback().await.unwrap();
        }
        let mut connection = store.pool().acquire().await.unwrap();
        assert_eq!(remaining(&mut connection).await, [1, 2, 3]);
    }
}
