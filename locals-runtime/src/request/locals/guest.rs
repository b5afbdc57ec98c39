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
        credentials::Carrier,
        decision::{Decision, GuestDecision},
        locals::Locals,
    },
    sessions::{
        guest_quota::GuestSlot,
        guests::{FoundGuest, Guest},
    },
};

impl Locals {
    /// What the app keeps of this visitor; the default if that is nothing yet.
    ///
    /// A visitor has a cookie and a row of their own only once
    /// [`update_guest`](Self::update_guest) has changed something, and apart from any session:
    /// nobody is logged in by them. When they log in, the app's function
    /// ([`AuthBuilder::merge_guest`](crate::AuthBuilder::merge_guest)) takes the data over, in one
    /// step with the new session.
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

    /// Changes what the app keeps of this visitor, and gives what `change` gives. It is kept for
    /// 7 days from now, unless the app says
    /// [otherwise](crate::AuthBuilder::guest_lifetime), or until they log out.
    ///
    /// Of writes at once none is lost: those of one process take turns, and where another process has
    /// written first, `change` is called again, with the newer data. So it may only change what it is
    /// given.
    ///
    /// A visitor of whom nothing is kept becomes no guest if `change` leaves the default as it is.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a request that has no cookies, because it brings a bearer token or
    /// comes from another origin; [`Error::TooMuchData`] for more JSON than the
    /// [limit](crate::AuthBuilder::guest_data_limit), 8 KiB by default, unless it is no more than there
    /// was; [`Error::TooManyGuests`] for a new guest where the store holds as many as it
    /// [may](crate::AuthBuilder::max_guests); [`Error::UnwritableData`] for what would not read back as
    /// it is written; [`Error::GuestGone`] if another request has logged out or forgotten this guest
    /// meanwhile; [`Error::ResponseStarted`] when no cookie can be written any more; [`Error::Store`]
    /// if the store fails.
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
            // One at a time: those who follow a guest come after those who have written to them.
            if permit_for != found.id() {
                drop(permit.take());
                permit_for = found.id();
                // Nobody else knows of one who is yet to come and follows nobody.
                permit = match permit_for {
                    Some(id) => self.auth().write_permit(id).await,
                    None => None,
                };
            }
            let guest = found.guest.clone().map(|guest| guest.after(permit.as_mut()));
            let before = guest.as_ref().map(|guest| guest.record.data.as_str());
            let changed = data::changed(before, &mut change, self.most_guest_data(before));
            let (data, result) = changed.map_err(|error| self.of_guests(error))?;
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
            // Written, taken over or ended meanwhile.
            found = Rc::new(self.auth().find_guest(&token).await?);
            if replaces.is_some() && found.guest.is_none() && found.successor.is_none() {
                // By a logout: a new guest would be found by the next person at this browser.
                return Err(Error::GuestGone);
            }
        }
        Err(data::too_busy())
    }

    /// Writes a guest, a new one if the limit allows it; `false` if another request was faster.
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
            // Another request has begun the guest who follows one that was taken over.
            Err(StoreError::Collision) => Ok(false),
            Ok(true) => {
                slot.into_iter().for_each(GuestSlot::take);
                Ok(true)
            }
            written => Ok(written?),
        }
    }

    /// Forgets what the app keeps of this visitor, and removes their cookie.
    ///
    /// # Errors
    /// [`Error::ResponseStarted`] when the cookie can no longer be removed; [`Error::Store`] if the
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

    /// Ends the guest of a browser whose user logs out: the next person at it must not find what was
    /// kept of this one. A stranger, who has no session to log out of, keeps theirs.
    pub(crate) async fn end_guest(&self) -> Result<(), Error> {
        let is_stranger = self.request_session.presented == Presented::Nothing
            && !matches!(self.request_session.decision(), Decision::Set(_));
        if is_stranger {
            return Ok(());
        }
        match self.forget_guest().await {
            // Without its cookie the row is nobody's. It must keep nobody from logging out.
            Err(Error::Store(StoreError::Corrupt(cause))) => {
                Event::RowUnreadable { cause: &cause }.record();
                self.request_session.guest_decision.replace(GuestDecision::Ended);
                Ok(())
            }
            ended => ended,
        }
    }

    /// How much JSON this guest may have, in bytes. Who has more already may write as much again.
    fn most_guest_data(&self, before: Option<&str>) -> usize {
        self.auth().settings().guest_data_limit.max(before.map_or(0, str::len))
    }

    /// An error of too much data, with the limit that the app has set.
    fn of_guests(&self, error: Error) -> Error {
        match error {
            Error::TooMuchData { .. } => {
                Error::TooMuchData { most: self.auth().settings().guest_data_limit }
            }
            error => error,
        }
    }

    /// The guest as this request has written them, or else as they are stored.
    pub(crate) async fn current_guest(&self) -> Result<Option<Rc<Guest>>, Error> {
        Ok(self.known_guest().await?.guest.clone())
    }

    /// The same, and who follows.
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

    /// All rows of this browser's guest.
    async fn guest_rows(&self) -> Result<Vec<SessionId>, Error> {
        let was_read = self.request_session.guest.initialized();
        let mut rows: Vec<_> = self.known_guest().await?.rows().collect();
        // Since it was read, the guest may have been taken over, and another have followed.
        let presented = self.request_session.guest_token(&self.request).filter(|_| was_read);
        if let Some(token) = presented {
            rows.extend(self.auth().find_guest(&token).await?.rows());
        }
        Ok(rows)
    }
}
