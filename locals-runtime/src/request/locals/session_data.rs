//! Changing the data of a session.

use crate::{
    model::{
        data::{MAX_BYTES, MAX_WRITE_TRIES, SessionData, changed, too_busy},
        error::Error,
        record::DataChange,
    },
    request::{locals::Locals, user_type::UserType},
};

impl Locals {
    /// Changes the app's data in this request's session, and returns the result of `change`. See
    /// [`SessionData`].
    ///
    /// No concurrent write is lost: writes in one process wait for each other, and if another
    /// process has written first, `change` is called again with the newer data. So `change` must
    /// have no effects beyond its argument. A session that has ended stays ended.
    ///
    /// ```
    /// # use locals::{AuthUser, Error, Locals};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Cart { items: Vec<u32> }
    /// # #[derive(Clone, AuthUser)]
    /// # #[auth_user(session = Cart)]
    /// # struct Account { id: i64 }
    /// # async fn example(locals: Locals) -> Result<(), Error> {
    /// let count = locals
    ///     .update_session(|cart: &mut Cart| {
    ///         cart.items.push(7);
    ///         cart.items.len()
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Unauthenticated`] if there is no session, or it has ended in the meantime.
    /// - [`Error::WrongUser`] if `D` belongs to a user type other than the app's.
    /// - [`Error::TooMuchData`] for more than 64 KiB of JSON.
    /// - [`Error::UnwritableData`] if the data would not read back as they are written.
    /// - [`Error::Store`] if the store fails.
    pub async fn update_session<D: SessionData, R>(
        &self,
        mut change: impl FnMut(&mut D) -> R,
    ) -> Result<R, Error> {
        self.request_session.auth.expect(UserType::of::<D::User>())?;
        let mut session = self.get_session().await?.ok_or(Error::Unauthenticated)?;
        let mut permit = self.auth().write_permit(session.id()).await;
        let newest =
            permit.as_mut().and_then(|permit| permit.newer_than(session.record.data_revision));
        if let Some(newest) = newest {
            session.record.data = Some(newest.data);
            session.record.data_revision = newest.revision;
        }
        for _ in 0..MAX_WRITE_TRIES {
            let (data, result) = changed(session.record.data.as_deref(), &mut change, MAX_BYTES)?;
            let write = DataChange { replaces: session.record.data_revision, data };
            if self.auth().store().write_data(session.id(), &write).await? {
                session.record.data_revision += 1;
                if let Some(permit) = &mut permit {
                    permit.has_written(session.id(), &write.data, session.record.data_revision);
                }
                session.record.data = Some(write.data);
                self.request_session.written.replace(Some(Box::new(session.record)));
                return Ok(result);
            }
            let newer = self.auth().store().find(session.id()).await?;
            session.record = newer.ok_or(Error::Unauthenticated)?;
        }
        Err(too_busy())
    }
}
