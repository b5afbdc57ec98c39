//! The operations of the store inside a transaction of the app.

use sqlx::{AssertSqlSafe, Connection, SqlSafeStr, SqlStr};

use crate::{
    model::{
        error::StoreError,
        hashes::CredentialHash,
        record::{SessionRecord, TokenChange},
        session_id::SessionId,
        user::AuthUser,
        user_id::UserId,
    },
    store::{
        Ends,
        sql::{
            driver::{Dialect, Value},
            failure::{Remedy, is_of_another_schema, is_refused, remedy},
            record::{credential_value, id_value, token_values},
            run::{All, Work, in_time},
            sessions::{created, first_refused},
            store::{ReadRow, SqlStore},
            with_user::unreadable_user,
        },
    },
};

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// The same as [`SessionStore::create`](crate::store::SessionStore::create), on this connection.
    /// If other sessions end with it, a savepoint is used, so that the transaction can continue after a
    /// failure.
    pub(crate) async fn create_on(
        &self,
        connection: &mut D::Connection,
        session: &SessionRecord,
        ends: Ends<'_>,
    ) -> Result<bool, StoreError> {
        self.lock_user_on(connection, &session.user_id).await?;
        let refused = match &self.create_steps(session, &ends).await?[..] {
            [step] => execute_on::<D>(connection, step.sql, &step.values).await.map(first_refused),
            steps => {
                let work = async { All::<D>::new(steps, None)?.run(connection).await };
                in_time::<D, _>(work).await.map_err(StoreError::from)
            }
        };
        created(refused)
    }

    /// Locks the row of a user, on databases where two transactions that create a session and then write to
    /// the user would otherwise deadlock.
    async fn lock_user_on(
        &self,
        connection: &mut D::Connection,
        user: &UserId,
    ) -> Result<(), StoreError> {
        let Some(lock) = D::SQL.lock_user.filter(|_| self.shared.has_foreign_key) else {
            return Ok(());
        };
        let sql = AssertSqlSafe(self.shared.names.fill(lock, &[])).into_sql_str();
        let arguments = D::bind(&[self.user_value(user).await?])?;
        match in_time::<D, _>(D::fetch(connection, sql, arguments)).await {
            // Locking a row needs the privilege to change it, which the app may not have.
            Ok(_) => Ok(()),
            Err(error) if is_refused(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The same as [`SessionStore::change_token`](crate::store::SessionStore::change_token), on this
    /// connection.
    pub(crate) async fn change_token_on(
        &self,
        connection: &mut D::Connection,
        id: SessionId,
        change: &TokenChange,
    ) -> Result<bool, StoreError> {
        let sql = &self.shared.statements.change_token;
        Ok(execute_on::<D>(connection, sql, &token_values(&id, change)).await? == 1)
    }

    /// Binds a session to this credential, whatever its token is, on this connection.
    pub(crate) async fn bind_credential_on(
        &self,
        connection: &mut D::Connection,
        id: SessionId,
        credential: &CredentialHash,
    ) -> Result<(), StoreError> {
        let values = [credential_value(Some(credential)), id_value(&id)];
        execute_on::<D>(connection, &self.shared.statements.bind_credential, &values)
            .await
            .map(drop)
    }

    /// Reads a user by their id, on this connection.
    pub(crate) async fn find_user_on(
        &self,
        connection: &mut D::Connection,
        id: &UserId,
        read: ReadRow<D, T>,
    ) -> Result<Option<T>, StoreError> {
        let id = [self.user_value(id).await?];
        let users = self.users().await?;
        let mut result = fetch_on::<D>(connection, &users.find_user, &id).await;
        let is_stale = |error: &sqlx::Error| remedy(error) == Remedy::FreshStatement;
        if result.as_ref().is_err_and(|error| is_stale(error) || is_of_another_schema(error)) {
            D::forget_statements(connection).await?;
            let users = self.read_users().await?;
            result = fetch_on::<D>(connection, &users.find_user, &id).await;
        }
        let row = result?.pop();
        row.map(|row| read(&row).map_err(unreadable_user)).transpose()
    }

    /// The same as [`SessionStore::delete`](crate::store::SessionStore::delete), on this connection.
    pub(crate) async fn delete_on(
        &self,
        connection: &mut D::Connection,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        let sql = &self.shared.statements.delete;
        Ok(execute_on::<D>(connection, sql, &[id_value(&id)]).await? == 1)
    }

    /// The same as [`SessionStore::delete_by_user`](crate::store::SessionStore::delete_by_user), on this
    /// connection.
    pub(crate) async fn delete_by_user_on(
        &self,
        connection: &mut D::Connection,
        user: &UserId,
        keep: Option<SessionId>,
    ) -> Result<u64, StoreError> {
        let (sql, values) = self.delete_by_user_statement(user, keep.as_ref()).await?;
        execute_on::<D>(connection, sql, &values).await
    }
}

/// Reads inside a savepoint, so that the transaction can continue after a failure.
async fn fetch_on<D: Dialect>(
    connection: &mut D::Connection,
    sql: &SqlStr,
    values: &[Value<'_>],
) -> sqlx::Result<Vec<D::Row>> {
    let work = async {
        let mut savepoint = connection.begin().await?;
        let rows = D::fetch(&mut savepoint, sql.clone(), D::bind(values)?).await;
        if rows.is_ok() {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
        rows
    };
    in_time::<D, _>(work).await
}

async fn execute_on<D: Dialect>(
    connection: &mut D::Connection,
    sql: &SqlStr,
    values: &[Value<'_>],
) -> Result<u64, StoreError> {
    Ok(in_time::<D, _>(D::execute(connection, sql.clone(), D::bind(values)?)).await?)
}
