//! One's own account: the profile, a new password, the end.

use actix_web::web::{self, Data, Form};
use actix_web::{get, post};
use locals::{Auth, Locals, Session, User, require_user};
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    page::{Answer, Messages, Page, View, done},
    password::Passwords,
};

#[get("/profile")]
#[require_user]
async fn profile(locals: Locals, messages: Messages) -> Answer {
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
) -> Answer {
    let form = form.into_inner();
    let hash = match passwords.check(&locals, &account.email, form.password).await? {
        Ok(_) => passwords.hash(&locals, &account.email, form.new_password).await,
        Err(refusal) => Err(refusal),
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(refusal) => {
            let (page, error) = (Page::of(&locals, None).await?, Some(refusal.text()));
            return View::Profile { page, error }.show_in(refusal.response());
        }
    };
    let session = accounts.change_password(&auth, &session, &account, &hash).await?;
    locals.set_session(session);
    Ok(done("/profile", "Your password is changed, and your other devices are logged out."))
}

#[get("/profile/delete")]
#[require_user(recent = "10m")]
async fn delete_page(locals: Locals, messages: Messages) -> Answer {
    View::Delete { page: Page::of(&locals, messages).await? }.show()
}

#[post("/profile/delete")]
#[require_user(recent = "10m")]
async fn delete(account: User<Account>, accounts: Data<Accounts>, locals: Locals) -> Answer {
    locals.log_out_everywhere().await?;
    accounts.delete(account.id).await?;
    Ok(done("/", "Your account is deleted."))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((profile, change_password, delete_page, delete));
}
