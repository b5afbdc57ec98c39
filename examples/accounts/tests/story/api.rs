//! The same app for programs, and for those who try passwords.

use programs::{Answer, Visitor};
use serde_json::{Value, json};

use crate::{ADA, App, PASSWORD};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn sign_up(visitor: &mut Visitor, email: &str) -> Answer {
    visitor.post("/sign-up", &[("name", "Ada"), ("email", email), ("password", PASSWORD)])
}

fn ask_token(visitor: &mut Visitor, email: &str, password: &str) -> Answer {
    let credentials = json!({ "email": email, "password": password }).to_string();
    visitor.ask("POST", "/api/login", &[JSON], &credentials)
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("{answer:?}"))
}

#[test]
fn programs_are_served_by_cookie_and_by_bearer_token() {
    let app = App::start(None);
    let (mut browser, mut program) = (Visitor::new(app.address), Visitor::new(app.address));
    assert_eq!(program.ask("GET", "/api/me", &[], "").status, 401);
    assert_eq!(sign_up(&mut browser, ADA).status, 303);

    let token = read(&ask_token(&mut program, ADA, PASSWORD));
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let bearer = [("Authorization", &*bearer)];
    let me = json!({ "id": 1, "name": "Ada", "email": ADA, "is_admin": true });
    assert_eq!(read(&program.ask("GET", "/api/me", &bearer, "")), me);
    assert_eq!(read(&browser.get("/api/me")), me, "without the hash of the password");
    assert_eq!(program.cookie("session"), None);

    let sessions = read(&browser.get("/api/sessions"));
    let others =
        sessions.as_array().unwrap().iter().filter(|session| session["is_current"] == false);
    let [other] = others.collect::<Vec<_>>()[..] else { panic!("{sessions}") };
    let path = format!("/devices/{}/end", other["id"].as_str().unwrap());
    assert_eq!(browser.post(&path, &[]).status, 303);
    assert_eq!(program.ask("GET", "/api/me", &bearer, "").status, 401);
}

#[test]
fn an_unknown_address_and_a_wrong_password_are_answered_alike() {
    let app = App::start(None);
    let mut visitor = Visitor::new(app.address);
    sign_up(&mut visitor, ADA);
    let answers = [(ADA, "wrong"), ("nobody@example.com", PASSWORD)].map(|(email, password)| {
        let page =
            Visitor::new(app.address).post("/login", &[("email", email), ("password", password)]);
        let mut headers = page.headers;
        headers.retain(|(name, _)| name != "date" && name != "content-length");
        let api = ask_token(&mut Visitor::new(app.address), email, password);
        (page.status, headers, page.text.replace(email, ""), api.status, api.text)
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!((answers[0].0, answers[0].3), (401, 401));
}

#[test]
fn the_eleventh_try_at_one_account_is_told_to_wait_and_a_right_password_does_not_help() {
    let app = App::start(None);
    let mut visitor = Visitor::new(app.address);
    sign_up(&mut visitor, ADA);
    let mut stranger = Visitor::new(app.address);
    // The sign-up was the first of ten.
    for _ in 0..9 {
        assert_eq!(ask_token(&mut stranger, ADA, "wrong").status, 401);
    }
    let spelled_otherwise = [" ADA@example.com", ADA];
    for email in spelled_otherwise {
        let refused = ask_token(&mut stranger, email, PASSWORD);
        assert_eq!(refused.status, 429);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=120).contains(&wait), "{wait}");
    }
    let form = [("email", ADA), ("password", PASSWORD)];
    let page = stranger.post("/login", &form);
    assert!(
        page.status == 429 && page.text.contains("Too many tries. Wait for two minutes."),
        "{page:?}"
    );
    assert_eq!(visitor.get("/profile").status, 200, "who is logged in stays so");
    let other = "bo@example.com";
    assert_eq!(ask_token(&mut stranger, other, "wrong").status, 401, "nobody else is held up");
}

/// On each database: some take letters for equal that are not.
pub fn an_address_that_only_looks_alike_opens_no_account(app: &App) {
    for email in ["\u{e0}da@example.com", "ada@example.com\u{200b}", "ada@ex\u{e4}mple.com"] {
        let answer = ask_token(&mut Visitor::new(app.address), email, PASSWORD);
        assert_eq!(answer.status, 401, "{email:?}");
    }
}

#[test]
fn what_is_too_long_to_be_right_is_wrong_and_not_kept_to_be_counted() {
    let app = App::start(None);
    let mut stranger = Visitor::new(app.address);
    let (email, password) = (format!("{}@example.com", "a".repeat(250)), "a".repeat(1025));
    for (email, password) in [(&*email, PASSWORD), (ADA, &*password)] {
        for _ in 0..11 {
            assert_eq!(ask_token(&mut stranger, email, password).status, 401);
        }
    }
}

#[test]
fn who_signs_up_again_and_again_is_told_to_wait() {
    let app = App::start(None);
    let answers = (0..11).map(|_| sign_up(&mut Visitor::new(app.address), ADA).status);
    let answers: Vec<_> = answers.collect();
    assert_eq!((answers[0], &answers[1..10], answers[10]), (303, &[409; 9][..], 429));
}

#[test]
fn a_new_password_is_neither_short_nor_endless() {
    let app = App::start(None);
    for (number, (password, status)) in [
        ("a".repeat(14), 422),
        ("a".repeat(15), 303),
        ("\u{e4}".repeat(14), 422),
        ("\u{e4}".repeat(15), 303),
        ("a".repeat(1024), 303),
        ("a".repeat(1025), 422),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("{number}@example.com");
        let form = [("name", "Ada"), ("email", &*email), ("password", &*password)];
        assert_eq!(Visitor::new(app.address).post("/sign-up", &form).status, status, "{password}");
    }
}

#[test]
fn a_form_that_is_not_filled_in_right_is_shown_again_with_what_was_written() {
    let app = App::start(None);
    let mut visitor = Visitor::new(app.address);
    sign_up(&mut visitor, ADA);
    let mut stranger = Visitor::new(app.address);
    for (email, password, status, says) in [
        ("bo@example.com", "too short", 422, "at least 15 characters"),
        ("no address", PASSWORD, 422, "an e-mail address"),
        (ADA, PASSWORD, 409, "has an account"),
        (" ADA@example.com ", PASSWORD, 409, "has an account"),
    ] {
        let form = [("name", "B & O"), ("email", email), ("password", password)];
        let page = stranger.post("/sign-up", &form);
        assert_eq!(page.status, status, "{email}");
        assert!(page.text.contains(says) && page.text.contains("B &#38; O"), "{}", page.text);
        assert!(!page.text.contains(password), "a password is never shown");
    }
    assert_eq!(stranger.cookie("session"), None);
}

#[test]
fn pages_are_for_this_site_alone() {
    let app = App::start(None);
    let mut visitor = Visitor::new(app.address);
    let home = visitor.get("/");
    let policy = home.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let elsewhere = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    let refused = visitor.ask("POST", "/logout", &elsewhere, "");
    assert!(refused.status == 403 && refused.text.contains("another site"), "{refused:?}");
}
