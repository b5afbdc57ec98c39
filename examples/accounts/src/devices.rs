//! Where one is signed in.

use actix_web::{HttpResponse, get, post, web};
use askama::Template;
use locals::{Error, Locals, SessionId, SessionInfo, require_user};

use crate::page::{Messages, Page, done, show};

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage {
    page: Page,
    sessions: Vec<SessionInfo>,
}

impl DevicesPage {
    fn since(session: &SessionInfo) -> String {
        let time = session.created_at.as_millis();
        let time = jiff::Timestamp::from_millisecond(time).unwrap_or_default();
        time.strftime("%-d %B %Y, %H:%M UTC").to_string()
    }
}

#[get("/devices")]
#[require_user]
async fn devices(locals: Locals, messages: Messages) -> actix_web::Result<HttpResponse> {
    let sessions = locals.sessions().await?;
    show(&DevicesPage { page: Page::of(&locals, messages).await?, sessions })
}

#[post("/devices/{id}/end")]
#[require_user]
async fn end(id: web::Path<SessionId>, locals: Locals) -> Result<HttpResponse, Error> {
    locals.end_session(*id).await?;
    Ok(done("/devices", "That device is signed out."))
}

#[post("/devices/end-others")]
#[require_user]
async fn end_others(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_out_other_sessions().await?;
    Ok(done("/devices", "All other devices are signed out."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((devices, end, end_others));
}
