//! A page that shows whether its session is still active.

use std::time::Duration;

use actix_web::{Error, HttpResponse, get, web, web::Bytes};
use futures_util::{StreamExt, stream};
use locals::{Locals, Session, require_user};
use tokio::time::interval;

use crate::page::{Messages, Page, PageResult, View};

#[get("/live")]
#[require_user]
async fn live(locals: Locals, messages: Messages) -> PageResult {
    View::Live { page: Page::of(&locals, messages).await? }.show()
}

/// Server-sent events: a heartbeat every second, and a last event when the session ends.
#[get("/live/events")]
#[require_user]
async fn events(session: Session) -> HttpResponse {
    let heartbeats = stream::unfold(interval(Duration::from_secs(1)), |mut interval| async {
        interval.tick().await;
        Some(("data: heartbeat\n\n", interval))
    });
    let heartbeats = heartbeats.take_until(async move { session.ended().await });
    let events = heartbeats.chain(stream::iter(["event: ended\ndata: ended\n\n"]));
    let events = events.map(|event| Ok::<_, Error>(Bytes::from(event)));
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((live, events));
}
