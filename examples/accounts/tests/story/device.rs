//! A browser that uses the app.

use std::{
    net::SocketAddr,
    ops::Deref,
    path::Path,
    time::{Duration, Instant},
};

use actix_web::rt::time::sleep;
use programs::{Browser, PATIENCE, Screen};

pub const PASSWORD: &str = "correct-horse-battery-staple";

/// A browser with its own profile, which stands for a laptop or a phone.
pub struct Device {
    browser: Browser,
    app: String,
    /// Whether screenshots of its pages are saved.
    pub takes_screenshots: bool,
}

impl Deref for Device {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Device {
    pub async fn new(app: SocketAddr, takes_screenshots: bool) -> Self {
        // On `localhost` Chromium accepts `Secure` cookies, such as that of the flash messages.
        let app = format!("http://localhost:{}", app.port());
        Self { browser: Browser::start().await, app, takes_screenshots }
    }

    pub async fn open(&self, path: &str) {
        self.browser.open(&self.url(path)).await;
    }

    /// Waits until this page of the app is open.
    pub async fn is_at(&self, path: &str) {
        self.arrives(&self.url(path)).await;
    }

    /// Waits until the page shows this text.
    pub async fn reads(&self, text: &str) {
        self.comes_to("return document.body.innerText", |shown| shown.contains(text)).await;
    }

    /// Waits until the script returns a text that matches.
    pub async fn comes_to(&self, script: &str, matches: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let result = self.client.execute(script, vec![]).await;
            if result.as_ref().is_ok_and(|result| result.as_str().is_some_and(&matches)) {
                return;
            }
            assert!(Instant::now() < end, "{script}: {result:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fills in the fields of a form, by their ids, and clicks its button.
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

    /// Saves screenshots of the current page.
    pub async fn screenshot(&self, name: &str) {
        if !self.takes_screenshots {
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
