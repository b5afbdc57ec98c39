//! Sign-up, login, logout and re-authentication.

use actix_web::web::{self, Data, Form};
use actix_web::{HttpResponse, get, post};
use locals::{Error, Locals, LogInOptions, User, require_user, with_session};
use serde::Deserialize;

use crate::{
    account::{Account, Accounts},
    page::{Messages, Page, PageResult, View, redirect},
    password::{MAX_EMAIL, Passwords},
};

#[derive(Default, Deserialize)]
pub struct NewAccount {
    pub name: String,
    pub email: String,
    password: String,
}

#[get("/sign-up")]
#[with_session(guest_only = "/")]
async fn sign_up_page(locals: Locals, messages: Messages) -> PageResult {
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
) -> PageResult {
    let password = std::mem::take(&mut form.password);
    let (name, email) = (form.name.trim(), normalize(&form.email));
    let reject = |response, error| {
        View::SignUp { page: Page::default(), form: &form, error: Some(error) }.show_in(response)
    };
    let name_is_valid = (1..=100).contains(&name.chars().count());
    if !name_is_valid || email.len() > MAX_EMAIL || !email.contains('@') {
        let error = "Enter a name and a valid e-mail address.";
        return reject(HttpResponse::UnprocessableEntity(), error);
    }
    let hash = match passwords.hash(&locals, &email, password).await {
        Ok(hash) => hash,
        Err(rejection) => return reject(rejection.response(), rejection.message()),
    };
    let Some(account) = accounts.add(name, &email, &hash).await? else {
        // This reveals that the account exists. An app that sends e-mail can tell its owner instead.
        let error = "An account with this e-mail address already exists.";
        return reject(HttpResponse::Conflict(), error);
    };
    locals.log_in(&account).await?;
    Ok(redirect("/", format!("Welcome, {}.", account.name)))
}

#[derive(Deserialize)]
pub struct Credentials {
    /// Absent in the form that only confirms the password.
    #[serde(default)]
    pub email: String,
    pub password: String,
    /// The checkbox "Stay logged in".
    #[serde(default)]
    stay: bool,
}

#[get("/login")]
#[with_session(guest_only = "/")]
async fn log_in_page(locals: Locals, messages: Messages) -> PageResult {
    View::LogIn { page: Page::of(&locals, messages).await?, email: "", error: None }.show()
}

#[post("/login")]
#[with_session]
async fn log_in(form: Form<Credentials>, passwords: Data<Passwords>, locals: Locals) -> PageResult {
    let Credentials { email, password, stay } = form.into_inner();
    let account = match passwords.check(&locals, &normalize(&email), password).await? {
        Ok(account) => account,
        Err(rejection) => {
            let (page, error) = (Page::default(), Some(rejection.message()));
            return View::LogIn { page, email: &email, error }.show_in(rejection.response());
        }
    };
    locals.log_in_with(&account, LogInOptions::new().remember(stay)).await?;
    Ok(locals.return_to().into())
}

#[post("/logout")]
#[with_session]
async fn log_out(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_out().await?;
    Ok(redirect("/", "You have been logged out."))
}

#[get("/confirm")]
#[require_user]
async fn confirm_page(locals: Locals, messages: Messages) -> PageResult {
    View::Confirm { page: Page::of(&locals, messages).await?, error: None }.show()
}

#[post("/confirm")]
#[require_user]
async fn confirm(
    user: User<Account>,
    form: Form<Credentials>,
    passwords: Data<Passwords>,
    locals: Locals,
) -> PageResult {
    if let Err(rejection) =
        passwords.check(&locals, &user.email, form.into_inner().password).await?
    {
        let (page, error) = (Page::of(&locals, None).await?, Some(rejection.message()));
        return View::Confirm { page, error }.show_in(rejection.response());
    }
    locals.reauthenticate().await?;
    Ok(locals.return_to().into())
}

/// The form in which e-mail addresses are stored and looked up.
pub fn normalize(email: &str) -> String {
    email.trim().to_lowercase()
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service((sign_up_page, sign_up, log_in_page, log_in, log_out, confirm_page, confirm));
}
