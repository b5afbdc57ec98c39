//! The app as its users see it: in Chromium, with two profiles as two devices, on each database.
//!
//! Screenshots of the pages are saved in `target/tmp/accounts/`.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod api;
mod database;
mod device;

use std::{net::SocketAddr, path::Path, process::Command};

use database::{Database, MYSQL, POSTGRES};
use device::{Device, PASSWORD};
use programs::{Program, fantoccini::key::Key, keeping_pictures};
use tempfile::TempDir;

const ADA: &str = "ada@example.com";
const BO: &str = "bo@example.com";
const NEW_PASSWORD: &str = "four-other-words-than-before";

/// The app, until it is dropped.
#[derive(Debug)]
struct App {
    address: SocketAddr,
    _program: Program,
    _place: TempDir,
}

impl App {
    /// Starts it on this database, or on a new SQLite file.
    fn start(database: Option<&Database>) -> Self {
        let place = TempDir::new().unwrap();
        let file = || format!("sqlite://{}", place.path().join("app.db").display());
        let url = database.map_or_else(file, Database::url);
        let command = |address: SocketAddr| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_accounts"));
            command.env("ADDR", address.to_string()).env("DATABASE_URL", &url);
            command
        };
        let (program, address) = Program::listening(command, &place.path().join("log"));
        Self { address, _program: program, _place: place }
    }
}

#[actix_web::test]
async fn the_story_on_sqlite() {
    story(&App::start(None), true).await;
}

#[actix_web::test]
async fn the_story_on_postgres() {
    let database = Database::on(POSTGRES).await;
    story(&App::start(Some(&database)), false).await;
}

#[actix_web::test]
async fn the_story_on_mysql() {
    let database = Database::on(MYSQL).await;
    story(&App::start(Some(&database)), false).await;
}

async fn story(app: &App, takes_screenshots: bool) {
    let laptop = Device::new(app.address, takes_screenshots).await;
    let phone = Device::new(app.address, takes_screenshots).await;
    let chapters = async {
        sign_up_and_log_in(&laptop).await;
        api::a_lookalike_address_does_not_log_in(app);
        log_out_devices(&laptop, &phone).await;
        change_password(&laptop, &phone).await;
        impersonation(&laptop, &phone).await;
        not_found(&phone).await;
        delete_account(&laptop, &phone).await;
    };
    keeping_pictures(&[&laptop, &phone], Path::new(env!("CARGO_TARGET_TMPDIR")), chapters).await;
}

async fn sign_up_and_log_in(laptop: &Device) {
    laptop.open("/").await;
    laptop.screenshot("home-logged-out").await;
    // The login page leads back to the page that was requested.
    laptop.open("/devices").await;
    laptop.is_at("/login?next=%2Fdevices").await;
    laptop.screenshot("login").await;
    laptop.open("/sign-up").await;
    laptop.screenshot("sign-up").await;
    laptop.sign_up("Ada <Lovelace>", ADA).await;
    laptop.is_at("/").await;
    laptop.screenshot("home").await;
    laptop.open("/login").await;
    laptop.is_at("/").await;

    // Flash messages are shown only once.
    laptop.open("/").await;
    assert!(!laptop.text().await.contains("Welcome"));

    laptop.click("nav button").await;
    laptop.reads("You have been logged out.").await;
    laptop.open("/profile").await;
    laptop.is_at("/login?next=%2Fprofile").await;
    for (email, password) in [(ADA, "wrong"), ("nobody@example.com", PASSWORD)] {
        // Opened again, because the previous page shows the same message.
        laptop.open("/login?next=%2Fprofile").await;
        laptop.submit(&[("email", email), ("password", password)]).await;
        laptop.reads("Wrong e-mail or password.").await;
    }
    laptop.screenshot("log-in-wrong").await;
    laptop.open("/login?next=%2Fprofile").await;
    // By keyboard only: the e-mail address is kept, and the password field has the focus and is
    // described by the error.
    laptop.submit(&[("email", ADA), ("password", "wrong")]).await;
    laptop.reads("Wrong e-mail or password.").await;
    let script = "const at = document.activeElement; return [at.id, document.getElementById('email')\
        .value, document.getElementById(at.getAttribute('aria-describedby'))?.innerText].join()";
    let expected = format!("password,{ADA},Wrong e-mail or password.");
    laptop.comes_to(script, |result| result == expected).await;
    let stay = [Key::Tab.into(), ' ', Key::Tab.into(), Key::Enter.into()];
    let keys: String = PASSWORD.chars().chain(stay).collect();
    laptop.type_in("#password", &keys).await;
    laptop.is_at("/profile").await;
    laptop.reads("Ada <Lovelace>").await;
    laptop.screenshot("profile").await;
    let cookie = laptop.client.get_named_cookie("session").await.unwrap();
    assert!(cookie.expires_datetime().is_some(), "she stays logged in");
}

