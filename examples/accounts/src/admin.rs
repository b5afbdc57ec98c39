//! What staff may do: see all accounts, and the app as another user sees it.

use actix_web::{HttpResponse, Responder, get, post, web};
use askama::Template;
use locals::{Check, Error, Locals, Session, Verified, require_user};

use crate::{
    account::{Account, Accounts},
    page::{Messages, Page, done, show},
};

/// A condition. A handler that asks for its proof is for admins alone.
struct IsAdmin;

impl Check<Account> for IsAdmin {
    fn check(account: &Account, _: &Session) -> bool {
        account.is_admin
    }
}

#[derive(Template)]
#[template(path = "admin.html")]
struct AdminPage {
    page: Page,
    accounts: Vec<Account>,
}

#[get("/admin")]
#[require_user]
async fn admin(
    _admin: Verified<Account, IsAdmin>,
    accounts: web::Data<Accounts>,
    locals: Locals,
    messages: Messages,
) -> actix_web::Result<HttpResponse> {
    let accounts = accounts.all().await?;
    show(&AdminPage { page: Page::of(&locals, messages).await?, accounts })
}

#[post("/admin/{id}/sign-in-as")]
#[require_user]
async fn sign_in_as(
    _admin: Verified<Account, IsAdmin>,
    id: web::Path<i64>,
    accounts: web::Data<Accounts>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    // Not as another admin: what they do stays theirs.
    let account = accounts.find(*id).await?.filter(|account| !account.is_admin);
    let Some(account) = account else { return Err(Error::Forbidden) };
    locals.impersonate(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/stop")]
#[require_user]
async fn stop(locals: Locals) -> Result<HttpResponse, Error> {
    locals.stop_impersonating().await?;
    Ok(done("/admin", "You are yourself again."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((admin, sign_in_as, stop));
}
