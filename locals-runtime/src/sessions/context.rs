//! The state that all sessions of an app share.

use std::sync::Arc;

use crate::{
    model::{settings::Settings, token::TokenDomain, user_table::UserTable},
    sessions::{
        accounts::Accounts, clock::Clock, creation_times::CreationTimes, end_notifier::EndNotifier,
        guest_quota::GuestQuota, write_permits::WritePermits,
    },
    store::SessionStore,
};

/// The store, the settings and the in-memory state that all sessions of an app share.
pub(crate) struct Context {
    pub store: Arc<dyn SessionStore>,
    /// Checks the accounts of users; `None` if the app has no rules about them.
    pub accounts: Option<Arc<dyn Accounts>>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    /// The users to whom these sessions belong.
    pub users: UserTable,
    /// The domain of their tokens.
    pub domain: TokenDomain,
    pub end_notifier: EndNotifier,
    pub write_permits: WritePermits,
    pub guest_quota: GuestQuota,
    pub creation_times: CreationTimes,
}
