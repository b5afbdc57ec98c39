//! The data of guests, and how a login merges them into the data of its session.

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::model::{
    data::{self, SessionData},
    error::Error,
    record::GuestRecord,
};

/// Data that an app keeps of a visitor before they log in. Every such type is one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept of a guest",
    note = "write `#[derive(Default, serde::Serialize, serde::Deserialize)]` above `{Self}`"
)]
pub trait GuestData: Serialize + DeserializeOwned + Default + 'static {}

impl<G: Serialize + DeserializeOwned + Default + 'static> GuestData for G {}

/// How the data of a guest become those of the session of who logs in.
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
            data::changed(before, &mut take_over, data::MAX_BYTES).map(|(merged, ())| merged)
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
