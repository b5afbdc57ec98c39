//! The example in Chromium, with a virtual authenticator.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{path::Path, process::Command};

use programs::{Browser, Program, Screen, keeping_pictures};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The directory for screenshots.
const SCREENSHOTS: &str = env!("CARGO_TARGET_TMPDIR");

/// What the page shows if the browser has not signed.
const NOT_SIGNED: &str = "The request was canceled";

/// The request for a challenge for Ada, as JSON.
const ADA: &str = r#"{"name":"Ada"}"#;

/// A script that records what the page sends to the app.
const RECORD: &str = "
    const real = window.fetch;
    window.fetch = (path, options) => {
        sessionStorage[path] = options?.body;
        return real(path, options);
    };";

/// The running program. It is stopped when this value is dropped.
struct Site {
    home: String,
    _program: Program,
    _place: TempDir,
}

impl Site {
    fn start() -> Self {
        let place = TempDir::new().unwrap();
        let (program, address) = Program::listening(
            |address| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_passkeys"));
                // Its database is in the temporary directory.
                command.env("ADDR", address.to_string()).env("TMPDIR", place.path());
                command
            },
            &place.path().join("log"),
        );
        let home = format!("http://localhost:{}/", address.port());
        Self { home, _program: program, _place: place }
    }
}

/// A person with their own browser and a device that stores passkeys.
struct Person {
    home: String,
    browser: Browser,
    device: String,
}

impl Person {
    async fn at(site: &Site) -> Self {
        let browser = Browser::start().await;
        // It consents to everything.
        let device = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "isUserConsenting": true,
        });
        let device = browser.command("webauthn/authenticator", device).await;
        Self { home: site.home.clone(), browser, device: device.as_str().unwrap().to_owned() }
    }

    async fn device(&self, command: &str, mut parameters: Value) -> Value {
        parameters["authenticatorId"] = json!(self.device);
        self.browser.developer_tools(&format!("WebAuthn.{command}"), parameters).await
    }

    /// Makes the device recognize its owner, or not. Pages see the latter like a click on "Cancel",
    /// which Chromium does not offer here.
    async fn set_recognized(&self, is_recognized: bool) {
        self.device("setUserVerified", json!({ "isUserVerified": is_recognized })).await;
    }

    /// Enters a username and clicks one of the buttons, `login` or `register`.
    async fn submit(&self, button: &str, name: &str) {
        self.browser.open(&self.home).await;
        self.browser.script(RECORD).await;
        self.browser.type_in("[name=name]", name).await;
        self.browser.click(&format!("button[value={button}]")).await;
    }

    /// Clicks a button and is then logged in.
    async fn succeeds(&self, button: &str, name: &str) {
        self.submit(button, name).await;
        self.browser.sees("form[action='/logout']").await;
        assert!(self.browser.text().await.contains(&format!("Logged in as {name}.")));
        assert!(!self.is_logged_out().await);
    }

    /// Clicks a button and gets this error.
    async fn is_refused(&self, button: &str, name: &str, error: &str) {
        self.submit(button, name).await;
        self.sees_error(error).await;
    }

    /// The page shows this error, and nobody is logged in.
    async fn sees_error(&self, error: &str) {
        let alert = self.browser.sees("[role=alert]:not(:empty)").await;
        let text = alert.text().await.unwrap();
        assert!(text.contains(error), "{text}");
        assert!(self.is_logged_out().await);
    }

    async fn log_out(&self) {
        self.browser.click("form[action='/logout'] button").await;
        self.browser.sees("#passkey").await;
        assert!(self.is_logged_out().await);
    }

    /// Saves screenshots of the current page.
    async fn take_screenshots(&self, page: &str) {
        for screen in [Screen::Desktop, Screen::DesktopAtNight, Screen::Phone] {
            let file = Path::new(SCREENSHOTS).join(format!("passkeys-{page}-{screen:?}.png"));
            self.browser.picture(screen, &file).await;
        }
    }

    async fn is_logged_out(&self) -> bool {
        let page = self.browser.async_script("return await (await fetch('/')).text()").await;
        page.as_str().unwrap().contains("id=passkey")
    }

    /// The last request of the page to the second step of this action.
    async fn recorded(&self, button: &str) -> Value {
        self.browser.script(&format!("return sessionStorage['/{button}/finish']")).await
    }

    /// Sends a request as the page would, and returns the status and the text of the response.
    async fn send(&self, path: &str, body: &Value) -> (u64, String) {
        let script = format!(
            "const headers = {{ 'Content-Type': 'application/json' }};
             const options = {{ method: 'POST', headers, body: {body} }};
             const response = await fetch('{path}', options);
             return [response.status, await response.text()]",
        );
        let response = self.browser.async_script(&script).await;
        (response[0].as_u64().unwrap(), response[1].as_str().unwrap().to_owned())
    }
}

async fn keeping(person: &Person, test: impl Future<Output = ()>) {
    keeping_pictures(&[&person.browser], Path::new(SCREENSHOTS), test).await;
}

#[actix_web::test]
async fn a_visitor_creates_an_account_logs_out_and_logs_in_with_the_passkey() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.succeeds("register", "Ada").await;
        ada.take_screenshots("logged-in").await;
        for _ in 0..2 {
            ada.log_out().await;
            ada.succeeds("login", "Ada").await;
        }
    })
    .await;
}

