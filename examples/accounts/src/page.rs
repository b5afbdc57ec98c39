//! What all pages share.
#![allow(clippy::ref_binding_to_reference, clippy::ref_option_ref, reason = "askama derives them")]

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, error::ErrorInternalServerError, get, web,
};
use actix_web_flash_messages::{FlashMessage, IncomingFlashMessages};
use askama::Template;
use locals::{Error, Locals, Session, SessionInfo, User, with_session};

use crate::{account::Account, log_in::NewAccount};

/// The flash messages of the previous request. `None` if they were signed before a restart.
pub type Messages = Option<IncomingFlashMessages>;

/// What the layout of every page shows.
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

/// The result of a handler that shows a page.
pub type PageResult = actix_web::Result<HttpResponse>;

/// The pages and their data.
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
    pub fn show(&self) -> PageResult {
        self.show_in(HttpResponse::Ok())
    }

    /// Shows the page with the status and the headers of this response.
    pub fn show_in(&self, mut response: HttpResponseBuilder) -> PageResult {
        let text = self.render().map_err(ErrorInternalServerError)?;
        Ok(response.content_type("text/html; charset=utf-8").body(text))
    }

    /// When the user logged in.
    fn since(session: &SessionInfo) -> String {
        let time = session.created_at.as_millis();
        let time = jiff::Timestamp::from_millisecond(time).unwrap_or_default();
        time.strftime("%B %-d, %Y, %H:%M UTC").to_string()
    }
}

/// Redirects to a page that shows this message.
pub fn redirect(path: &'static str, message: impl Into<String>) -> HttpResponse {
    FlashMessage::success(message).send();
    HttpResponse::SeeOther().insert_header(("Location", path)).finish()
}

#[get("/")]
#[with_session]
pub async fn home(locals: Locals, messages: Messages) -> PageResult {
    View::Home { page: Page::of(&locals, messages).await? }.show()
}

pub async fn not_found() -> PageResult {
    let (title, advice) = ("Page not found", "Check the address and try again.");
    View::Problem { page: Page::default(), title, advice }.show_in(HttpResponse::NotFound())
}

/// Error pages in the style of the app. Where this returns `None`, `locals` responds itself.
pub fn error_page(request: &HttpRequest, error: &Error) -> Option<HttpResponse> {
    let (title, advice) = match error {
        _ if request.path().starts_with("/api/") => return None,
        Error::Forbidden => ("Access denied", "Your account does not have permission to do this."),
        Error::CrossOrigin { .. } => {
            ("Request refused", "It came from another site. Try again on this one.")
        }
        Error::Store(_) => ("Temporarily unavailable", "Try again in a moment."),
        _ => return None,
    };
    // `locals` sets the status to that of the error.
    View::Problem { page: Page::default(), title, advice }.show().ok()
}

pub fn static_files(config: &mut web::ServiceConfig) {
    let file = |kind, text: &'static str| {
        web::get().to(move || async move { HttpResponse::Ok().content_type(kind).body(text) })
    };
    let style = file("text/css; charset=utf-8", include_str!("../static/style.css"));
    let script = file("text/javascript; charset=utf-8", include_str!("../static/live.js"));
    config.route("/style.css", style).route("/live.js", script);
}
