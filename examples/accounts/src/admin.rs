//! For admins: list all accounts and impersonate users.

use actix_web::{HttpResponse, Responder, get, post, web};
use locals::{Check, Error, Locals, Session, Verified, require_user};

use crate::{
    account::{Account, Accounts},
    page::{Messages, Page, PageResult, View, redirect},
};

/// Handlers with a `Verified<Account, IsAdmin>` parameter are for admins only.
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
) -> PageResult {
    let accounts = accounts.all().await?;
    View::Admin { page: Page::of(&locals, messages).await?, accounts }.show()
}

#[post("/admin/{id}/login-as")]
#[require_user]
async fn impersonate(
    _admin: Verified<Account, IsAdmin>,
    id: web::Path<i64>,
    accounts: web::Data<Accounts>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    // Admins cannot impersonate other admins.
    let account = accounts.find(*id).await?.filter(|it| !it.is_admin).ok_or(Error::Forbidden)?;
    locals.impersonate(&account).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/stop")]
#[require_user]
async fn stop_impersonating(locals: Locals) -> Result<HttpResponse, Error> {
    locals.stop_impersonating().await?;
    Ok(redirect("/admin", "You have stopped impersonating."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((admin, impersonate, stop_impersonating));
}
