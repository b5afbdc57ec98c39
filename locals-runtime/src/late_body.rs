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
    web::Bytes,
};
use futures_core::Stream;

use crate::{attribute::Refusal, resolution::Resolution};

/// Why a body was broken off at its end, if it was.
#[derive(Clone, Default)]
pub(crate) struct Refused(Rc<RefCell<Option<Refusal>>>);

impl Refused {
    pub(crate) fn take(&self) -> Option<Refusal> {
        self.0.take()
    }
}

/// Asks the guards once more when the body of a request comes to its end, if that was late. Where
/// they refuse, the body ends with an error, so that no handler is given it whole.
pub(crate) fn watch(request: &mut ServiceRequest, resolution: &Rc<Resolution>) -> Refused {
    let refused = Refused::default();
    // What follows an upgrade is no body.
    if request.head().upgrade() {
        return refused;
    }
    let payload = match request.take_payload() {
        Payload::None => return refused,
        body => Payload::Stream {
            payload: Box::pin(Watched {
                body,
                resolution: Rc::clone(resolution),
                asking: None,
                has_ended: false,
                refused: refused.clone(),
            }) as Pin<Box<dyn Stream<Item = _>>>,
        },
    };
    request.set_payload(payload);
    refused
}

/// A body whose end is watched.
struct Watched {
    body: Payload,
    resolution: Rc<Resolution>,
    asking: Option<Pin<Box<dyn Future<Output = Result<(), Refusal>>>>>,
    has_ended: bool,
    refused: Refused,
}

impl Stream for Watched {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.has_ended {
            let next = ready!(Pin::new(&mut self.body).poll_next(context));
            if next.is_some() {
                return Poll::Ready(next);
            }
            self.has_ended = true;
            if self.resolution.is_stale() {
                let resolution = Rc::clone(&self.resolution);
                self.asking = Some(Box::pin(async move { resolution.read_again().await }));
            }
        }
        let Some(asking) = &mut self.asking else { return Poll::Ready(None) };
        let answer = ready!(asking.as_mut().poll(context));
        self.asking = None;
        Poll::Ready(answer.err().map(|refusal| {
            self.refused.0.replace(Some(refusal));
            Err(PayloadError::Io(io::Error::other("the session ended while the body was read")))
        }))
    }
}
