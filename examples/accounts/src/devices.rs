//! Where one is logged in.

use actix_web::{HttpResponse, get, post, web};
use locals::{Error, Locals, SessionId, require_user};

use crate::page::{Answer, Messages, Page, View, done};

#[get("/devices")]
#[require_user]
async fn devices(locals: Locals, messages: Messages) -> Answer {
    let sessions = locals.sessions().await?;
    View::Devices { page: Page::of(&locals, messages).await?, sessions }.show()
}

#[post("/devices/{id}/end")]
#[require_user]
async fn end(id: web::Path<SessionId>, locals: Locals) -> Result<HttpResponse, Error> {
    locals.end_session(*id).await?;
    Ok(done("/devices", "That device is logged out."))
}

#[post("/devices/end-others")]
#[require_user]
async fn end_others(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_out_other_sessions().await?;
    Ok(done("/devices", "All other devices are logged out."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((devices, end, end_others));
}
