//! The devices on which the user is logged in.

use actix_web::{HttpResponse, get, post, web};
use locals::{Error, Locals, SessionId, require_user};

use crate::page::{Messages, Page, PageResult, View, redirect};

#[get("/devices")]
#[require_user]
async fn devices(locals: Locals, messages: Messages) -> PageResult {
    let sessions = locals.sessions().await?;
    View::Devices { page: Page::of(&locals, messages).await?, sessions }.show()
}

#[post("/devices/{id}/end")]
#[require_user]
async fn log_out_device(id: web::Path<SessionId>, locals: Locals) -> Result<HttpResponse, Error> {
    locals.end_session(*id).await?;
    Ok(redirect("/devices", "The device has been logged out."))
}

#[post("/devices/end-others")]
#[require_user]
async fn log_out_others(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_out_other_sessions().await?;
    Ok(redirect("/devices", "All other devices have been logged out."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((devices, log_out_device, log_out_others));
}
