//! The decisions of a request about its session and its guest.

use std::rc::Rc;

use tokio::sync::OnceCell;

use crate::{
    model::token::SessionToken,
    request::user_type::AnyUser,
    sessions::{guests::Guest, session::Session},
};

/// The decision of a request about its session cookie. The last one wins.
#[derive(Clone, Default)]
pub(crate) enum Decision {
    #[default]
    None,
    Set(Rc<ChosenSession>),
    /// `after_set`: whether this request had set a cookie before.
    Clear {
        after_set: bool,
    },
}

/// What a request has done with the guest.
#[derive(Clone, Default)]
pub(crate) enum GuestDecision {
    #[default]
    None,
    Written(Rc<Guest>),
    /// A session has taken the data over, and the token leads to the guest's successor. Another
    /// request may have created the successor since, whose cookie must not be removed.
    TakenOver(SessionToken),
    Ended,
}

/// A session that the request has set in place of the presented one.
pub(crate) struct ChosenSession {
    pub session: Session,
    pub user: OnceCell<Option<AnyUser>>,
}
