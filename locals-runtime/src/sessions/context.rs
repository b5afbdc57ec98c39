//! What all sessions of an app share.

use std::sync::Arc;

use crate::{
    model::{settings::Settings, token::TokenDomain, user_table::Users},
    sessions::{
        accounts::Accounts, clock::Clock, creation_times::Creations, end_notifier::Endings,
        guest_quota::GuestRoom, write_permits::Turns,
    },
    store::SessionStore,
};

/// The store, the settings and the state in memory that all sessions of an app share.
pub(crate) struct Context {
    pub store: Arc<dyn SessionStore>,
    /// Where the rows of users are asked; `None` if they never are.
    pub accounts: Option<Arc<dyn Accounts>>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    /// The users these sessions belong to.
    pub users: Users,
    /// That of their tokens.
    pub domain: TokenDomain,
    pub endings: Endings,
    pub turns: Turns,
    pub guests: GuestRoom,
    pub creations: Creations,
}
