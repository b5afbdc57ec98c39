//! What all pages have in common.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, Responder, error::ErrorInternalServerError,
    get, web,
};
use actix_web_flash_messages::{FlashMessage, IncomingFlashMessages};
use askama::Template;
use locals::{Error, Locals, User, with_session};

use crate::account::Account;

/// What the request before had to say. Messages that were signed before a restart are none.
pub type Messages = Option<IncomingFlashMessages>;

/// The frame of a page.
#[derive(Default)]
pub struct Page {
    pub user: Option<User<Account>>,
    /// Whether it is staff who act as this user.
    pub is_acting: bool,
    pub messages: Vec<FlashMessage>,
}

impl Page {
    pub async fn of(locals: &Locals, messages: Messages) -> Result<Self, Error> {
        let messages = messages.iter().flat_map(IncomingFlashMessages::iter).cloned().collect();
        Ok(match locals.get_session_user().await? {
            Some((session, user)) => {
                Self { user: Some(user), is_acting: session.actor().is_some(), messages }
            }
            None => Self { messages, ..Self::default() },
        })
    }
}

pub fn show(page: &impl Template) -> actix_web::Result<HttpResponse> {
    show_in(HttpResponse::Ok(), page)
}

/// Shows a page in an answer that has been begun.
pub fn show_in(
    mut response: HttpResponseBuilder,
    page: &impl Template,
) -> actix_web::Result<HttpResponse> {
    let text = page.render().map_err(ErrorInternalServerError)?;
    Ok(response.content_type("text/html; charset=utf-8").body(text))
}

/// Goes on to a page, which says what has been done.
pub fn done(path: &'static str, message: impl Into<String>) -> HttpResponse {
    FlashMessage::success(message).send();
    HttpResponse::SeeOther().insert_header(("Location", path)).finish()
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    page: Page,
}

#[get("/")]
#[with_session]
async fn home(locals: Locals, messages: Messages) -> actix_web::Result<HttpResponse> {
    show(&Home { page: Page::of(&locals, messages).await? })
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem {
    page: Page,
    title: &'static str,
    advice: &'static str,
}

impl Problem {
    fn new(title: &'static str, advice: &'static str) -> Self {
        Self { page: Page::default(), title, advice }
    }
}

pub async fn not_found() -> actix_web::Result<HttpResponse> {
    let advice = "It may have been moved, or the address has a slip.";
    show_in(HttpResponse::NotFound(), &Problem::new("There is no such page", advice))
}

/// Answers to people that look like the app. What is `None` here is answered by `locals`.
pub fn answer(request: &HttpRequest, error: &Error) -> Option<HttpResponse> {
    let (title, advice) = match error {
        _ if request.path().starts_with("/api/") => return None,
        Error::Forbidden => ("This is not for you", "It is for other accounts than yours."),
        Error::CrossOrigin { .. } => {
            ("This came from another site", "Open this app and try there.")
        }
        Error::Store(_) => ("The database does not answer", "Try again in a moment."),
        _ => return None,
    };
    show(&Problem::new(title, advice)).ok()
}

#[get("/style.css")]
async fn style() -> impl Responder {
    let style = include_str!("../static/style.css");
    style.customize().insert_header(("Content-Type", "text/css; charset=utf-8"))
}

#[get("/live.js")]
async fn script() -> impl Responder {
    let script = include_str!("../static/live.js");
    script.customize().insert_header(("Content-Type", "text/javascript; charset=utf-8"))
}

pub fn routes(config: &mut web::ServiceConfig) {
    config.service(home);
}

pub fn files(config: &mut web::ServiceConfig) {
    config.service((style, script));
}
