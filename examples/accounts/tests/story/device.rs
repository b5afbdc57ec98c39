//! A browser at the app.

use std::{
    net::SocketAddr,
    ops::Deref,
    path::Path,
    time::{Duration, Instant},
};

use actix_web::rt::time::sleep;
use programs::{Browser, PATIENCE, Screen};

pub const PASSWORD: &str = "correct-horse-battery-staple";

/// A browser with a profile of its own, as somebody's laptop or phone.
pub struct Device {
    browser: Browser,
    app: String,
    /// Whether pictures of its pages are kept.
    pub is_pictured: bool,
}

impl Deref for Device {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Device {
    pub async fn new(app: SocketAddr, is_pictured: bool) -> Self {
        // Chromium keeps cookies that are `Secure`, as the messages are, of `localhost`.
        let app = format!("http://localhost:{}", app.port());
        Self { browser: Browser::start().await, app, is_pictured }
    }

    pub async fn open(&self, path: &str) {
        self.browser.open(&self.url(path)).await;
    }

    /// Waits until a page of the app is open.
    pub async fn is_at(&self, path: &str) {
        self.arrives(&self.url(path)).await;
    }

    /// Waits until the page that is open, or is being opened, says so.
    pub async fn reads(&self, text: &str) {
        self.comes_to("return document.body.innerText", |shown| shown.contains(text)).await;
    }

    /// Waits until a script of the page that is open, or is being opened, gives such a text.
    pub async fn comes_to(&self, script: &str, is_it: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let given = self.client.execute(script, vec![]).await;
            if given.as_ref().is_ok_and(|given| given.as_str().is_some_and(&is_it)) {
                return;
            }
            assert!(Instant::now() < end, "{script}: {given:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fills in the fields of a form, by their ids, and sends it by the button below them.
    pub async fn submit(&self, fields: &[(&str, &str)]) {
        for (id, text) in fields {
            self.script(&format!("document.getElementById('{id}').value = ''")).await;
            self.type_in(&format!("#{id}"), text).await;
        }
        let (last, _) = fields.last().expect("a field");
        self.click(&format!("form:has(#{last}) button")).await;
    }

    pub async fn sign_up(&self, name: &str, email: &str) {
        self.open("/sign-up").await;
        self.submit(&[("name", name), ("email", email), ("password", PASSWORD)]).await;
        self.reads(&format!("Welcome, {name}.")).await;
    }

    pub async fn log_in(&self, email: &str, password: &str) {
        self.open("/login").await;
        self.submit(&[("email", email), ("password", password)]).await;
        self.is_at("/").await;
    }

    /// Keeps pictures of the page that is open, for people to look at.
    pub async fn picture(&self, name: &str) {
        if !self.is_pictured {
            return;
        }
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("accounts");
        for (screen, suffix) in [
            (Screen::Phone, "phone"),
            (Screen::Desktop, "desktop"),
            (Screen::DesktopAtNight, "night"),
        ] {
            self.browser.picture(screen, &directory.join(format!("{name}-{suffix}.png"))).await;
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.app)
    }
}
