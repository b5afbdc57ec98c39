//! What a handler has decided about its session and its guest.

use std::rc::Rc;

use tokio::sync::OnceCell;

use crate::{
    model::token::SessionToken,
    request::user_type::AnyUser,
    sessions::{guests::Guest, session::Session},
};

/// What the request has decided about its cookie. The last decision wins.
#[derive(Clone, Default)]
pub(crate) enum Decision {
    #[default]
    None,
    Set(Rc<ChosenSession>),
    /// `after_set`: a cookie that this request had set before.
    Clear {
        after_set: bool,
    },
}

/// What the request has done about the guest.
#[derive(Clone, Default)]
pub(crate) enum GuestDecision {
    #[default]
    None,
    Written(Rc<Guest>),
    /// Their data are those of a session now, and their token leads to who follows. Another request may
    /// have begun that one since, whose cookie is not to be removed.
    TakenOver(SessionToken),
    Ended,
}

/// A session that the request has set in place of the presented one.
pub(crate) struct ChosenSession {
    pub session: Session,
    pub user: OnceCell<Option<AnyUser>>,
}
