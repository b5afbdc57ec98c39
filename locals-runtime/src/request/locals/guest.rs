//! The data of a guest.

use std::rc::Rc;

use crate::{
    http::cookie::Presented,
    model::{
        data,
        error::{Error, StoreError},
        events::Event,
        guest::GuestData,
        record::GuestRecord,
        session_id::SessionId,
    },
    request::{
        decision::{Decision, GuestDecision},
        locals::Locals,
        presented_token::Carrier,
    },
    sessions::{
        guest_quota::GuestSlot,
        guests::{FoundGuest, Guest},
    },
};

impl Locals {
    /// Returns the data that the app keeps for this visitor; the default if there are none.
    ///
    /// A visitor gets a cookie and a row only when [`update_guest`](Self::update_guest) changes
    /// something. Both are separate from any session: they log nobody in. When the visitor logs in,
    /// the app's function ([`AuthBuilder::merge_guest`](crate::AuthBuilder::merge_guest)) takes the
    /// data over, in one step with the new session.
    ///
    /// ```
    /// use locals::{Error, Locals, with_session};
    ///
    /// #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// struct Cart { items: Vec<u32> }
    ///
    /// #[with_session]
    /// async fn show(locals: Locals) -> Result<String, Error> {
    ///     Ok(format!("{} items", locals.guest::<Cart>().await?.items.len()))
    /// }
    ///
    /// #[with_session]
    /// async fn add(locals: Locals) -> Result<&'static str, Error> {
    ///     locals.update_guest(|cart: &mut Cart| cart.items.push(7)).await?;
    ///     Ok("Added")
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn guest<G: GuestData>(&self) -> Result<G, Error> {
        let guest = self.current_guest().await?;
        Ok(data::read(guest.as_ref().map(|guest| guest.record.data.as_str())))
    }

    /// Changes the data that the app keeps for this visitor, and returns the result of `change`.
    /// The data are kept for 7 days from now, unless
    /// [`guest_lifetime`](crate::AuthBuilder::guest_lifetime) says otherwise, or until the visitor
    /// logs out.
    ///
    /// No concurrent write is lost: writes in one process wait for each other, and if another
    /// process has written first, `change` is called again with the newer data. So `change` must
    /// have no effects beyond its argument.
    ///
    /// If nothing is kept for the visitor and `change` leaves the default as it is, no guest is
    /// created.
    ///
    /// # Errors
    /// - [`Error::Forbidden`] if the request has no cookies, because it has a bearer token or comes
    ///   from another origin.
    /// - [`Error::TooMuchData`] if the JSON exceeds the
    ///   [limit](crate::AuthBuilder::guest_data_limit), 8 KiB by default, and is longer than
    ///   before.
    /// - [`Error::TooManyGuests`] for a new guest if the store holds the
    ///   [maximum](crate::AuthBuilder::max_guests).
    /// - [`Error::UnwritableData`] if the data would not read back as they are written.
    /// - [`Error::GuestGone`] if another request has logged out or forgotten this guest in the
    ///   meantime.
    /// - [`Error::ResponseStarted`] if the cookie can no longer be written.
    /// - [`Error::Store`] if the store fails.
    pub async fn update_guest<G: GuestData, R>(
        &self,
        mut change: impl FnMut(&mut G) -> R,
    ) -> Result<R, Error> {
        if self.request_session.carrier != Carrier::Cookie {
            return Err(Error::Forbidden);
        }
        self.refuse_if_response_started("update_guest")?;
        let mut found = self.known_guest().await?;
        let (mut permit, mut permit_for) = (None, None);
        for _ in 0..data::MAX_WRITE_TRIES {
            // A guest and the guest that succeeds it are written in turn.
            if permit_for != found.id() {
                drop(permit.take());
                permit_for = found.id();
                // A guest that is not stored yet and succeeds none is unknown to other requests.
                permit = match permit_for {
                    Some(id) => self.auth().write_permit(id).await,
                    None => None,
                };
            }
            let guest = found.guest.clone().map(|guest| guest.after(permit.as_mut()));
            let before = guest.as_ref().map(|guest| guest.record.data.as_str());
            let changed = data::changed(before, &mut change, self.guest_data_limit_after(before));
            let (data, result) = changed.map_err(|error| self.with_guest_limit(error))?;
            if guest.is_none() && data == data::default_text::<G>()? {
                return Ok(result);
            }
            let replaces = guest.as_ref().map(|guest| guest.record.data_revision);
            let token = found.token()?;
            let record = GuestRecord {
                id: token.id(),
                secret_hash: self.auth().hash(&token),
                data,
                data_revision: replaces.map_or(0, |revision| revision + 1),
                expires_at: self.auth().now() + self.auth().settings().guest_lifetime,
            };
            if self.write_guest(&record, replaces).await? {
                if let Some(permit) = &mut permit {
                    permit.has_written(record.id, &record.data, record.data_revision);
                }
                let written = GuestDecision::Written(Rc::new(Guest { record, token }));
                self.request_session.guest_decision.replace(written);
                if replaces.is_none() {
                    self.tidy_up_conflicting_guests().await;
                }
                return Ok(result);
            }
            // Another request has written, taken over or ended the guest in the meantime.
            found = Rc::new(self.auth().find_guest(&token).await?);
            if replaces.is_some() && found.guest.is_none() && found.successor.is_none() {
                // It ended by a logout: the next person at this browser would find a new guest.
                return Err(Error::GuestGone);
            }
        }
        Err(data::too_busy())
    }