#[actix_web::test]
async fn nobody_logs_in_without_the_passkey() {
    let site = Site::start();
    let (ada, mallory) = (Person::at(&site).await, Person::at(&site).await);
    keeping(&mallory, async {
        ada.succeeds("register", "Ada").await;
        mallory.is_refused("login", "Ada", NOT_SIGNED).await;
        mallory.succeeds("register", "Mallory").await;
        mallory.log_out().await;
        mallory.is_refused("login", "Ada", NOT_SIGNED).await;

        // Her own passkey in response to the challenge for Ada's.
        mallory.succeeds("login", "Mallory").await;
        mallory.log_out().await;
        let own = mallory.recorded("login").await;
        assert_eq!(mallory.send("/login", &json!(ADA)).await.0, 200);
        assert_eq!(mallory.send("/login/finish", &own).await.0, 401);
        assert!(mallory.is_logged_out().await);
    })
    .await;
}

#[actix_web::test]
async fn an_intercepted_response_cannot_be_replayed() {
    let site = Site::start();
    let (ada, mallory) = (Person::at(&site).await, Person::at(&site).await);
    keeping(&ada, async {
        ada.succeeds("register", "Ada").await;
        let registration = ada.recorded("register").await;
        ada.log_out().await;
        ada.succeeds("login", "Ada").await;
        let log_in = ada.recorded("login").await;
        ada.log_out().await;

        mallory.browser.open(&site.home).await;
        for thief in [&ada, &mallory] {
            for (path, recorded) in [("/register", &registration), ("/login", &log_in)] {
                let finish = format!("{path}/finish");
                let (status, text) = thief.send(&finish, recorded).await;
                assert!(status == 400 && text.contains("not started in this browser"), "{text}");
            }
            // There is a new challenge, but the signature is for the old one.
            assert_eq!(thief.send("/login", &json!(ADA)).await.0, 200);
            let (status, text) = thief.send("/login/finish", &log_in).await;
            assert!(status == 401 && text.contains("does not belong to the account"), "{text}");
            assert!(thief.is_logged_out().await);
        }
        ada.succeeds("login", "Ada").await;
    })
    .await;
}

#[actix_web::test]
async fn after_canceling_there_is_an_error_and_another_attempt_succeeds() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.set_recognized(false).await;
        ada.is_refused("register", "Ada", NOT_SIGNED).await;
        ada.take_screenshots("refused").await;
        ada.set_recognized(true).await;
        ada.succeeds("register", "Ada").await;
        ada.log_out().await;
        ada.set_recognized(false).await;
        ada.is_refused("login", "Ada", NOT_SIGNED).await;
        ada.set_recognized(true).await;
        ada.succeeds("login", "Ada").await;
    })
    .await;
}

#[actix_web::test]
async fn a_copy_of_a_passkey_with_an_old_counter_is_refused() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.succeeds("register", "Ada").await;
        let found = ada.device("getCredentials", json!({})).await;
        let mut copy = found["credentials"][0].clone();
        for _ in 0..3 {
            ada.log_out().await;
            ada.succeeds("login", "Ada").await;
        }
        ada.log_out().await;
        ada.device("clearCredentials", json!({})).await;
        ada.device("addCredential", json!({ "credential": copy })).await;
        ada.is_refused("login", "Ada", "does not belong to the account").await;

        // With a higher counter it is accepted.
        copy["signCount"] = json!(100);
        ada.device("clearCredentials", json!({})).await;
        ada.device("addCredential", json!({ "credential": copy })).await;
        ada.succeeds("login", "Ada").await;
    })
    .await;
}

#[actix_web::test]
async fn a_taken_name_and_an_unknown_name_are_errors() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.is_refused("login", "Ada", "There is no account with this username.").await;
        ada.is_refused("register", " ", "A username must have 1 to 40 characters.").await;
        ada.succeeds("register", "Ada").await;
        ada.log_out().await;
        ada.is_refused("register", "Ada", "This username is taken.").await;
    })
    .await;
}

#[actix_web::test]
async fn of_two_simultaneous_registrations_with_one_name_one_succeeds() {
    let site = Site::start();
    let (ada, late) = (Person::at(&site).await, Person::at(&site).await);
    keeping(&late, async {
        late.browser.open(&site.home).await;
        // The last step of this page waits until the other registration is done.
        let wait = "
            const real = window.fetch;
            window.fetch = async (path, options) => {
                if (path.endsWith('/finish')) await new Promise(go => { window.go = go });
                return real(path, options);
            };";
        late.browser.script(wait).await;
        late.browser.type_in("[name=name]", "Ada").await;
        late.browser.click("button[value=register]").await;
        let waits = "while (!window.go) await new Promise(look => setTimeout(look, 20))";
        late.browser.async_script(waits).await;
        ada.succeeds("register", "Ada").await;
        late.browser.script("window.go()").await;
        late.sees_error("This username or passkey has just been registered").await;
    })
    .await;
}

#[actix_web::test]
async fn a_browser_without_passkeys_gets_an_error() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.browser.open(&site.home).await;
        ada.browser.script("delete window.PublicKeyCredential").await;
        ada.browser.type_in("[name=name]", "Ada").await;
        ada.browser.click("button[value=register]").await;
        ada.sees_error("This browser does not support passkeys").await;
    })
    .await;
}
