//! Bodies that arrive so late that what was found of the session no longer counts, for handlers
//! behind a guard that have no attribute to ask again themselves.

use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpMessage,
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    http::header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    web::Bytes,
};
use futures_core::Stream;

use crate::request::{error_responder::Refusal, request_session::RequestSession};

/// Why a body was broken off at its end, if it was.
#[derive(Clone, Default)]
pub(crate) struct Refused(Rc<RefCell<Option<Refusal>>>);

impl Refused {
    pub(crate) fn take(&self) -> Option<Refusal> {
        self.0.take()
    }
}

/// Asks the guards once more when a piece of the body of a request, or its end, comes late. Where they
/// refuse, an error takes its place.
pub(crate) fn watch(request: &mut ServiceRequest, request_session: &Rc<RequestSession>) -> Refused {
    let refused = Refused::default();
    // What follows an upgrade is no body; but any client can ask for one, and send a body all the same.
    let headers = request.headers();
    let has_body = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    if request.head().upgrade() && !has_body {
        return refused;
    }
    let payload = match request.take_payload() {
        Payload::None => return refused,
        body => Payload::Stream {
            payload: Box::pin(Watched {
                body,
                request_session: Rc::clone(request_session),
                asking: None,
                held: None,
                refused: refused.clone(),
            }) as Pin<Box<dyn Stream<Item = _>>>,
        },
    };
    request.set_payload(payload);
    refused
}

/// A piece of a body, or its end.
type Item = Option<Result<Bytes, PayloadError>>;

/// A question to the guards.
type Asking = dyn Future<Output = Result<(), Refusal>>;

/// A body that is watched.
struct Watched {
    body: Payload,
    request_session: Rc<RequestSession>,
    asking: Option<Pin<Box<Asking>>>,
    /// What came late, and is given on when the guards have agreed.
    held: Option<Item>,
    refused: Refused,
}

impl Stream for Watched {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Item> {
        let Some(asking) = &mut self.asking else {
            let next = ready!(Pin::new(&mut self.body).poll_next(context));
            if !self.request_session.is_stale() {
                return Poll::Ready(next);
            }
            // Before it is given on: who reads may stop at any piece, and take the body for whole.
            self.held = Some(next);
            let request_session = Rc::clone(&self.request_session);
            self.asking = Some(Box::pin(async move { request_session.read_again().await }));
            return self.poll_next(context);
        };
        let answer = ready!(asking.as_mut().poll(context));
        self.asking = None;
        let held = self.held.take();
        Poll::Ready(match answer {
            Ok(()) => held.flatten(),
            Err(refusal) => {
                self.refused.0.replace(Some(refusal));
                Some(Err(PayloadError::Io(io::Error::other(
                    "the session ended while the body was read",
                ))))
            }
        })
    }
}
