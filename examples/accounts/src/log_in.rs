//! Signing up, in and out, and giving the password once more.

use actix_web::{HttpResponse, get, post, web};
use askama::Template;
use locals::{Error, Locals, LogInOptions, User, require_user, with_session};
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    page::{Messages, Page, done, show, show_in},
    password::{LONGEST_EMAIL, Passwords},
};

#[derive(Default, Deserialize)]
pub struct NewAccount {
    name: String,
    email: String,
    #[serde(default)]
    password: String,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage<'a> {
    page: Page,
    form: &'a NewAccount,
    error: Option<String>,
}

#[get("/sign-up")]
#[with_session(guest_only = "/")]
async fn sign_up_page(locals: Locals, messages: Messages) -> actix_web::Result<HttpResponse> {
    let page = Page::of(&locals, messages).await?;
    show(&SignUpPage { page, form: &NewAccount::default(), error: None })
}

#[post("/sign-up")]
#[with_session]
async fn sign_up(
    mut form: web::Form<NewAccount>,
    accounts: web::Data<Accounts>,
    passwords: web::Data<Passwords>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let password = std::mem::take(&mut form.password);
    let (name, email) = (form.name.trim(), normal(&form.email));
    let again = |response, error| {
        let (page, error) = (Page::default(), Some(error));
        show_in(response, &SignUpPage { page, form: &form, error })
    };
    if name.is_empty()
        || name.chars().count() > 100
        || email.len() > LONGEST_EMAIL
        || !email.contains('@')
    {
        let error = "A name and an e-mail address are needed.".to_owned();
        return again(HttpResponse::UnprocessableEntity(), error);
    }
    let hash = match passwords.count(&locals, &email) {
        Ok(()) => passwords.hash(password).await,
        Err(refusal) => Err(refusal),
    };
    let hash = match hash {
        Ok(hash) => hash,
        Err(refusal) => return again(refusal.response(), refusal.to_string()),
    };
    let Some(account) = accounts.add(name, &email, &hash).await? else {
        // An app that sends e-mail says this to the address, and to the visitor nothing new.
        return again(HttpResponse::Conflict(), "This address has an account.".to_owned());
    };
    locals.log_in(&account).await?;
    Ok(done("/", format!("Welcome, {}.", account.name)))
}

#[derive(Deserialize)]
pub struct Credentials {
    pub email: String,
    pub password: String,
    /// "Stay signed in".
    #[serde(default)]
    stay: bool,
}

#[derive(Template)]
#[template(path = "log_in.html")]
struct LogInPage<'a> {
    page: Page,
    email: &'a str,
    error: Option<String>,
}

#[get("/log-in")]
#[with_session(guest_only = "/")]
async fn log_in_page(locals: Locals, messages: Messages) -> actix_web::Result<HttpResponse> {
    let page = Page::of(&locals, messages).await?;
    show(&LogInPage { page, email: "", error: None })
}

#[post("/log-in")]
#[with_session]
async fn log_in(
    form: web::Form<Credentials>,
    passwords: web::Data<Passwords>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    let Credentials { email, password, stay } = form.into_inner();
    let account = match passwords.check(&locals, &normal(&email), password).await? {
        Ok(account) => account,
        Err(refusal) => {
            let (page, error) = (Page::default(), Some(refusal.to_string()));
            return show_in(refusal.response(), &LogInPage { page, email: &email, error });
        }
    };
    locals.log_in_with(&account, LogInOptions::new().remember(stay)).await?;
    Ok(locals.return_to().into())
}

#[post("/log-out")]
#[with_session]
async fn log_out(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_out().await?;
    Ok(done("/", "You are signed out."))
}

#[derive(Deserialize)]
struct Confirmation {
    password: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    page: Page,
    error: Option<String>,
}

#[get("/confirm")]
#[require_user]
async fn confirm_page(locals: Locals, messages: Messages) -> actix_web::Result<HttpResponse> {
    show(&ConfirmPage { page: Page::of(&locals, messages).await?, error: None })
}

#[post("/confirm")]
#[require_user]
async fn confirm(
    user: User<Account>,
    form: web::Form<Confirmation>,
    passwords: web::Data<Passwords>,
    locals: Locals,
) -> actix_web::Result<HttpResponse> {
    if let Err(refusal) = passwords.check(&locals, &user.email, form.into_inner().password).await? {
        let (page, error) = (Page::of(&locals, None).await?, Some(refusal.to_string()));
        return show_in(refusal.response(), &ConfirmPage { page, error });
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
