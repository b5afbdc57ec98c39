//! The user's own account: profile, change of password, deletion.

use actix_web::web::{self, Data, Form};
use actix_web::{get, post};
use locals::{Auth, Locals, Session, User, require_user};
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    page::{Messages, Page, PageResult, View, redirect},
    password::Passwords,
};

#[get("/profile")]
#[require_user]
async fn profile(locals: Locals, messages: Messages) -> PageResult {
    View::Profile { page: Page::of(&locals, messages).await?, error: None }.show()
}

#[derive(Deserialize)]
struct PasswordChange {
    password: String,
    new_password: String,
}

#[post("/profile/password")]
#[require_user]
async fn change_password(
    account: User<Account>,
    session: Session,
    form: Form<PasswordChange>,
    accounts: Data<Accounts>,
    passwords: Data<Passwords>,
    auth: Auth<Account>,
    locals: Locals,
) -> PageResult {
    let form = form.into_inner();
    let hash = match passwords.check(&locals, &account.email, form.password).await? {
        Ok(_) => passwords.hash(&locals, &account.email, form.new_password).await,
        Err(rejection) => Err(rejection),
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(rejection) => {
            let (page, error) = (Page::of(&locals, None).await?, Some(rejection.message()));
            return View::Profile { page, error }.show_in(rejection.response());
        }
    };
    let session = accounts.change_password(&auth, &session, &account, &hash).await?;
    locals.set_session(session);
    Ok(redirect(
        "/profile",
        "Your password has been changed. Your other devices have been logged out.",
    ))
}

#[get("/profile/delete")]
#[require_user(recent = "10m")]
async fn delete_page(locals: Locals, messages: Messages) -> PageResult {
    View::Delete { page: Page::of(&locals, messages).await? }.show()
}

#[post("/profile/delete")]
#[require_user(recent = "10m")]
async fn delete(account: User<Account>, accounts: Data<Accounts>, locals: Locals) -> PageResult {
    locals.log_out_everywhere().await?;
    accounts.delete(account.id).await?;
    Ok(redirect("/", "Your account has been deleted."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((profile, change_password, delete_page, delete));
}
