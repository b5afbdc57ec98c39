//! Sessions in a transaction of the app.

use sqlx::Transaction;

use crate::{
    model::{error::Error, user::AuthUser},
    request::auth::Auth,
    sessions::transaction::SessionTransaction,
    store::Dialect,
};

impl<T: AuthUser> Auth<T> {
    /// Returns the same methods for use inside a transaction, so that "change the password and end
    /// the sessions" commits or rolls back as a whole.
    ///
    /// ```
    /// # use locals::{Auth, AuthUser, Session, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example(
    /// #     pool: sqlx::SqlitePool, auth: Auth<Account>, account: Account, session: Session,
    /// #     hash: String,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("UPDATE accounts SET password_hash = ? WHERE id = ?")
    ///     .bind(hash)
    ///     .bind(account.id)
    ///     .execute(&mut *transaction)
    ///     .await?;
    /// auth.within(&mut transaction)?.invalidate_other_sessions(&session).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongStore`] if the sessions are not kept by a [`SqlStore`](crate::store::SqlStore)
    /// on the database of the
    /// transaction, or are kept by one that is wrapped in a store of the app's own.
    pub fn within<'a, D: Dialect>(
        &'a self,
        transaction: &'a mut Transaction<'_, D>,
    ) -> Result<SessionTransaction<'a, D, T>, Error> {
        SessionTransaction::new(self, self.users(), self.rules(), transaction)
    }
}
