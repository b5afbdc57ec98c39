//! Somebody with a cookie jar of one cookie.

use std::{net::SocketAddr, time::Duration};

use actix_web::http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_LENGTH, COOKIE, HeaderMap, LOCATION, SET_COOKIE},
};
use awc::Client;

/// A user by their number, or a visitor without a session.
pub struct Visitor {
    pub user: i64,
    pub token: Option<String>,
    client: Client,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: String,
    /// What it says of the body's length.
    pub length: Option<usize>,
    pub location: Option<String>,
    /// The token of a cookie that it sets.
    pub token: Option<String>,
    pub cache_control: Option<String>,
    /// Whether the cache had it.
    pub is_stored: bool,
}

impl Answer {
    /// What its visitor sees.
    pub fn seen(self) -> (StatusCode, String, Option<String>) {
        (self.status, self.body, self.location)
    }
}

const NOBODY: i64 = 0;

impl Visitor {
    pub fn user(user: i64) -> Self {
        let client = Client::builder().disable_redirects().timeout(Duration::from_secs(30));
        Self { user, token: None, client: client.finish() }
    }

    pub fn stranger() -> Self {
        Self::user(NOBODY)
    }

    pub fn is_stranger(&self) -> bool {
        self.user == NOBODY
    }

    /// What the app calls them.
    pub fn name(&self) -> String {
        if self.token.is_some() { format!("name-{}", self.user) } else { "nobody".to_owned() }
    }

    /// Asks for a route, a method and a path, and keeps the cookie.
    pub async fn ask(&mut self, server: SocketAddr, route: &str) -> Answer {
        let (method, path) = route.split_once(' ').unwrap();
        // The visitor without a session never logs in.
        let method = if self.is_stranger() && path.starts_with("/login") { "GET" } else { method };
        let url = format!("http://{server}{path}");
        let mut request = self.client.request(method.parse().unwrap(), url);
        request = request.insert_header(("Sec-Fetch-Site", "same-origin"));
        if let Some(token) = &self.token {
            request = request.insert_header((COOKIE, format!("session={token}")));
        }
        let mut response = match method {
            "POST" => request.send_form(&[("user", self.user)]).await,
            _ => request.send().await,
        }
        .unwrap();
        let body = response.body().await.unwrap();
        let answer = Answer::new(response.status(), response.headers(), &body);
        if !self.is_stranger()
            && let Some(token) = &answer.token
        {
            self.token = Some(token.clone()).filter(|token| !token.is_empty());
        }
        answer
    }
}

impl Answer {
    fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        // The last: before it stand removals in the scopes that this app does not have.
        let cookie = headers.get_all(SET_COOKIE).last().map(|it| it.to_str().unwrap().to_owned());
        Self {
            status,
            body: String::from_utf8(body.to_vec()).unwrap(),
            length: text(CONTENT_LENGTH.as_str()).map(|length| length.parse().unwrap()),
            location: text(LOCATION.as_str()),
            token: cookie.map(|cookie| {
                let value = cookie.strip_prefix("session=").unwrap();
                value.split(';').next().unwrap().to_owned()
            }),
            cache_control: text(CACHE_CONTROL.as_str()),
            is_stored: text("x-cache-status").is_some_and(|status| status == "HIT"),
        }
    }
}
