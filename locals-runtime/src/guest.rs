//! Visitors who have not signed in, and what the app keeps of them.

use std::{fmt, rc::Rc, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    data::{self, SessionData},
    error::{Error, StoreError},
    locals::Locals,
    resolution::{Carrier, GuestDecision},
    session::GuestRecord,
    token::SessionToken,
};

/// Data that an app keeps of a visitor before they sign in. Every such type is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept of a guest",
    note = "write `#[derive(Default, serde::Serialize, serde::Deserialize)]` above `{Self}`"
)]
pub trait GuestData: Serialize + DeserializeOwned + Default + 'static {}

impl<G: Serialize + DeserializeOwned + Default + 'static> GuestData for G {}

/// A guest of this request, as the store has them.
pub(crate) struct Guest {
    pub record: GuestRecord,
    pub token: SessionToken,
}

/// How the data of a guest become those of the session of who signs in.
#[derive(Clone)]
pub(crate) struct Merge(Arc<MergeJson>);

/// The data of a guest, and those that the session has already.
type MergeJson = dyn Fn(&str, Option<&str>) -> Result<String, Error> + Send + Sync;

impl Merge {
    pub(crate) fn new<G: GuestData, D: SessionData>(
        merge: impl Fn(G, &mut D) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |guest, before| {
            let mut take_over = |data: &mut D| merge(data::read(Some(guest)), data);
            data::changed(before, &mut take_over).map(|(merged, ())| merged)
        }))
    }

    pub(crate) fn session_data(
        &self,
        guest: &GuestRecord,
        before: Option<&str>,
    ) -> Result<String, Error> {
        (self.0)(&guest.data, before)
    }
}

impl fmt::Debug for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").finish_non_exhaustive()
    }
}

impl Locals {
    /// What the app keeps of this visitor; the default if that is nothing yet.
    ///
    /// A visitor has a cookie and a row of their own only once
    /// [`update_guest`](Self::update_guest) has changed something, and apart from any session:
    /// nobody is signed in by them. When they sign in, the app's function
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
    /// 30 days from now, unless the app says
    /// [otherwise](crate::AuthBuilder::guest_lifetime).
    ///
    /// Of writes at once none is lost: where another request has written first, `change` is called
    /// again, with the newer data. So it may only change what it is given.
    ///
    /// Of whom nothing is kept yet, nothing is kept either if `change` leaves the default.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a request that has no cookies, because it brings a bearer token or
    /// comes from another origin; [`Error::TooMuchData`] for more than 64 KiB of JSON;
    /// [`Error::Store`] if the store fails.
    pub async fn update_guest<G: GuestData, R>(
        &self,
        mut change: impl FnMut(&mut G) -> R,
    ) -> Result<R, Error> {
        if self.resolution.carrier != Carrier::Cookie {
            return Err(Error::Forbidden);
        }
        let mut guest = self.current_guest().await?;
        for _ in 0..data::MOST_TRIES {
            let before = guest.as_ref().map(|guest| guest.record.data.as_str());
            let (data, result) = data::changed(before, &mut change)?;
            if guest.is_none() && data == data::default_text::<G>()? {
                return Ok(result);
            }
            let replaces = guest.as_ref().map(|guest| guest.record.data_revision);
            let token = match &guest {
                Some(guest) => guest.token.clone(),
                None => self.new_guest_token()?,
            };
            let record = GuestRecord {
                id: token.id(),
                secret_hash: token.secret_hash(),
                data,
                data_revision: replaces.map_or(0, |revision| revision + 1),
                expires_at: self.auth().now() + self.auth().settings().guest_lifetime,
            };
            let written = match self.auth().store().write_guest(&record, replaces).await {
                // Another request has begun the guest who follows one that was taken over.
                Err(StoreError::Collision) => false,
                written => written?,
            };
            if written {
                let written = GuestDecision::Written(Rc::new(Guest { record, token }));
                self.resolution.guest_decision.replace(written);
                return Ok(result);
            }
            guest = self.find_guest(&token).await?;
        }
        Err(data::too_busy())
    }

    /// Forgets what the app keeps of this visitor, and removes their cookie.
    ///
    /// # Errors
    /// [`Error::Store`] if the store fails.
    pub async fn forget_guest(&self) -> Result<(), Error> {
        let guest = self.current_guest().await?;
        if let Some(guest) = &guest {
            self.auth().store().delete_guest(guest.record.id).await?;
        }
        if guest.is_some() || self.resolution.presents_guest(&self.request) {
            self.resolution.guest_decision.replace(GuestDecision::Ended);
        }
        Ok(())
    }

    /// The guest as this request has written them, or else as they are stored.
    pub(crate) async fn current_guest(&self) -> Result<Option<Rc<Guest>>, Error> {
        let decision = self.resolution.guest_decision.borrow().clone();
        match decision {
            GuestDecision::None => {}
            GuestDecision::Written(guest) => return Ok(Some(guest)),
            GuestDecision::TakenOver | GuestDecision::Ended => return Ok(None),
        }
        let guest = &self.resolution.guest;
        let found = guest.get_or_try_init(|| async {
            match self.resolution.guest_token(&self.request) {
                Some(token) => self.find_guest(&token).await,
                None => Ok(None),
            }
        });
        found.await.cloned()
    }

    /// The token of a guest who begins now. After a log-in has taken over the one whose token this
    /// request brings, all requests that were sent before are given the same.
    fn new_guest_token(&self) -> Result<SessionToken, Error> {
        let old = self.resolution.guest_token(&self.request);
        let (taken_over, now) = (self.auth().guests_taken_over(), self.auth().now());
        let successor = old.and_then(|old| taken_over.successor(&old, now));
        successor.map_or_else(SessionToken::generate, Ok)
    }

    pub(crate) async fn find_guest(
        &self,
        token: &SessionToken,
    ) -> Result<Option<Rc<Guest>>, Error> {
        let record = self.auth().store().find_guest(token.id()).await?;
        let living = record.filter(|guest| {
            guest.secret_hash == token.secret_hash() && self.auth().now() < guest.expires_at
        });
        Ok(living.map(|record| Rc::new(Guest { record, token: token.clone() })))
    }
}
