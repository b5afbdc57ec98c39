//! Statements inside the app's own transaction.

use sqlx::SqlStr;

use super::{Dialect, SqlStore, Value, id_value, is_taken, record_values, run::in_time};
use crate::{
    error::StoreError,
    session::SessionRecord,
    token::SessionId,
    user::{AuthUser, UserId},
};

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// As [`SessionStore::create`](crate::store::SessionStore::create), on this connection.
    pub(crate) async fn create_on(
        &self,
        connection: &mut D::Connection,
        session: &SessionRecord,
    ) -> Result<(), StoreError> {
        let user = self.user_value(&session.user_id).await?;
        let values = record_values(session, user);
        let created = execute_on::<D>(connection, &self.statements.create, &values).await;
        created.map(drop).map_err(taken)
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

/// Tells a taken id from other faults.
pub(super) fn taken(error: StoreError) -> StoreError {
    match error {
        StoreError::Backend(error) if is_taken(error.as_ref()) => StoreError::Collision,
        error => error,
    }
}
