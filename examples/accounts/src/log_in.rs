//! Signing up, in and out, and giving the password once more.

use actix_web::web::{self, Data, Form};
use actix_web::{HttpResponse, get, post};
use locals::{Error, Locals, LogInOptions, User, require_user, with_session};
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    page::{Answer, Messages, Page, View, done},
    password::{LONGEST_EMAIL, Passwords},
};

#[derive(Default, Deserialize)]
pub struct NewAccount {
    pub name: String,
    pub email: String,
    password: String,
}

#[get("/sign-up")]
#[with_session(guest_only = "/")]
async fn sign_up_page(locals: Locals, messages: Messages) -> Answer {
    let page = Page::of(&locals, messages).await?;
    View::SignUp { page, form: &NewAccount::default(), error: None }.show()
}

#[post("/sign-up")]
#[with_session]
async fn sign_up(
    mut form: Form<NewAccount>,
    accounts: Data<Accounts>,
    passwords: Data<Passwords>,
    locals: Locals,
) -> Answer {
    let password = std::mem::take(&mut form.password);
    let (name, email) = (form.name.trim(), normal(&form.email));
    let again = |response, error| {
        View::SignUp { page: Page::default(), form: &form, error: Some(error) }.show_in(response)
    };
    let is_named = (1..=100).contains(&name.chars().count());
    if !is_named || email.len() > LONGEST_EMAIL || !email.contains('@') {
        let error = "A name and an e-mail address are needed.";
        return again(HttpResponse::UnprocessableEntity(), error);
    }
    let hash = match passwords.hash(&locals, &email, password).await {
        Ok(hash) => hash,
        Err(refusal) => return again(refusal.response(), refusal.text()),
    };
    let Some(account) = accounts.add(name, &email, &hash).await? else {
        // An app that sends e-mail says this to the address, and to the visitor nothing new.
        return again(HttpResponse::Conflict(), "This address has an account.");
    };
    locals.log_in(&account).await?;
    Ok(done("/", format!("Welcome, {}.", account.name)))
}

#[derive(Deserialize)]
pub struct Credentials {
    /// Not asked for again where somebody is logged in.
    #[serde(default)]
    pub email: String,
    pub password: String,
    /// "Stay logged in".
    #[serde(default)]
    stay: bool,
}

#[get("/login")]
#[with_session(guest_only = "/")]
async fn log_in_page(locals: Locals, messages: Messages) -> Answer {
    View::LogIn { page: Page::of(&locals, messages).await?, email: "", error: None }.show()
}

#[post("/login")]
#[with_session]
async fn log_in(form: Form<Credentials>, passwords: Data<Passwords>, locals: Locals) -> Answer {
    let Credentials { email, password, stay } = form.into_inner();
    let account = match passwords.check(&locals, &normal(&email), password).await? {
        Ok(account) => account,
        Err(refusal) => {
            let (page, error) = (Page::default(), Some(refusal.text()));
            return View::LogIn { page, email: &email, error }.show_in(refusal.response());
        }
    };
    locals.log_in_with(&account, LogInOptions::new().remember(stay)).await?;
    Ok(locals.return_to().into())
}

#[post("/logout")]
#[with_session]
async fn log_out(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_out().await?;
    Ok(done("/", "You are logged out."))
}

#[get("/confirm")]
#[require_user]
async fn confirm_page(locals: Locals, messages: Messages) -> Answer {
    View::Confirm { page: Page::of(&locals, messages).await?, error: None }.show()
}

#[post("/confirm")]
#[require_user]
async fn confirm(
    user: User<Account>,
    form: Form<Credentials>,
    passwords: Data<Passwords>,
    locals: Locals,
) -> Answer {
    if let Err(refusal) = passwords.check(&locals, &user.email, form.into_inner().password).await? {
        let (page, error) = (Page::of(&locals, None).await?, Some(refusal.text()));
        return View::Confirm { page, error }.show_in(refusal.response());
    }
    locals.reauthenticate().await?;
    Ok(locals.return_to().into())
}

/// An address as it is kept and looked for.
pub fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((sign_up_page, sign_up, log_in_page, log_in, log_out, confirm_page, confirm));
}
