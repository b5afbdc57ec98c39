//! Creates and updates the tables while other processes use them.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, SqlSafeStr};
use tokio::time::sleep;

use crate::{
    model::{error::StoreError, user::AuthUser},
    store::sql::{
        catalog::CatalogReader,
        driver::Dialect,
        failure::{is_locked, is_refused},
        names::guests_of,
        store::SqlStore,
        tables::{FoundSchema, Schema},
    },
};

/// How often a migration tries to get its locks, and how long it waits in between so that other
/// processes can work.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_millis(600);

/// The result of one try.
enum Outcome {
    Done,
    /// Another process is migrating.
    Busy,
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Creates the tables of sessions and guests with their indexes, and updates tables that an older
    /// version has created. No row is lost, and any number of processes may call it at the same time. If
    /// the type of the users' id column has changed, `user_id` gets the same type.
    ///
    /// If nothing has to be changed, it takes no lock and needs no privilege to change tables. A change
    /// waits for its lock only for short times, so that requests of other processes are not blocked.
    ///
    /// The app's own table of users must exist, because the foreign key refers to it. On SQLite, three
    /// triggers are created on that table, which end sessions even if a connection does not enforce foreign
    /// keys.
    ///
    /// # Errors
    /// The same as [`check`](Self::check), which it calls at the end. Also [`StoreError::Schema`] if others
    /// keep the tables locked; the message names them. Also [`StoreError::Schema`] if the database user may
    /// not change tables; the message contains the SQL that the owner of the tables has to run.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A store that has opened the pool itself has already checked this.
        if !self.shared.is_examined {
            D::examine(&self.pool.connect_options()).await?;
        }
        self.check_settings().await?;
        let key = self.check_users().await?;
        for tries in 1.. {
            match self.migrate_once(&key).await {
                Ok(Outcome::Done) => break,
                Ok(Outcome::Busy) if tries < TRIES => sleep(PAUSE).await,
                Ok(Outcome::Busy) => return Err(self.locked(None).await),
                Err(error) if is_locked(&error) && tries < TRIES => sleep(PAUSE).await,
                Err(error) if is_locked(&error) => return Err(self.locked(Some(error)).await),
                Err(error) if is_refused(&error) => return Err(self.refused(&key, &error).await),
                Err(error) => return Err(self.failed_migration(error, &key).await),
            }
        }
        self.compare(&key, true).await?;
        self.try_requests().await
    }

    /// Returns the SQL that creates the tables of sessions and guests, and the triggers of SQLite, for apps
    /// that use a migration tool, such as sqlx-cli, refinery or dbmate.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example(store: SqlStore<sqlx::Sqlite, Account>) -> Result<(), Box<dyn std::error::Error>> {
    /// std::fs::write("migrations/sessions.sql", store.migration_sql().await?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The same as [`migrate`](Self::migrate), because it reads the type of the id from the table of users.
    pub async fn migration_sql(&self) -> Result<String, StoreError> {
        let key = self.read_users().await?.key.clone();
        let statements = self.schema(&key).create::<D>();
        let printed = statements.into_iter().filter(|sql| !sql.starts_with("DROP TRIGGER"));
        Ok(printed.map(|sql| sql + ";\n").collect())
    }

    pub(super) fn schema<'a>(&'a self, key: &'a str) -> Schema<'a> {
        let has_foreign_key = self.shared.has_foreign_key;
        Schema { names: &self.shared.names, key, has_foreign_key }
    }

    async fn migrate_once(&self, key: &str) -> sqlx::Result<Outcome> {
        let schema = self.schema(key);
        let (mut lease, _permit) = self.ready_writer().await?;
        let connection: &mut D::Connection = &mut lease.connection;
        let found = find::<D, T>(connection).await?;
        if schema.changes::<D>(&found).is_empty() {
            lease.has_ended = true;
            return Ok(Outcome::Done);
        }
        let Some(begin) = D::SQL.migration.begin else {
            // The connection is closed afterwards, which releases the lock and resets the timeout.
            return change::<D, T>(connection, &schema).await;
        };
        let mut transaction = connection.begin_with(begin.into_sql_str()).await?;
        let outcome = change::<D, T>(&mut transaction, &schema).await;
        match &outcome {
            Ok(Outcome::Done) => transaction.commit().await?,
            // The first error is more helpful than an error of the rollback.
            _ => drop(transaction.rollback().await),
        }
        lease.has_ended = true;
        outcome
    }

    /// Returns the error of a migration. If the table is not one of ours, says so, because the error of the
    /// database would be misleading.
    async fn failed_migration(&self, error: sqlx::Error, key: &str) -> StoreError {
        if let Err(StoreError::Schema(complaint)) = self.compare(key, true).await {
            return StoreError::Schema(format!("{complaint} (`migrate` failed: {error})"));
        }
        error.into()
    }

    async fn locked(&self, error: Option<sqlx::Error>) -> StoreError {
        let others = async {
            let mut connection = self.pool.acquire().await?;
            let tables = [T::SESSIONS, &guests_of(T::SESSIONS), T::TABLE];
            CatalogReader::<D>(&mut connection).blockers(tables).await
        };
        let others = others.await.unwrap_or_default();
        let others =
            if others.is_empty() { "other transactions".to_owned() } else { others.join("; ") };
        let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
        StoreError::Schema(format!(
            "the tables of the sessions have to be changed, but are constantly locked{error}, by {others}: \
             end that, or call `store.migrate()` when there is less load"
        ))
    }

    async fn refused(&self, key: &str, error: &sqlx::Error) -> StoreError {
        let found = async {
            let mut connection = self.pool.acquire().await?;
            find::<D, T>(&mut connection).await
        };
        let found = found.await.unwrap_or_default();
        let changes = self.schema(key).changes::<D>(&found).join(";\n");
        StoreError::Schema(format!(
            "the tables of the sessions have to be changed, but the database user of the app may not do it \
             ({error}): run this as the owner of the tables:\n{changes};"
        ))
    }
}

