//! What all pages have in common.
#![allow(clippy::ref_binding_to_reference, clippy::ref_option_ref, reason = "askama derives them")]

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, error::ErrorInternalServerError, get, web,
};
use actix_web_flash_messages::{FlashMessage, IncomingFlashMessages};
use askama::Template;
use locals::{Error, Locals, Session, SessionInfo, User, with_session};

use crate::{account::Account, log_in::NewAccount};

/// What the request before had to say. Messages that were signed before a restart are none.
pub type Messages = Option<IncomingFlashMessages>;

/// The frame of a page.
#[derive(Default)]
pub struct Page {
    pub logged_in: Option<(Session, User<Account>)>,
    pub messages: Vec<FlashMessage>,
}

impl Page {
    pub async fn of(locals: &Locals, messages: Messages) -> Result<Self, Error> {
        let messages = messages.iter().flat_map(IncomingFlashMessages::iter).cloned().collect();
        Ok(Self { logged_in: locals.get_session_user().await?, messages })
    }
}

/// What a handler of pages answers.
pub type Answer = actix_web::Result<HttpResponse>;

/// The pages, and what each shows.
#[derive(Template)]
pub enum View<'a> {
    #[template(path = "home.html")]
    Home { page: Page },
    #[template(path = "sign_up.html")]
    SignUp { page: Page, form: &'a NewAccount, error: Option<&'static str> },
    #[template(path = "log_in.html")]
    LogIn { page: Page, email: &'a str, error: Option<&'static str> },
    #[template(path = "confirm.html")]
    Confirm { page: Page, error: Option<&'static str> },
    #[template(path = "profile.html")]
    Profile { page: Page, error: Option<&'static str> },
    #[template(path = "delete.html")]
    Delete { page: Page },
    #[template(path = "devices.html")]
    Devices { page: Page, sessions: Vec<SessionInfo> },
    #[template(path = "admin.html")]
    Admin { page: Page, accounts: Vec<Account> },
    #[template(path = "live.html")]
    Live { page: Page },
    #[template(path = "problem.html")]
    Problem { page: Page, title: &'static str, advice: &'static str },
}

impl View<'_> {
    pub fn show(&self) -> Answer {
        self.show_in(HttpResponse::Ok())
    }

    /// Shows the page in an answer that has been begun.
    pub fn show_in(&self, mut response: HttpResponseBuilder) -> Answer {
        let text = self.render().map_err(ErrorInternalServerError)?;
        Ok(response.content_type("text/html; charset=utf-8").body(text))
    }

    /// When a session began.
    fn since(session: &SessionInfo) -> String {
        let time = session.created_at.as_millis();
        let time = jiff::Timestamp::from_millisecond(time).unwrap_or_default();
        time.strftime("%-d %B %Y, %H:%M UTC").to_string()
    }
}

/// Goes on to a page, which says what has been done.
pub fn done(path: &'static str, message: impl Into<String>) -> HttpResponse {
    FlashMessage::success(message).send();
    HttpResponse::SeeOther().insert_header(("Location", path)).finish()
}

#[get("/")]
#[with_session]
pub async fn home(locals: Locals, messages: Messages) -> Answer {
    View::Home { page: Page::of(&locals, messages).await? }.show()
}

pub async fn not_found() -> Answer {
    let (title, advice) = ("There is no such page", "Perhaps the address has a slip.");
    View::Problem { page: Page::default(), title, advice }.show_in(HttpResponse::NotFound())
}

/// Answers to people that look like the app. What is `None` here is answered by `locals`.
pub fn answer(request: &HttpRequest, error: &Error) -> Option<HttpResponse> {
    let (title, advice) = match error {
        _ if request.path().starts_with("/api/") => return None,
        Error::Forbidden => ("This is not for you", "It is for other accounts than yours."),
        Error::CrossOrigin { .. } => ("This came from another site", "Try it in this app."),
        Error::Store(_) => ("The database does not answer", "Try again in a moment."),
        _ => return None,
    };
    // Its status will be that of the error.
    View::Problem { page: Page::default(), title, advice }.show().ok()
}

pub fn files(config: &mut web::ServiceConfig) {
    let file = |kind, text: &'static str| {
        web::get().to(move || async move { HttpResponse::Ok().content_type(kind).body(text) })
    };
    let style = file("text/css; charset=utf-8", include_str!("../static/style.css"));
    let script = file("text/javascript; charset=utf-8", include_str!("../static/live.js"));
    config.route("/style.css", style).route("/live.js", script);
}
