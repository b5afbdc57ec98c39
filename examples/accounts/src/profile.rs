//! One's own account: the profile, a new password, the end.

use actix_web::{HttpResponse, get, post, web};
use askama::Template;
use locals::{Auth, Locals, Session, User, require_user};
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    page::{Messages, Page, done, show, show_in},
    password::Passwords,
};

#[derive(Template)]
#[template(path = "profile.html")]
struct ProfilePage {
    page: Page,
    account: User<Account>,
    error: Option<String>,
}

#[get("/profile")]
#[require_user]
async fn profile(
    account: User<Account>,
    locals: Locals,
    messages: Messages,
) -> actix_web::Result<HttpResponse> {
    show(&ProfilePage { page: Page::of(&locals, messages).await?, account, error: None })
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
    form: web::Form<PasswordChange>,
    (accounts, passwords): (web::Data<Accounts>, web::Data<Passwords>),
    auth: Auth<Account>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let form = form.into_inner();
    let hash = match passwords.check(&locals, &account.email, form.password).await? {
        Ok(_) => passwords.hash(form.new_password).await,
        Err(refusal) => Err(refusal),
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(refusal) => {
            let (page, error) = (Page::of(&locals, None).await?, Some(refusal.to_string()));
            return show_in(refusal.response(), &ProfilePage { page, account, error });
        }
    };
    match accounts.change_password(&auth, &session, &account, &hash).await? {
        Some(session) => locals.set_session(session),
        None => return Err(locals::Error::Unauthenticated.into()),
    }
    Ok(done("/profile", "Your password is changed, and your other devices are signed out."))
}

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    page: Page,
}

#[get("/profile/delete")]
#[require_user(recent = "10m")]
async fn delete_page(locals: Locals, messages: Messages) -> actix_web::Result<HttpResponse> {
    show(&DeletePage { page: Page::of(&locals, messages).await? })
}

#[post("/profile/delete")]
#[require_user(recent = "10m")]
async fn delete(
    account: User<Account>,
    accounts: web::Data<Accounts>,
    locals: Locals,
) -> Result<HttpResponse, locals::Error> {
    locals.log_out_everywhere().await?;
    accounts.delete(account.id).await?;
    Ok(done("/", "Your account is deleted."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((profile, change_password, delete_page, delete));
}