async fn log_out_devices(laptop: &Device, phone: &Device) {
    phone.log_in(ADA, PASSWORD).await;
    let cookie = phone.client.get_named_cookie("session").await.unwrap();
    assert_eq!(cookie.expires_datetime(), None, "until the browser is closed");
    phone.open("/live").await;
    phone.reads("The session is active").await;
    phone.screenshot("live").await;

    laptop.open("/devices").await;
    laptop.reads("Chrome on Linux").await;
    laptop.screenshot("devices").await;
    let script = "return document.querySelectorAll('.device').length";
    assert_eq!(laptop.script(script).await, 2);
    laptop.click(".device:not(:has(.mark)) button").await;
    laptop.reads("The device has been logged out.").await;
    // Without any action on the phone.
    phone.reads("The session has ended").await;
    phone.screenshot("live-ended").await;
    phone.open("/profile").await;
    phone.is_at("/login?next=%2Fprofile").await;

    phone.log_in(ADA, PASSWORD).await;
    laptop.open("/devices").await;
    laptop.click("form[action$=end-others] button").await;
    laptop.reads("All other devices have been logged out.").await;
    assert_eq!(laptop.script(script).await, 1);
    phone.open("/profile").await;
    phone.is_at("/login?next=%2Fprofile").await;
}

async fn change_password(laptop: &Device, phone: &Device) {
    phone.log_in(ADA, PASSWORD).await;
    let before = laptop.client.get_named_cookie("session").await.unwrap();
    laptop.open("/profile").await;
    laptop.submit(&[("password", "wrong"), ("new-password", NEW_PASSWORD)]).await;
    laptop.reads("Wrong e-mail or password.").await;
    let script = "return document.activeElement.getAttribute('aria-describedby')";
    laptop.comes_to(script, |result| result == "error").await;
    phone.open("/profile").await;
    phone.is_at("/profile").await;

    laptop.submit(&[("password", PASSWORD), ("new-password", NEW_PASSWORD)]).await;
    laptop.reads("Your password has been changed").await;
    laptop.screenshot("profile-changed").await;
    let after = laptop.client.get_named_cookie("session").await.unwrap();
    assert_ne!(before.value(), after.value(), "a new token");
    assert!(after.expires_datetime().is_some(), "still a persistent cookie");
    phone.open("/profile").await;
    phone.is_at("/login?next=%2Fprofile").await;
}

async fn impersonation(laptop: &Device, phone: &Device) {
    phone.sign_up("Bo", BO).await;
    assert!(!phone.text().await.contains("Admin"));
    phone.open("/admin").await;
    phone.reads("Access denied").await;
    phone.screenshot("forbidden").await;

    laptop.open("/admin").await;
    laptop.screenshot("admin").await;
    laptop.click(".device button").await;
    laptop.reads("Hello, Bo").await;
    laptop.reads("You are using the app as Bo.").await;
    laptop.screenshot("impersonating").await;
    laptop.open("/admin").await;
    laptop.reads("Access denied").await;
    // Pages that require a recent login are refused.
    laptop.open("/profile/delete").await;
    laptop.reads("Access denied").await;
    phone.open("/devices").await;
    phone.reads("staff impersonating you").await;
    phone.screenshot("devices-impersonated").await;

    laptop.open("/").await;
    laptop.click(".banner button").await;
    laptop.reads("You have stopped impersonating.").await;
    laptop.is_at("/admin").await;
    phone.open("/devices").await;
    assert!(!phone.text().await.contains("staff"), "the impersonation has ended");
}

async fn not_found(phone: &Device) {
    phone.open("/no-such-page").await;
    phone.reads("Page not found").await;
    phone.screenshot("not-found").await;
}

async fn delete_account(laptop: &Device, phone: &Device) {
    phone.open("/confirm?next=%2Fprofile%2Fdelete").await;
    phone.screenshot("confirm").await;
    phone.submit(&[("password", "wrong")]).await;
    phone.reads("Wrong e-mail or password.").await;
    phone.submit(&[("password", PASSWORD)]).await;
    phone.is_at("/profile/delete").await;
    phone.screenshot("delete").await;
    phone.click("main button").await;
    phone.reads("Your account has been deleted.").await;
    phone.open("/login").await;
    phone.submit(&[("email", BO), ("password", PASSWORD)]).await;
    phone.reads("Wrong e-mail or password.").await;
    laptop.open("/admin").await;
    assert!(!laptop.text().await.contains(BO));
}
