//! The program of the example with a provider, and its visitors.

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, process::Command};

use oauth2::url::Url;
use programs::Program;
use provider::Provider;
use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{COOKIE, LOCATION, SET_COOKIE},
    redirect::Policy,
};
use tempfile::TempDir;

/// The values of the buttons at the provider.
pub const ADA: &str = "0";
pub const GRACE: &str = "1";
pub const CANCEL: &str = "";

/// The program, not yet started.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oauth"));
    for name in ["ID", "SECRET"] {
        command.env_remove(format!("OAUTH_CLIENT_{name}"));
    }
    command
}

/// The running program. It is stopped when this value is dropped.
pub struct Site {
    address: SocketAddr,
    _program: Program,
}

impl Site {
    /// With the local provider that it starts itself.
    pub fn with_own_provider() -> Self {
        Self::start(|_| Vec::new())
    }

    /// With a provider that the test starts.
    pub fn with_provider() -> (Self, Provider) {
        let provider = RefCell::new(None);
        let site = Self::start(|address| {
            let started = Provider::start(&format!("http://{address}/callback")).unwrap();
            let environment = started.environment();
            provider.replace(Some(started));
            environment.into()
        });
        (site, provider.into_inner().unwrap())
    }

    fn start(environment: impl Fn(SocketAddr) -> Vec<(&'static str, String)>) -> Self {
        let place = TempDir::new().unwrap();
        let command = |address: SocketAddr| {
            let mut command = program();
            command.env("ADDR", address.to_string()).envs(environment(address));
            command
        };
        let (program, address) = Program::listening(command, &place.path().join("log"));
        Self { address, _program: program }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn visitor(&self) -> Visitor<'_> {
        Visitor { site: self, cookies: RefCell::default(), client: client() }
    }
}

/// A client that does not follow redirects.
pub fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

/// A response: its text, and where it redirects to.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub location: String,
    pub text: String,
}

/// A visitor with their own browser.
pub struct Visitor<'a> {
    site: &'a Site,
    cookies: RefCell<HashMap<String, String>>,
    client: Client,
}

impl Visitor<'_> {
    /// Follows a link.
    pub async fn get(&self, url: &str) -> Page {
        self.send(self.client.get(url)).await
    }

    /// Sends a form.
    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> Page {
        self.send(self.client.post(url).form(form)).await
    }

    async fn send(&self, request: RequestBuilder) -> Page {
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get(LOCATION);
        Page {
            status: response.status(),
            location: location.map(|url| url.to_str().unwrap().to_owned()).unwrap_or_default(),
            text: response.text().await.unwrap(),
        }
    }

    /// Starts a login on this page of the app and returns the URL at the provider.
    pub async fn start_login(&self, login_page: &str) -> String {
        let started = self.post(&self.site.url(login_page), &[]).await;
        assert_eq!(started.status, StatusCode::SEE_OTHER, "{started:?}");
        started.location
    }

    /// Clicks a button at the provider and returns the callback URL.
    pub async fn choose(&self, at_provider: &str, button: &str) -> String {
        let response = self.post(at_provider, &[("person", button)]).await;
        assert_eq!(response.status, StatusCode::SEE_OTHER, "{response:?}");
        response.location
    }

    /// Starts a login, clicks a button at the provider and returns the callback URL.
    pub async fn callback(&self, button: &str) -> String {
        self.choose(&self.start_login("/login").await, button).await
    }

    /// Logs in.
    pub async fn log_in(&self, button: &str) {
        let done = self.get(&self.callback(button).await).await;
        assert_eq!((done.status, done.location.as_str()), (StatusCode::SEE_OTHER, "/"));
    }

    /// The account that the app shows; `None` if the visitor is not logged in.
    pub async fn account(&self) -> Option<String> {
        let page = self.get(&self.site.url("/me")).await;
        let is_logged_in = page.status == StatusCode::OK;
        assert!(is_logged_in || page.status == StatusCode::UNAUTHORIZED, "{page:?}");
        is_logged_in.then(|| page.text.rsplit_once("<p>").unwrap().1.to_owned())
    }
}

/// A query parameter of a URL.
pub fn parameter(url: &str, name: &str) -> String {
    let url: Url = url.parse().unwrap();
    let found = url.query_pairs().find(|(given, _)| given == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

/// The same URL with another value of a query parameter.
pub fn with_parameter(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url: Url = url.parse().unwrap();
    let others: Vec<_> =
        url.query_pairs().into_owned().filter(|(given, _)| given != name).collect();
    url.query_pairs_mut().clear().extend_pairs(others);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.into()
}
