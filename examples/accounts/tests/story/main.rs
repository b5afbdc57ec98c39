//! The app as its users see it: in Chromium, with two profiles as two devices, on each database.
//!
//! Pictures of the pages are left in `target/tmp/accounts/`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

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
    /// Starts it on this database, or on a new file of SQLite.
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

async fn story(app: &App, is_pictured: bool) {
    let laptop = Device::new(app.address, is_pictured).await;
    let phone = Device::new(app.address, is_pictured).await;
    let chapters = async {
        signing_up_and_in(&laptop).await;
        api::an_address_that_only_looks_alike_opens_no_account(app);
        devices(&laptop, &phone).await;
        a_new_password(&laptop, &phone).await;
        staff(&laptop, &phone).await;
        what_is_not_there(&phone).await;
        the_end(&laptop, &phone).await;
    };
    keeping_pictures(&[&laptop, &phone], Path::new(env!("CARGO_TARGET_TMPDIR")), chapters).await;
}

async fn signing_up_and_in(laptop: &Device) {
    laptop.open("/").await;
    laptop.picture("home-stranger").await;
    // Who wants to see a page is brought there once logged in.
    laptop.open("/devices").await;
    laptop.is_at("/login?next=%2Fdevices").await;
    laptop.picture("login").await;
    laptop.open("/sign-up").await;
    laptop.picture("sign-up").await;
    laptop.sign_up("Ada <Lovelace>", ADA).await;
    laptop.is_at("/").await;
    laptop.picture("home").await;
    laptop.open("/login").await;
    laptop.is_at("/").await;

    // The messages are shown once.
    laptop.open("/").await;
    assert!(!laptop.text().await.contains("Welcome"));

    laptop.click("nav button").await;
    laptop.reads("You are logged out.").await;
    laptop.open("/profile").await;
    laptop.is_at("/login?next=%2Fprofile").await;
    for (email, password) in [(ADA, "wrong"), ("nobody@example.com", PASSWORD)] {
        // Opened anew: the page before says the same.
        laptop.open("/login?next=%2Fprofile").await;
        laptop.submit(&[("email", email), ("password", password)]).await;
        laptop.reads("Wrong e-mail or password.").await;
    }
    laptop.picture("log-in-wrong").await;
    laptop.open("/login?next=%2Fprofile").await;
    // By the keyboard alone: the address is kept, the cursor stands in the password, which is read
    // aloud with what is wrong.
    laptop.submit(&[("email", ADA), ("password", "wrong")]).await;
    laptop.reads("Wrong e-mail or password.").await;
    let script = "const at = document.activeElement; return [at.id, document.getElementById('email')\
        .value, document.getElementById(at.getAttribute('aria-describedby'))?.innerText].join()";
    let expected = format!("password,{ADA},Wrong e-mail or password.");
    laptop.comes_to(script, |given| given == expected).await;
    let stay = [Key::Tab.into(), ' ', Key::Tab.into(), Key::Enter.into()];
    let keys: String = PASSWORD.chars().chain(stay).collect();
    laptop.type_in("#password", &keys).await;
    laptop.is_at("/profile").await;
    laptop.reads("Ada <Lovelace>").await;
    laptop.picture("profile").await;
    let cookie = laptop.client.get_named_cookie("session").await.unwrap();
    assert!(cookie.expires_datetime().is_some(), "she stays logged in");
}

