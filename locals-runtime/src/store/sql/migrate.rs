//! How the tables are made and brought up to date, while others use them.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, SqlSafeStr};
use tokio::time::sleep;

use crate::{
    model::{error::StoreError, user::AuthUser},
    store::sql::{
        catalogue::CatalogueReader,
        driver::Dialect,
        failure::{is_locked, is_refused},
        names::guests_of,
        store::SqlStore,
        tables::{FoundSchema, Schema},
    },
};

/// How often a migration tries to find a moment in which nobody else is in its way, and how long it
/// leaves the others alone in between.
const TRIES: u32 = 12;
const PAUSE: Duration = Duration::from_millis(600);

/// What came of one try.
enum Outcome {
    Done,
    /// Another process migrates.
    NotNow,
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Makes the tables of sessions and of guests and their indexes where they are not there yet, and
    /// adds to those that an older version has made what they lack. No row is lost, and any number of
    /// processes may start it at once. If `users.id` has another type than before, that of `user_id`
    /// follows.
    ///
    /// It looks first: where nothing is to be done, it takes no lock and needs no right to change tables.
    /// A change waits for its lock in short turns, so that requests of other processes are let through.
    ///
    /// The app's own table of users must exist: the foreign key points to it. On SQLite that table is
    /// given three triggers, which end sessions also where a connection does not enforce foreign keys.
    ///
    /// # Errors
    /// As [`check`](Self::check), which it calls at its end. Besides, [`StoreError::Schema`] if others
    /// keep the tables locked, and says who; or if the database does not let this user change tables, and
    /// says what the owner of the tables has to run.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A store that has opened the pool itself has just looked.
        if !self.shared.is_examined {
            D::examine(&self.pool.connect_options()).await?;
        }
        self.demand_settings().await?;
        let key = self.expect_users().await?;
        for tries in 1.. {
            match self.migrate_once(&key).await {
                Ok(Outcome::Done) => break,
                Ok(Outcome::NotNow) if tries < TRIES => sleep(PAUSE).await,
                Ok(Outcome::NotNow) => return Err(self.locked(None).await),
                Err(error) if is_locked(&error) && tries < TRIES => sleep(PAUSE).await,
                Err(error) if is_locked(&error) => return Err(self.locked(Some(error)).await),
                Err(error) if is_refused(&error) => return Err(self.refused(&key, &error).await),
                Err(error) => return Err(self.failed_migration(error, &key).await),
            }
        }
        self.compare(&key, true).await?;
        self.try_requests().await
    }

    /// The SQL that makes the tables of sessions and of guests, and the triggers of SQLite, for those who
    /// use a migration tool of their own, such as sqlx-cli, refinery or dbmate.
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
    /// As [`migrate`](Self::migrate): it reads the type of the id from the table of users.
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
        let (mut lease, _turn) = self.living().await?;
        let connection: &mut D::Connection = &mut lease.connection;
        let found = find::<D, T>(connection).await?;
        if schema.changes::<D>(&found).is_empty() {
            lease.has_ended = true;
            return Ok(Outcome::Done);
        }
        let Some(begin) = D::SQL.migration.begin else {
            // The connection is closed afterwards, and with it end the lock and the time-out.
            return change::<D, T>(connection, &schema).await;
        };
        let mut transaction = connection.begin_with(begin.into_sql_str()).await?;
        let outcome = change::<D, T>(&mut transaction, &schema).await;
        match &outcome {
            Ok(Outcome::Done) => transaction.commit().await?,
            // The first error says more than one of giving up.
            _ => drop(transaction.rollback().await),
        }
        lease.has_ended = true;
        outcome
    }

    /// Why a migration failed. A table of somebody else's is said to be one: it fails in ways that
    /// say less.
    async fn failed_migration(&self, error: sqlx::Error, key: &str) -> StoreError {
        if let Err(StoreError::Schema(complaint)) = self.compare(key, true).await {
            return StoreError::Schema(format!("{complaint} (`migrate` met: {error})"));
        }
        error.into()
    }

    async fn locked(&self, error: Option<sqlx::Error>) -> StoreError {
        let others = async {
            let mut connection = self.pool.acquire().await?;
            let tables = [T::SESSIONS, &guests_of(T::SESSIONS), T::TABLE];
            CatalogueReader::<D>(&mut connection).blockers(tables).await
        };
        let others = others.await.unwrap_or_default();
        let others = if others.is_empty() { "others".to_owned() } else { others.join("; ") };
        let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
        StoreError::Schema(format!(
            "the tables of the sessions have to change, and are in use all the time{error}: in the way \
             is {others}; end that, or call `store.migrate()` when less is going on"
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
            "the tables of the sessions have to change, and the database does not let this user do it \
             ({error}): run this as the owner of the tables:\n{changes};"
        ))
    }
}

/// Makes what changes are needed, unless another process does so.
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
            return Ok(Outcome::NotNow);
        }
    }
    // What is missing is read behind the lock: another process may just have added it.
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
            "triggers that end sessions with their users were missing and are put back: if ids of users \
             were given to others meanwhile, run `DELETE FROM {}`",
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

/// What there is of the tables.
pub(super) async fn find<D: Dialect, T: AuthUser>(
    connection: &mut D::Connection,
) -> sqlx::Result<FoundSchema> {
    let mut catalogue = CatalogueReader::<D>(connection);
    Ok(FoundSchema {
        sessions: catalogue.table(T::SESSIONS, T::TABLE).await?,
        guests: catalogue.table(&guests_of(T::SESSIONS), T::TABLE).await?,
        triggers: catalogue.triggers(T::TABLE).await?,
    })
}
