//! Reads sessions together with their users.

use crate::{
    model::{
        error::StoreError, record::SessionRecord, session_id::SessionId, user::AuthUser,
        user_id::UserId,
    },
    store::{
        SessionUserStore, StoreFuture,
        sql::{
            driver::Dialect,
            record::{id_value, read_record},
            store::{ReadRow, SqlStore},
            user_statements::UserStatements,
        },
    },
};
use sqlx::FromRow;
use std::any::Any;

impl<D, T> SessionUserStore<T> for SqlStore<D, T>
where
    D: Dialect,
    T: AuthUser + for<'r> FromRow<'r, D::Row>,
{
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, T)>> {
        Box::pin(async move {
            let read = |row: &D::Row, users: &UserStatements| {
                let user = T::from_row(row).map_err(unreadable_user)?;
                Ok((read_record::<D, T>(row, users.columns, Some(id))?, user))
            };
            self.fetch_user(|users| &users.find_with_user, &[id_value(&id)], read).await
        })
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<T>> {
        Box::pin(async move {
            let id = self.user_value(id).await?;
            let read = |row: &D::Row, _: &UserStatements| T::from_row(row).map_err(unreadable_user);
            self.fetch_user(|users| &users.find_user, &[id], read).await
        })
    }

    fn row_reader(&self) -> Option<Box<dyn Any>> {
        let read: ReadRow<D, T> = |row| T::from_row(row);
        Some(Box::new(read))
    }
}

/// Classifies the error of a user's row. If one row cannot be decoded, that user is not logged in; a
/// missing column is a bug in the app.
pub(super) fn unreadable_user(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            StoreError::Corrupt(format!("the user of a session: {error}"))
        }
        error => error.into(),
    }
}