async fn devices(laptop: &Device, phone: &Device) {
    phone.log_in(ADA, PASSWORD).await;
    let cookie = phone.client.get_named_cookie("session").await.unwrap();
    assert_eq!(cookie.expires_datetime(), None, "until the browser is closed");
    phone.open("/live").await;
    phone.reads("The session lives").await;
    phone.picture("live").await;

    laptop.open("/devices").await;
    laptop.reads("Chrome on Linux").await;
    laptop.picture("devices").await;
    let script = "return document.querySelectorAll('.device').length";
    assert_eq!(laptop.script(script).await, 2);
    laptop.click(".device:not(:has(.mark)) button").await;
    laptop.reads("That device is logged out.").await;
    // Nobody has touched the phone.
    phone.reads("The session has ended").await;
    phone.picture("live-ended").await;
    phone.open("/profile").await;
    phone.is_at("/login?next=%2Fprofile").await;

    phone.log_in(ADA, PASSWORD).await;
    laptop.open("/devices").await;
    laptop.click("form[action$=end-others] button").await;
    laptop.reads("All other devices are logged out.").await;
    assert_eq!(laptop.script(script).await, 1);
    phone.open("/profile").await;
    phone.is_at("/login?next=%2Fprofile").await;
}

async fn a_new_password(laptop: &Device, phone: &Device) {
    phone.log_in(ADA, PASSWORD).await;
    let before = laptop.client.get_named_cookie("session").await.unwrap();
    laptop.open("/profile").await;
    laptop.submit(&[("password", "wrong"), ("new-password", NEW_PASSWORD)]).await;
    laptop.reads("Wrong e-mail or password.").await;
    let script = "return document.activeElement.getAttribute('aria-describedby')";
    laptop.comes_to(script, |given| given == "error").await;
    phone.open("/profile").await;
    phone.is_at("/profile").await;

    laptop.submit(&[("password", PASSWORD), ("new-password", NEW_PASSWORD)]).await;
    laptop.reads("Your password is changed").await;
    laptop.picture("profile-changed").await;
    let after = laptop.client.get_named_cookie("session").await.unwrap();
    assert_ne!(before.value(), after.value(), "a new token");
    assert!(after.expires_datetime().is_some(), "that stays as long as the old one");
    phone.open("/profile").await;
    phone.is_at("/login?next=%2Fprofile").await;
}

async fn staff(laptop: &Device, phone: &Device) {
    phone.sign_up("Bo", BO).await;
    assert!(!phone.text().await.contains("Admin"));
    phone.open("/admin").await;
    phone.reads("This is not for you").await;
    phone.picture("forbidden").await;

    laptop.open("/admin").await;
    laptop.picture("admin").await;
    laptop.click(".device button").await;
    laptop.reads("Hello, Bo").await;
    laptop.reads("You see the app as Bo does.").await;
    laptop.picture("acting").await;
    laptop.open("/admin").await;
    laptop.reads("This is not for you").await;
    // What asks for a recent login stays closed.
    laptop.open("/profile/delete").await;
    laptop.reads("This is not for you").await;
    phone.open("/devices").await;
    phone.reads("staff who act as you").await;
    phone.picture("devices-acting").await;

    laptop.open("/").await;
    laptop.click(".banner button").await;
    laptop.reads("You are yourself again.").await;
    laptop.is_at("/admin").await;
    phone.open("/devices").await;
    assert!(!phone.text().await.contains("staff"), "and it is over");
}

async fn what_is_not_there(phone: &Device) {
    phone.open("/no-such-page").await;
    phone.reads("There is no such page").await;
    phone.picture("not-found").await;
}

async fn the_end(laptop: &Device, phone: &Device) {
    phone.open("/confirm?next=%2Fprofile%2Fdelete").await;
    phone.picture("confirm").await;
    phone.submit(&[("password", "wrong")]).await;
    phone.reads("Wrong e-mail or password.").await;
    phone.submit(&[("password", PASSWORD)]).await;
    phone.is_at("/profile/delete").await;
    phone.picture("delete").await;
    phone.click("main button").await;
    phone.reads("Your account is deleted.").await;
    phone.open("/login").await;
    phone.submit(&[("email", BO), ("password", PASSWORD)]).await;
    phone.reads("Wrong e-mail or password.").await;
    laptop.open("/admin").await;
    assert!(!laptop.text().await.contains(BO));
}