    /// Writes a guest, subject to the limit if it is new. Returns `false` if another request wrote
    /// first.
    async fn write_guest(
        &self,
        record: &GuestRecord,
        replaces: Option<i64>,
    ) -> Result<bool, Error> {
        let slot = match replaces {
            Some(_) => None,
            None => Some(self.auth().reserve_guest_slot().await?),
        };
        match self.auth().store().write_guest(record, replaces).await {
            // Another request has created the successor of a guest that was taken over.
            Err(StoreError::Collision) => Ok(false),
            Ok(true) => {
                slot.into_iter().for_each(GuestSlot::take);
                Ok(true)
            }
            written => Ok(written?),
        }
    }

    /// Deletes the data that the app keeps for this visitor, and removes their cookie.
    ///
    /// # Errors
    /// [`Error::ResponseStarted`] if the cookie can no longer be removed; [`Error::Store`] if the
    /// store fails.
    pub async fn forget_guest(&self) -> Result<(), Error> {
        self.refuse_if_response_started("forget_guest")?;
        let rows = self.guest_rows().await?;
        self.end_conflicting_guests().await?;
        for id in &rows {
            self.auth().delete_guest(*id).await?;
        }
        if !rows.is_empty() || self.request_session.presents_guest(&self.request) {
            self.request_session.guest_decision.replace(GuestDecision::Ended);
        }
        Ok(())
    }

    /// Ends the guest of a browser whose user logs out, so that the next person who uses it does
    /// not find their data. A visitor without a session to log out of keeps their guest data.
    pub(crate) async fn end_guest(&self) -> Result<(), Error> {
        let has_no_session = self.request_session.presented == Presented::Nothing
            && !matches!(self.request_session.decision(), Decision::Set(_));
        if has_no_session {
            return Ok(());
        }
        match self.forget_guest().await {
            // Without its cookie nobody can reach the row. It must not prevent the logout.
            Err(Error::Store(StoreError::Corrupt(cause))) => {
                Event::RowUnreadable { cause: &cause }.record();
                self.request_session.guest_decision.replace(GuestDecision::Ended);
                Ok(())
            }
            ended => ended,
        }
    }

    /// Returns the maximum size of this guest's JSON, in bytes. A guest that is already larger may
    /// keep that size.
    fn guest_data_limit_after(&self, before: Option<&str>) -> usize {
        self.auth().settings().guest_data_limit.max(before.map_or(0, str::len))
    }

    /// Puts the limit that the app has set into an error of too much data.
    fn with_guest_limit(&self, error: Error) -> Error {
        match error {
            Error::TooMuchData { .. } => {
                Error::TooMuchData { most: self.auth().settings().guest_data_limit }
            }
            error => error,
        }
    }

    /// Returns the guest as this request has written it, or else as it is stored.
    pub(crate) async fn current_guest(&self) -> Result<Option<Rc<Guest>>, Error> {
        Ok(self.known_guest().await?.guest.clone())
    }

    /// Returns the same, with its successor.
    async fn known_guest(&self) -> Result<Rc<FoundGuest>, Error> {
        let decision = self.request_session.guest_decision.borrow().clone();
        match decision {
            GuestDecision::None => {}
            GuestDecision::Written(guest) => return Ok(Rc::new(guest.into())),
            GuestDecision::TakenOver(token) => {
                return Ok(Rc::new(self.auth().find_guest(&token).await?));
            }
            GuestDecision::Ended => return Ok(Rc::default()),
        }
        let found = self.request_session.guest.get_or_try_init(|| async {
            match self.request_session.guest_token(&self.request) {
                Some(token) => Ok(Rc::new(self.auth().find_guest(&token).await?)),
                None => Ok(Rc::default()),
            }
        });
        found.await.cloned()
    }

    /// Returns all rows of this browser's guest.
    async fn guest_rows(&self) -> Result<Vec<SessionId>, Error> {
        let was_read = self.request_session.guest.initialized();
        let mut rows: Vec<_> = self.known_guest().await?.rows().collect();
        // Since it was read, the guest may have been taken over and have got a successor.
        let presented = self.request_session.guest_token(&self.request).filter(|_| was_read);
        if let Some(token) = presented {
            rows.extend(self.auth().find_guest(&token).await?.rows());
        }
        Ok(rows)
    }
}
