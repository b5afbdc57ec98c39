//! Checks at start-up that the database is ready for the requests of the app.

use std::any::TypeId;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::{
    model::{
        error::StoreError,
        hashes::SecretHash,
        record::{GuestRecord, SessionRecord, TokenChange},
        session_id::SessionId,
        time::Timestamp,
        user::AuthUser,
    },
    store::sql::{
        catalog::CatalogReader,
        dialect::Rights,
        driver::{Dialect, Value},
        failure::{is_outage, is_refused},
        migrate::find,
        names::guests_of,
        record::{guest_values, hash_value, id_value, integer, time, token_values},
        sessions::overwrite_values,
        store::{ReadRow, SqlStore},
        with_user::unreadable_user,
    },
};

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Checks that requests will work. Call it at start-up if the tables are not created by
    /// [`migrate`](Self::migrate). It checks that:
    ///
    /// - the settings of the connections, the tables of sessions and guests, and the triggers of SQLite are
    ///   as this version expects;
    /// - each statement that reads runs, and each statement that writes is permitted;
    /// - a user can be read, if there is one.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example(store: SqlStore<sqlx::Sqlite, Account>) -> Result<(), StoreError> {
    /// store.check().await?; // on an error, the program ends and reports what differs
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Schema`] if something differs; the message says in one line what differs and what to
    /// do. [`StoreError::Backend`] if the database fails.
    pub async fn check(&self) -> Result<(), StoreError> {
        D::examine(&self.pool.connect_options()).await?;
        self.check_settings().await?;
        let key = self.check_users().await?;
        self.compare(&key, false).await?;
        self.try_requests().await
    }

    /// Checks the settings of the connections.
    pub(super) async fn check_settings(&self) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let found = CatalogReader::<D>(&mut connection).settings().await?;
        let complaints = D::SQL.settings.complaints(&found, self.shared.has_foreign_key);
        if complaints.is_empty() { Ok(()) } else { Err(StoreError::Schema(complaints.join("; "))) }
    }

    /// Checks the table of users. Returns the declared type of its id column.
    pub(super) async fn check_users(&self) -> Result<String, StoreError> {
        let key = self.read_users().await?.key.clone();
        if self.shared.has_foreign_key {
            let mut connection = self.pool.acquire().await?;
            if !CatalogReader::<D>(&mut connection).is_unique(T::TABLE, T::ID_COLUMN).await? {
                return Err(StoreError::Schema(format!(
                    "`{table}.{id}` is not unique, so no foreign key can refer to it: make it the \
                     primary key, or a unique key (`CREATE UNIQUE INDEX .. ON {table} ({id})`); for a \
                     view, see `SqlStore::without_foreign_keys`",
                    table = T::TABLE,
                    id = T::ID_COLUMN
                )));
            }
        }
        Ok(key)
    }

    /// Compares the tables with what this version expects.
    pub(super) async fn compare(&self, key: &str, has_migrated: bool) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let found = find::<D, T>(&mut connection).await?;
        drop(connection);
        let schema = self.schema(key);
        let guests = guests_of(T::SESSIONS);
        let mut complaints = Vec::new();
        let mut is_migratable = true;
        for (name, table, of_guests) in
            [(T::SESSIONS, &found.sessions, false), (&*guests, &found.guests, true)]
        {
            if !table.is_there() {
                complaints.push(format!("the table `{name}` is missing"));
                continue;
            }
            let differences = schema.differences::<D, T>(&found, of_guests);
            if differences.is_empty() {
                continue;
            }
            is_migratable &= differences.iter().all(|difference| difference.is_migrated);
            let texts: Vec<_> = differences.into_iter().map(|difference| difference.text).collect();
            complaints.push(format!(
                "the table `{name}` differs from what this version of `locals` expects: {}",
                texts.join(", ")
            ));
        }
        if complaints.is_empty() {
            return Ok(());
        }
        let remedy = if is_migratable && !has_migrated {
            "call `store.migrate()` at start-up, or see the SQL of `store.migration_sql()`"
        } else {
            "`migrate` cannot change this: rename or drop the table (all users have to log in again), use \
             another name with `#[auth_user(sessions = \"..\")]`, or see the SQL of `store.migration_sql()`"
        };
        Err(StoreError::Schema(format!("{}; {remedy}", complaints.join("; "))))
    }

    /// Runs or explains each statement for a session, a guest and a user that do not exist, and
    /// reads a user.
    pub(super) async fn try_requests(&self) -> Result<(), StoreError> {
        self.try_statements().await.map_err(|error| explained::<T>(error))?;
        self.try_user().await
    }

    async fn try_statements(&self) -> Result<(), StoreError> {
        let (id, hash, then) = (
            SessionId::from_bytes([0; 16]),
            SecretHash::from_bytes([0; 32]),
            Timestamp::from_millis(0),
        );
        let session = SessionRecord::new(id, hash, 0_i64, then);
        let change = TokenChange::new(&session, hash);
        let guest = GuestRecord::new(id, hash, "", then);
        let (user, own) = (self.no_user().await?, id_value(&id));
        let statements = &self.shared.statements;
        let users = self.users().await?;

        for sql in [&users.find_with_user, &statements.find, &statements.find_guest] {
            self.fetch(sql, &[own]).await?;
        }
        for sql in [&users.find_user, &statements.list_by_user, &statements.list_times_by_user] {
            self.fetch(sql, &[user]).await?;
        }
        self.fetch(&statements.count_guests, &[time(then)]).await?;

        let explain = match D::SQL.catalog.rights {
            Rights::Missing(sql) => return self.check_rights(sql).await,
            Rights::Explain(words) => words,
        };
        let renew = [time(then), time(then), time(then), own, time(then), hash_value(&hash)];
        let writes: [(&SqlStr, &[Value<'_>]); 14] = [
            (&statements.create, &self.create_values(&session, user)),
            (&statements.renew, &renew),
            (&statements.change_token, &token_values(&id, &change)),
            (&statements.bind_credential, &[hash_value(&hash), own]),
            (&statements.write_data, &[Value::Text(Some("")), own, integer(-1)]),
            (&statements.delete, &[own]),
            (&statements.delete_unchanged, &[own, integer(-1)]),
            (&statements.delete_by_user, &[user]),
            (&statements.delete_others, &[user, own]),
            (&statements.delete_expired, &[time(then), integer(1)]),
            (&statements.create_guest, &guest_values(&guest)),
            (&statements.write_guest, &overwrite_values(&guest, -1)),
            (&statements.delete_guest, &[own]),
            (&statements.delete_expired_guests, &[time(then), integer(1)]),
        ];
        for (sql, values) in writes {
            // Needs the same privileges and columns, but waits for no lock and changes nothing.
            let sql = AssertSqlSafe(format!("{explain} {}", sql.as_str())).into_sql_str();
            self.fetch(&sql, values).await?;
        }
        Ok(())
    }

    /// Checks the privileges of the database user to write, by this query of the catalog.
    async fn check_rights(&self, sql: &'static str) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        for table in [T::SESSIONS, &guests_of(T::SESSIONS)] {
            let missing = CatalogReader::<D>(&mut connection).missing_rights(sql, table).await?;
            if !missing.is_empty() {
                return Err(missing_privileges::<T>(&format!(
                    "{} on `{table}`",
                    missing.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Reads any one user, as a request does.
    async fn try_user(&self) -> Result<(), StoreError> {
        let users = self.users().await?;
        let reader = T::row_reader(TypeId::of::<D>());
        let reader = reader.and_then(|reader| reader.downcast::<ReadRow<D, T>>().ok());
        let Some(read) = reader else { return Ok(()) };
        let row = self.fetch_user(
            |users| &users.any,
            &[],
            |row, _| read(row).map(drop).map_err(unreadable_user),
        );
        match row.await {
            Ok(Some(())) => Ok(()),
            // Without a row, only the declared columns can be checked.
            Ok(None) => {
                users.missing.first().map_or(Ok(()), |column| Err(missing_column::<T>(column)))
            }
            Err(StoreError::Corrupt(cause)) if cause.contains("mismatched types") => {
                Err(StoreError::Schema(format!(
                    "a row of the table of users `{}` cannot be read: {cause}: change the type of the field \
                     or that of the column",
                    T::TABLE
                )))
            }
            // This user cannot log in, but others can.
            Err(StoreError::Corrupt(cause)) => {
                crate::model::events::Event::RowUnreadable { cause: &cause }.record();
                Ok(())
            }
            Err(StoreError::Backend(cause)) => match cause.downcast_ref() {
                Some(sqlx::Error::ColumnNotFound(column)) => Err(missing_column::<T>(column)),
                _ => Err(explained::<T>(StoreError::Backend(cause))),
            },
            Err(error) => Err(error),
        }
    }
}

/// Adds advice to the error of a statement that does not run.
fn explained<T: AuthUser>(error: StoreError) -> StoreError {
    let StoreError::Backend(cause) = &error else { return error };
    let Some(cause) = cause.downcast_ref::<sqlx::Error>() else { return error };
    if is_refused(cause) {
        return missing_privileges::<T>(&cause.to_string());
    }
    if is_outage(cause) {
        return error;
    }
    StoreError::Schema(format!(
        "a statement that requests need does not run ({cause}): compare the tables with \
         `store.migration_sql()`"
    ))
}

fn missing_column<T: AuthUser>(column: &str) -> StoreError {
    StoreError::Schema(format!(
        "the table of users `{}` has no column `{column}`, which `{}` reads: add it, name the right one with \
         `#[sqlx(rename = \"..\")]` on the field, or list the columns that your own `FromRow` reads with \
         `#[auth_user(columns(..))]`",
        T::TABLE,
        std::any::type_name::<T>()
    ))
}

fn missing_privileges<T: AuthUser>(what: &str) -> StoreError {
    let columns = T::COLUMNS.map(|columns| {
        let names: Vec<_> = columns.iter().map(|column| column.name).collect();
        format!(" (at least on {})", names.join(", "))
    });
    StoreError::Schema(format!(
        "the database user of the app lacks privileges ({what}): grant SELECT, INSERT, \
         UPDATE and DELETE on `{}` and `{}`, and SELECT on `{}`{}",
        T::SESSIONS,
        guests_of(T::SESSIONS),
        T::TABLE,
        columns.unwrap_or_default()
    ))
}
