//! The example in Chromium, with an authenticator that Chromium plays.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

use std::{path::Path, process::Command};

use programs::{Browser, Program, Screen, keeping_pictures};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where pictures go.
const PICTURES: &str = env!("CARGO_TARGET_TMPDIR");

/// What the page says when the browser has not signed.
const NOTHING: &str = "Nothing was done.";

/// What asks for a challenge for Ada, as a text of JSON.
const ADA: &str = r#"{"name":"Ada"}"#;

/// Keeps what the page sends to the app.
const OVERHEAR: &str = "
    const real = window.fetch;
    window.fetch = (path, sent) => {
        sessionStorage[path] = sent?.body;
        return real(path, sent);
    };";

/// The example's program, until it is dropped.
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

/// Somebody at a browser of their own, with a device that keeps passkeys.
struct Person {
    home: String,
    browser: Browser,
    device: String,
}

impl Person {
    async fn at(site: &Site) -> Self {
        let browser = Browser::start().await;
        // Its owner agrees to everything.
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

    /// Lets the device recognise its owner, or not. Chromium has no button here that cancels; it
    /// tells pages of both alike.
    async fn is_recognised(&self, is_recognised: bool) {
        self.device("setUserVerified", json!({ "isUserVerified": is_recognised })).await;
    }

    /// Presses one of the buttons, `login` or `register`.
    async fn presses(&self, button: &str, name: &str) {
        self.browser.open(&self.home).await;
        self.browser.script(OVERHEAR).await;
        self.browser.type_in("[name=name]", name).await;
        self.browser.click(&format!("button[value={button}]")).await;
    }

    async fn enters(&self, button: &str, name: &str) {
        self.presses(button, name).await;
        self.browser.sees("form[action='/logout']").await;
        assert!(self.browser.text().await.contains(&format!("Logged in as {name}.")));
        assert!(!self.is_a_stranger().await);
    }

    /// Presses a button, which leads nowhere, and the page says why.
    async fn is_refused(&self, button: &str, name: &str, says: &str) {
        self.presses(button, name).await;
        self.is_told(says).await;
    }

    /// The page says this, and nobody is logged in.
    async fn is_told(&self, says: &str) {
        let alert = self.browser.sees("[role=alert]:not(:empty)").await;
        let said = alert.text().await.unwrap();
        assert!(said.contains(says), "{said}");
        assert!(self.is_a_stranger().await);
    }

    async fn leaves(&self) {
        self.browser.click("form[action='/logout'] button").await;
        self.browser.sees("#enter").await;
        assert!(self.is_a_stranger().await);
    }

    /// Keeps pictures of the page that is open, to be looked at.
    async fn keeps_pictures(&self, page: &str) {
        for screen in [Screen::Desktop, Screen::DesktopAtNight, Screen::Phone] {
            let file = Path::new(PICTURES).join(format!("passkeys-{page}-{screen:?}.png"));
            self.browser.picture(screen, &file).await;
        }
    }

    async fn is_a_stranger(&self) -> bool {
        let page = self.browser.async_script("return await (await fetch('/')).text()").await;
        page.as_str().unwrap().contains("id=enter")
    }

    /// What the page has sent last to the second step of this.
    async fn overheard(&self, button: &str) -> Value {
        self.browser.script(&format!("return sessionStorage['/{button}/finish']")).await
    }

    /// Sends what a page would, and gives the status and the text of the answer.
    async fn sends(&self, path: &str, body: &Value) -> (u64, String) {
        let script = format!(
            "const headers = {{ 'Content-Type': 'application/json' }};
             const sent = {{ method: 'POST', headers, body: {body} }};
             const answer = await fetch('{path}', sent);
             return [answer.status, await answer.text()]",
        );
        let answer = self.browser.async_script(&script).await;
        (answer[0].as_u64().unwrap(), answer[1].as_str().unwrap().to_owned())
    }
}

async fn keeping(person: &Person, test: impl Future<Output = ()>) {
    keeping_pictures(&[&person.browser], Path::new(PICTURES), test).await;
}

#[actix_web::test]
async fn somebody_makes_an_account_logs_out_and_comes_back_with_the_passkey() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.enters("register", "Ada").await;
        ada.keeps_pictures("logged-in").await;
        for _ in 0..2 {
            ada.leaves().await;
            ada.enters("login", "Ada").await;
        }
    })
    .await;
}

#[actix_web::test]
async fn nobody_comes_in_without_the_passkey() {
    let site = Site::start();
    let (ada, mallory) = (Person::at(&site).await, Person::at(&site).await);
    keeping(&mallory, async {
        ada.enters("register", "Ada").await;
        mallory.is_refused("login", "Ada", NOTHING).await;
        mallory.enters("register", "Mallory").await;
        mallory.leaves().await;
        mallory.is_refused("login", "Ada", NOTHING).await;

        // With her own passkey in answer to the challenge for Ada's, whatever the page would do.
        mallory.enters("login", "Mallory").await;
        mallory.leaves().await;
        let own = mallory.overheard("login").await;
        assert_eq!(mallory.sends("/login", &json!(ADA)).await.0, 200);
        assert_eq!(mallory.sends("/login/finish", &own).await.0, 401);
        assert!(mallory.is_a_stranger().await);
    })
    .await;
}

