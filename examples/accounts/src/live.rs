//! A page that lives as long as its session.

use std::time::Duration;

use actix_web::{Error, HttpResponse, get, web, web::Bytes};
use futures_util::{StreamExt, stream};
use locals::{Locals, Session, require_user};
use tokio::time::interval;

use crate::page::{Answer, Messages, Page, View};

#[get("/live")]
#[require_user]
async fn live(locals: Locals, messages: Messages) -> Answer {
    View::Live { page: Page::of(&locals, messages).await? }.show()
}

/// Server-sent events: a heartbeat every second, and a last word when the session ends.
#[get("/live/events")]
#[require_user]
async fn events(session: Session) -> HttpResponse {
    let beats = stream::unfold(interval(Duration::from_secs(1)), |mut interval| async {
        interval.tick().await;
        Some(("data: beat\n\n", interval))
    });
    let beats = beats.take_until(async move { session.ended().await });
    let events = beats.chain(stream::iter(["event: ended\ndata: ended\n\n"]));
    let events = events.map(|event| Ok::<_, Error>(Bytes::from(event)));
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((live, events));
}
