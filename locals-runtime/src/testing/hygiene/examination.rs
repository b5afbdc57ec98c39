//! The examination: which requests are sent in which order, and which rule applies to each
//! response.

use actix_http::Request;
use actix_web::{
    HttpResponse,
    body::{MessageBody, to_bytes},
    dev::{Service, ServiceResponse},
    http::{Method, StatusCode, header::HeaderMap},
    web::Bytes,
};

use super::{
    Hygiene, Probe,
    judge::{
        Reply, cookie_faults, leak_faults, removal_fault, shared_page_faults, stored_cookie_fault,
    },
    report::{Fault, Report, Rule},
    sending::Sending,
};

pub(super) struct Examination<'a, S> {
    app: &'a S,
    pub(super) hygiene: Hygiene,
    /// The tokens that the app has issued.
    tokens: Vec<String>,
    pub(super) report: Report,
}

/// A login that has set a token.
pub(super) struct LoggedIn {
    pub token: String,
    pub reply: Reply,
}

impl<'a, S, B> Examination<'a, S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    pub(super) fn new(app: &'a S, hygiene: Hygiene) -> Self {
        Self { app, hygiene, tokens: Vec::new(), report: Report::default() }
    }

    pub(super) async fn run(mut self) -> Report {
        if self.is_set_up().await && self.requires_session().await {
            self.try_foreign_token().await;
            self.try_second_log_in().await;
            self.try_get().await;
            self.try_cross_site().await;
            self.try_next().await;
            self.try_log_out().await;
        }
        self.report
    }

    /// Whether the two requests on which the other tests depend work. Checks their responses, too.
    async fn is_set_up(&mut self) -> bool {
        let Some(LoggedIn { token, reply }) = self.log_in().await else { return false };
        let Hygiene { cookie_name, secure, .. } = &self.hygiene;
        self.add_all(cookie_faults(&reply, cookie_name, *secure));
        let page = self.protected(&token, " with the session of a login").await;
        if page.is_allowed() {
            self.add_all(shared_page_faults(&page));
        } else {
            self.add(
                Rule::SetUp,
                &page,
                page.status.to_string(),
                "set `Hygiene::protected` to a request that gets 2xx when the user of \
                 `Hygiene::log_in` sends it",
            );
        }
        page.is_allowed()
    }

    /// Whether the protected request requires a session. If anybody may send it, it says nothing
    /// about sessions.
    async fn requires_session(&mut self) -> bool {
        let probe = self.hygiene.protected.clone();
        let reply = self.send(Sending::of(&probe).without_cookie()).await;
        if !reply.is_refused() {
            let remedy = "refuse requests without a session with 401, or redirect them to the \
                          login page, as `#[require_user]` does; a request that anybody may send \
                          does not belong in `Hygiene::protected`";
            self.add(Rule::Strangers, &reply, reply.status.to_string(), remedy);
            return false;
        }
        let reply = self.send(Sending::of(&probe).flooded()).await;
        if reply.has_read || !reply.is_refused() {
            let read = if reply.has_read { ", after the body was read" } else { "" };
            let remedy = "refuse requests without a session before their body is read, as \
                          `#[require_user]` does; a guard that is an extractor of the handler \
                          runs at the same time as the others";
            self.add(Rule::Strangers, &reply, format!("{}{read}", reply.status), remedy);
        }
        true
    }

    async fn try_foreign_token(&mut self) {
        let Some(LoggedIn { token, .. }) = self.log_in().await else { return };
        let foreign = foreign_token(&token);
        let with = " with a token that the app did not issue";
        let probe = self.hygiene.log_in.clone();
        let reply = self.send(Sending::of(&probe).with(&foreign, with)).await;
        let given = self.token(&reply);
        let came = match &given {
            Some(given) if *given == foreign => "the same token again".to_owned(),
            Some(given) if *given == token => "the token of another login".to_owned(),
            Some(_) => return,
            None => format!("{}, and no new token", reply.status),
        };
        self.add(
            Rule::NewToken,
            &reply,
            came,
            "create a new random token at each login, whatever token the browser presents, as \
             `locals.log_in(&user)` does; otherwise whoever chose the token is logged in too \
             (session fixation)",
        );
    }

    async fn try_second_log_in(&mut self) {
        let Some(LoggedIn { token, .. }) = self.log_in().await else { return };
        let probe = self.hygiene.log_in.clone();
        let with = " with the session of an earlier login";
        let reply = self.send(Sending::of(&probe).with(&token, with)).await;
        match self.token(&reply) {
            None if !reply.has_read || reply.status.is_client_error() => {
                // The app refuses logins of users who are logged in.
            }
            Some(given) if given != token => self.has_ended(&token).await,
            _ => self.add(
                Rule::NewToken,
                &reply,
                format!("{}, and no new token", reply.status),
                "create a new token at each login, as `locals.log_in(&user)` does",
            ),
        }
    }

    /// Checks that a session that a login has replaced has ended.
    async fn has_ended(&mut self, token: &str) {
        let with = " with a session that a login has replaced";
        let page = self.protected(token, with).await;
        if page.is_allowed() {
            self.add(
                Rule::LogInEndsSession,
                &page,
                page.status.to_string(),
                "end the session that the browser presents at a login, as `locals.log_in(&user)` \
                 does; otherwise whoever has its cookie stays logged in",
            );
        }
    }

    async fn try_get(&mut self) {
        let log_in = Probe { method: Method::GET, ..self.hygiene.log_in.clone() };
        let reply = self.send(Sending::of(&log_in)).await;
        if self.token(&reply).is_some() {
            self.add(
                Rule::SafeMethods,
                &reply,
                format!("{}, and a session", reply.status),
                "route the login by POST only: any link or image on any page sends a GET",
            );
        }
        let log_out = Probe { method: Method::GET, ..self.hygiene.log_out.clone() };
        let Some(LoggedIn { token, .. }) = self.log_in().await else { return };
        let reply = self.send(Sending::of(&log_out).with(&token, " with a session")).await;
        if !self.leaves_logged_in(&reply, &token).await {
            self.add(
                Rule::SafeMethods,
                &reply,
                format!("{}, and the user is logged out", reply.status),
                "route the logout by POST only: any link or image on any page sends a GET",
            );
        }
    }

    async fn try_cross_site(&mut self) {
        let remedy = "refuse requests of other sites with 403, by `Sec-Fetch-Site` and `Origin`, as \
                      `#[with_session]` does";
        let log_in = self.hygiene.log_in.clone();
        let reply = self.send(Sending::of(&log_in).cross_site()).await;
        if self.token(&reply).is_some() || !reply.status.is_client_error() {
            self.add(Rule::CrossSite, &reply, reply.status.to_string(), remedy);
        }
        let log_out = self.hygiene.log_out.clone();
        let Some(LoggedIn { token, .. }) = self.log_in().await else { return };
        let sending = Sending::of(&log_out).with(&token, " with a session");
        let reply = self.send(sending.cross_site()).await;
        let is_refused = reply.status.is_client_error();
        if !is_refused || !self.leaves_logged_in(&reply, &token).await {
            self.add(Rule::CrossSite, &reply, reply.status.to_string(), remedy);
        }
    }

    async fn try_log_out(&mut self) {
        let Some(LoggedIn { token, reply: set }) = self.log_in().await else { return };
        let probe = self.hygiene.log_out.clone();
        let reply = self.send(Sending::of(&probe).with(&token, " with a session")).await;
        self.add_all(removal_fault(&set, &reply, &self.hygiene.cookie_name));
        let page = self.protected(&token, " with a session that has been logged out").await;
        if !page.is_refused() {
            self.add(
                Rule::LogOutEndsSession,
                &page,
                page.status.to_string(),
                "end the session in the store before responding to the logout, as \
                 `locals.log_out()` does; the browser's cookie may not be the only copy",
            );
        }
    }

    /// Logs in without a session; reports a fault if that gives no token.
    pub(super) async fn log_in(&mut self) -> Option<LoggedIn> {
        let probe = self.hygiene.log_in.clone();
        let reply = self.send(Sending::of(&probe)).await;
        let token = self.token(&reply);
        if token.is_none() {
            let name = &self.hygiene.cookie_name;
            let came = format!("{}, and no cookie `{name}`", reply.status);
            self.add(
                Rule::SetUp,
                &reply,
                came,
                "set `Hygiene::log_in` to a request that logs in an existing user, and \
                 `Hygiene::cookie_name` to the name of the session cookie; rate limits must \
                 allow the requests of this test",
            );
        }
        token.map(|token| LoggedIn { token, reply })
    }

    async fn protected(&mut self, token: &str, with: &str) -> Reply {
        let probe = self.hygiene.protected.clone();
        self.send(Sending::of(&probe).with(token, with)).await
    }

    /// Whether a response has neither changed the browser's cookie nor ended its session.
    async fn leaves_logged_in(&mut self, reply: &Reply, token: &str) -> bool {
        let cookies = reply.cookies(&self.hygiene.cookie_name);
        cookies.iter().all(|cookie| cookie.value() == token)
            && self.protected(token, " with a session").await.is_allowed()
    }

    fn token(&self, reply: &Reply) -> Option<String> {
        reply.token(&self.hygiene.cookie_name)
    }

    /// Sends a request, and checks what must be true of every response.
    pub(super) async fn send(&mut self, sending: Sending<'_>) -> Reply {
        let (request, has_read) = sending.request(&self.hygiene.cookie_name);
        let (status, headers, body) = match self.app.call(request).await {
            Ok(response) => read(response.into_parts().1).await,
            // As the server would respond.
            Err(error) => read(HttpResponse::from_error(error)).await,
        };
        let reply = Reply { sent: sending.sent(), status, headers, body, has_read: has_read.get() };
        self.tokens.extend(self.token(&reply));
        self.add_all(stored_cookie_fault(&reply, &self.hygiene.cookie_name));
        self.add_all(leak_faults(&reply, &self.tokens));
        if status == StatusCode::TOO_MANY_REQUESTS {
            let remedy = "raise the rate limit for this test, which logs in repeatedly";
            self.add(Rule::SetUp, &reply, status.to_string(), remedy);
        }
        reply
    }

    fn add(&mut self, rule: Rule, reply: &Reply, came: impl Into<String>, remedy: &str) {
        self.report.add(Fault::new(rule, &reply.sent, came, remedy));
    }

    fn add_all(&mut self, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            self.report.add(fault);
        }
    }
}

async fn read<B: MessageBody>(response: HttpResponse<B>) -> (StatusCode, HeaderMap, Bytes) {
    let (status, headers) = (response.status(), response.headers().clone());
    // If the body fails, what was read until then cannot hold a token that is not elsewhere.
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    (status, headers, body)
}

/// Returns a token of the same form that the app has not issued.
fn foreign_token(token: &str) -> String {
    let other = |c: char| match c {
        'A' => 'B',
        c if c.is_ascii_alphanumeric() => 'A',
        c => c,
    };
    token.chars().map(other).collect()
}