#[actix_web::test]
async fn what_was_overheard_opens_nothing() {
    let site = Site::start();
    let (ada, mallory) = (Person::at(&site).await, Person::at(&site).await);
    keeping(&ada, async {
        ada.enters("register", "Ada").await;
        let registration = ada.overheard("register").await;
        ada.leaves().await;
        ada.enters("login", "Ada").await;
        let log_in = ada.overheard("login").await;
        ada.leaves().await;

        mallory.browser.open(&site.home).await;
        for thief in [&ada, &mallory] {
            for (path, overheard) in [("/register", &registration), ("/login", &log_in)] {
                let finish = format!("{path}/finish");
                let (status, says) = thief.sends(&finish, overheard).await;
                assert!(status == 400 && says.contains("not begun in this browser"), "{says}");
            }
            // Another challenge has begun: the signature is that of the old one.
            assert_eq!(thief.sends("/login", &json!(ADA)).await.0, 200);
            let (status, says) = thief.sends("/login/finish", &log_in).await;
            assert!(status == 401 && says.contains("does not open the account"), "{says}");
            assert!(thief.is_a_stranger().await);
        }
        ada.enters("login", "Ada").await;
    })
    .await;
}

#[actix_web::test]
async fn who_cancels_is_told_that_nothing_was_done_and_can_try_again() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.is_recognised(false).await;
        ada.is_refused("register", "Ada", NOTHING).await;
        ada.keeps_pictures("refused").await;
        ada.is_recognised(true).await;
        ada.enters("register", "Ada").await;
        ada.leaves().await;
        ada.is_recognised(false).await;
        ada.is_refused("login", "Ada", NOTHING).await;
        ada.is_recognised(true).await;
        ada.enters("login", "Ada").await;
    })
    .await;
}

#[actix_web::test]
async fn a_copy_of_a_passkey_that_is_behind_is_refused() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.enters("register", "Ada").await;
        let found = ada.device("getCredentials", json!({})).await;
        let mut copy = found["credentials"][0].clone();
        for _ in 0..3 {
            ada.leaves().await;
            ada.enters("login", "Ada").await;
        }
        ada.leaves().await;
        ada.device("clearCredentials", json!({})).await;
        ada.device("addCredential", json!({ "credential": copy })).await;
        ada.is_refused("login", "Ada", "does not open the account").await;

        // It is the counter that tells.
        copy["signCount"] = json!(100);
        ada.device("clearCredentials", json!({})).await;
        ada.device("addCredential", json!({ "credential": copy })).await;
        ada.enters("login", "Ada").await;
    })
    .await;
}

#[actix_web::test]
async fn a_name_is_given_once_and_an_unknown_one_is_said_to_be_so() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.is_refused("login", "Ada", "There is no account of this name.").await;
        ada.is_refused("register", " ", "A name has 1 to 40 characters.").await;
        ada.enters("register", "Ada").await;
        ada.leaves().await;
        ada.is_refused("register", "Ada", "This name is taken.").await;
    })
    .await;
}

#[actix_web::test]
async fn of_two_who_want_a_name_at_once_one_gets_it() {
    let site = Site::start();
    let (ada, late) = (Person::at(&site).await, Person::at(&site).await);
    keeping(&late, async {
        late.browser.open(&site.home).await;
        // Its last step waits until the other's is done.
        let wait = "
            const real = window.fetch;
            window.fetch = async (path, sent) => {
                if (path.endsWith('/finish')) await new Promise(go => { window.go = go });
                return real(path, sent);
            };";
        late.browser.script(wait).await;
        late.browser.type_in("[name=name]", "Ada").await;
        late.browser.click("button[value=register]").await;
        let waits = "while (!window.go) await new Promise(look => setTimeout(look, 20))";
        late.browser.async_script(waits).await;
        ada.enters("register", "Ada").await;
        late.browser.script("window.go()").await;
        late.is_told("Somebody was quicker with this name").await;
    })
    .await;
}

#[actix_web::test]
async fn a_browser_without_passkeys_is_told_so() {
    let site = Site::start();
    let ada = Person::at(&site).await;
    keeping(&ada, async {
        ada.browser.open(&site.home).await;
        ada.browser.script("delete window.PublicKeyCredential").await;
        ada.browser.type_in("[name=name]", "Ada").await;
        ada.browser.click("button[value=register]").await;
        ada.is_told("This browser has no passkeys").await;
    })
    .await;
}
