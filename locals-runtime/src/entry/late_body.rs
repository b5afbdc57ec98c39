//! Bodies that arrive late: applies the guards again, since the session may have ended in the
//! meantime. For handlers behind a guard that have no attribute, which would do this itself.

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

/// Why a body was aborted, if it was.
#[derive(Clone, Default)]
pub(crate) struct BodyRefusal(Rc<RefCell<Option<Refusal>>>);

impl BodyRefusal {
    pub(crate) fn take(&self) -> Option<Refusal> {
        self.0.take()
    }
}

/// Applies the guards again when a piece of a request body, or its end, comes late. If they refuse,
/// the body ends with an error.
pub(crate) fn watch(
    request: &mut ServiceRequest,
    request_session: &Rc<RequestSession>,
) -> BodyRefusal {
    let refused = BodyRefusal::default();
    // After an upgrade there is no body. But any client can request one and send a body all the
    // same.
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
                recheck: None,
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

/// A second application of the guards.
type Recheck = dyn Future<Output = Result<(), Refusal>>;

/// A body that is watched.
struct Watched {
    body: Payload,
    request_session: Rc<RequestSession>,
    recheck: Option<Pin<Box<Recheck>>>,
    /// The late piece, which is passed on when the guards have admitted it.
    held: Option<Item>,
    refused: BodyRefusal,
}

impl Stream for Watched {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Item> {
        let Some(recheck) = &mut self.recheck else {
            let next = ready!(Pin::new(&mut self.body).poll_next(context));
            if !self.request_session.is_stale() {
                return Poll::Ready(next);
            }
            // Before it is passed on: the reader may stop at any piece, and take the body for
            // complete.
            self.held = Some(next);
            let request_session = Rc::clone(&self.request_session);
            self.recheck = Some(Box::pin(async move { request_session.reread().await }));
            return self.poll_next(context);
        };
        let outcome = ready!(recheck.as_mut().poll(context));
        self.recheck = None;
        let held = self.held.take();
        Poll::Ready(match outcome {
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
