//! The data of guests, and how a login merges them into the data of its session.

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::model::{
    data::{self, SessionData},
    error::Error,
    record::GuestRecord,
};

/// Data that an app keeps for a guest. Implemented for every type that satisfies the bounds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept of a guest",
    note = "write `#[derive(Default, serde::Serialize, serde::Deserialize)]` above `{Self}`"
)]
pub trait GuestData: Serialize + DeserializeOwned + Default + 'static {}

impl<G: Serialize + DeserializeOwned + Default + 'static> GuestData for G {}

/// Merges the data of a guest into the data of the session at a login.
#[derive(Clone)]
pub(crate) struct Merge(Arc<MergeJson>);

/// The merge on JSON: takes the data of the guest, and those that the session already has.
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