/// Makes the necessary changes, unless another process is doing it.
async fn change<D: Dialect, T: AuthUser>(
    connection: &mut D::Connection,
    schema: &Schema<'_>,
) -> sqlx::Result<Outcome> {
    let migration = &D::SQL.migration;
    if let Some(lock_timeout) = migration.lock_timeout {
        D::execute(connection, lock_timeout.into_sql_str(), D::bind(&[])?).await?;
    }
    if let Some(try_lock) = migration.try_lock {
        let rows = D::fetch(connection, try_lock.into_sql_str(), D::bind(&[])?).await?;
        let is_locked = rows.first().map(|row| D::optional_integer(row, 0)).transpose()?.flatten();
        if is_locked != Some(1) {
            return Ok(Outcome::Busy);
        }
    }
    // Read again with the lock held: another process may have just made the changes.
    let found = find::<D, T>(connection).await?;
    let is_suspect = found.sessions.is_there()
        && schema.lacks_triggers::<D>(&found)
        && has_sessions::<D>(connection, schema).await?;
    for sql in schema.changes::<D>(&found) {
        D::execute(connection, AssertSqlSafe(sql).into_sql_str(), D::bind(&[])?).await?;
    }
    if is_suspect {
        tracing::warn!(
            table = T::TABLE,
            "triggers that end sessions with their users were missing and have been restored: if ids of \
             users were reused in the meantime, run `DELETE FROM {}`",
            T::SESSIONS
        );
    }
    Ok(Outcome::Done)
}

async fn has_sessions<D: Dialect>(
    connection: &mut D::Connection,
    schema: &Schema<'_>,
) -> sqlx::Result<bool> {
    let any = schema.names.fill("SELECT 1 FROM {sessions} LIMIT 1", &[]);
    let rows = D::fetch(connection, AssertSqlSafe(any).into_sql_str(), D::bind(&[])?).await?;
    Ok(!rows.is_empty())
}

/// Reads the existing tables and triggers.
pub(super) async fn find<D: Dialect, T: AuthUser>(
    connection: &mut D::Connection,
) -> sqlx::Result<FoundSchema> {
    let mut catalog = CatalogReader::<D>(connection);
    Ok(FoundSchema {
        sessions: catalog.table(T::SESSIONS, T::TABLE).await?,
        guests: catalog.table(&guests_of(T::SESSIONS), T::TABLE).await?,
        triggers: catalog.triggers(T::TABLE).await?,
    })
}
