//! What staff may do: see all accounts, and the app as another user sees it.

use actix_web::{HttpResponse, Responder, get, post, web};
use locals::{Check, Error, Locals, Session, Verified, require_user};

use crate::{
    account::{Account, Accounts},
    page::{Answer, Messages, Page, View, done},
};

/// A condition. A handler that asks for its proof is for admins alone.
struct IsAdmin;

impl Check<Account> for IsAdmin {
    fn check(account: &Account, _: &Session) -> bool {
        account.is_admin
    }
}

#[get("/admin")]
#[require_user]
async fn admin(
    _admin: Verified<Account, IsAdmin>,
    accounts: web::Data<Accounts>,
    locals: Locals,
    messages: Messages,
) -> Answer {
    let accounts = accounts.all().await?;
    View::Admin { page: Page::of(&locals, messages).await?, accounts }.show()
}

#[post("/admin/{id}/login-as")]
#[require_user]
async fn log_in_as(
    _admin: Verified<Account, IsAdmin>,
    id: web::Path<i64>,
    accounts: web::Data<Accounts>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    // Not as another admin: what they do stays theirs.
    let account = accounts.find(*id).await?.filter(|it| !it.is_admin).ok_or(Error::Forbidden)?;
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
    config.service((admin, log_in_as, stop));
}
