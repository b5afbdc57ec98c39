//! Statements inside the app's own transaction.

use sqlx::{Connection, SqlStr};

use super::{
    Dialect, ReadRow, SqlStore, Value, created, first_refused,
    record::{credential_value, id_value, token_values},
    run::{all_or_none, in_time},
    unreadable_user,
};
use crate::{
    error::StoreError,
    session::{SessionRecord, TokenChange},
    store::Ends,
    token::{CredentialHash, SessionId},
    user::{AuthUser, UserId},
};

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// As [`SessionStore::create`](crate::store::SessionStore::create), on this connection.
    /// Where others end with it, that is behind a savepoint: the app may go on after a failure.
    pub(crate) async fn create_on(
        &self,
        connection: &mut D::Connection,
        session: &SessionRecord,
        ends: Ends<'_>,
    ) -> Result<bool, StoreError> {
        let refused = match &self.create_steps(session, &ends).await?[..] {
            [step] => execute_on::<D>(connection, step.sql, &step.values).await.map(first_refused),
            steps => {
                let work = async { all_or_none(connection.begin().await, steps).await };
                in_time::<D, _>(work).await.map_err(StoreError::from)
            }
        };
        created(refused)
    }

    /// As [`SessionStore::change_token`](crate::store::SessionStore::change_token), on this
    /// connection.
    pub(crate) async fn change_token_on(
        &self,
        connection: &mut D::Connection,
        id: SessionId,
        change: &TokenChange,
    ) -> Result<bool, StoreError> {
        let sql = &self.statements.change_token;
        Ok(execute_on::<D>(connection, sql, &token_values(&id, change)).await? == 1)
    }

    /// Binds a session to this credential, on this connection, whatever token it has.
    pub(crate) async fn bind_credential_on(
        &self,
        connection: &mut D::Connection,
        id: SessionId,
        credential: &CredentialHash,
    ) -> Result<(), StoreError> {
        let values = [credential_value(Some(credential)), id_value(&id)];
        execute_on::<D>(connection, &self.statements.bind_credential, &values).await.map(drop)
    }

    /// A user by their id, on this connection.
    pub(crate) async fn find_user_on(
        &self,
        connection: &mut D::Connection,
        id: &UserId,
        read: ReadRow<D, T>,
    ) -> Result<Option<T>, StoreError> {
        let sql = self.users().await?.find_user.clone();
        let id = [self.user_value(id).await?];
        let row = in_time::<D, _>(D::fetch(connection, sql, &id)).await?.pop();
        row.map(|row| read(&row).map_err(unreadable_user)).transpose()
    }

    /// As [`SessionStore::delete`](crate::store::SessionStore::delete), on this connection.
    pub(crate) async fn delete_on(
        &self,
        connection: &mut D::Connection,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        let sql = &self.statements.delete;
        Ok(execute_on::<D>(connection, sql, &[id_value(&id)]).await? == 1)
    }

    /// As [`SessionStore::delete_by_user`](crate::store::SessionStore::delete_by_user), on this
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

async fn execute_on<D: Dialect>(
    connection: &mut D::Connection,
    sql: &SqlStr,
    values: &[Value<'_>],
) -> Result<u64, StoreError> {
    Ok(in_time::<D, _>(D::execute(connection, sql.clone(), values)).await?)
}
