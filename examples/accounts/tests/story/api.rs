//! The JSON API, rate limits and invalid input, over HTTP.

use programs::{Answer, Visitor};
use serde_json::{Value, json};

use crate::{ADA, App, PASSWORD};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn sign_up(visitor: &mut Visitor, email: &str) -> Answer {
    visitor.post("/sign-up", &[("name", "Ada"), ("email", email), ("password", PASSWORD)])
}

fn request_token(visitor: &mut Visitor, email: &str, password: &str) -> Answer {
    let credentials = json!({ "email": email, "password": password }).to_string();
    visitor.ask("POST", "/api/login", &[JSON], &credentials)
}

fn read(response: &Answer) -> Value {
    serde_json::from_str(&response.text).unwrap_or_else(|_| panic!("{response:?}"))
}

#[test]
fn the_api_accepts_a_cookie_or_a_bearer_token() {
    let app = App::start(None);
    let (mut browser, mut program) = (Visitor::new(app.address), Visitor::new(app.address));
    assert_eq!(program.ask("GET", "/api/me", &[], "").status, 401);
    assert_eq!(sign_up(&mut browser, ADA).status, 303);

    let token = read(&request_token(&mut program, ADA, PASSWORD));
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let bearer = [("Authorization", &*bearer)];
    let me = json!({ "id": 1, "name": "Ada", "email": ADA, "is_admin": true });
    assert_eq!(read(&program.ask("GET", "/api/me", &bearer, "")), me);
    assert_eq!(read(&browser.get("/api/me")), me, "without the password hash");
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
    let responses = [(ADA, "wrong"), ("nobody@example.com", PASSWORD)].map(|(email, password)| {
        let page =
            Visitor::new(app.address).post("/login", &[("email", email), ("password", password)]);
        let mut headers = page.headers;
        headers.retain(|(name, _)| name != "date" && name != "content-length");
        let api = request_token(&mut Visitor::new(app.address), email, password);
        (page.status, headers, page.text.replace(email, ""), api.status, api.text)
    });
    assert_eq!(responses[0], responses[1]);
    assert_eq!((responses[0].0, responses[0].3), (401, 401));
}

#[test]
fn the_eleventh_try_at_one_account_is_told_to_wait_and_a_right_password_does_not_help() {
    let app = App::start(None);
    let mut visitor = Visitor::new(app.address);
    sign_up(&mut visitor, ADA);
    let mut attacker = Visitor::new(app.address);
    // The sign-up was the first of ten.
    for _ in 0..9 {
        assert_eq!(request_token(&mut attacker, ADA, "wrong").status, 401);
    }
    let spellings = [" ADA@example.com", ADA];
    for email in spellings {
        let refused = request_token(&mut attacker, email, PASSWORD);
        assert_eq!(refused.status, 429);
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=120).contains(&wait), "{wait}");
    }
    let form = [("email", ADA), ("password", PASSWORD)];
    let page = attacker.post("/login", &form);
    assert!(
        page.status == 429 && page.text.contains("Too many attempts. Wait two minutes"),
        "{page:?}"
    );
    assert_eq!(visitor.get("/profile").status, 200, "existing sessions are not affected");
    let other = "bo@example.com";
    assert_eq!(
        request_token(&mut attacker, other, "wrong").status,
        401,
        "other accounts are not affected"
    );
}

/// Run on each database: some collations treat different letters as equal.
pub fn a_lookalike_address_does_not_log_in(app: &App) {
    for email in ["\u{e0}da@example.com", "ada@example.com\u{200b}", "ada@ex\u{e4}mple.com"] {
        let response = request_token(&mut Visitor::new(app.address), email, PASSWORD);
        assert_eq!(response.status, 401, "{email:?}");
    }
}

#[test]
fn credentials_that_are_too_long_are_wrong_and_not_counted() {
    let app = App::start(None);
    let mut attacker = Visitor::new(app.address);
    let (email, password) = (format!("{}@example.com", "a".repeat(250)), "a".repeat(1025));
    for (email, password) in [(&*email, PASSWORD), (ADA, &*password)] {
        for _ in 0..11 {
            assert_eq!(request_token(&mut attacker, email, password).status, 401);
        }
    }
}

#[test]
fn who_signs_up_again_and_again_is_told_to_wait() {
    let app = App::start(None);
    let responses = (0..11).map(|_| sign_up(&mut Visitor::new(app.address), ADA).status);
    let responses: Vec<_> = responses.collect();
    assert_eq!((responses[0], &responses[1..10], responses[10]), (303, &[409; 9][..], 429));
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
fn an_invalid_form_is_shown_again_with_its_input() {
    let app = App::start(None);
    let mut visitor = Visitor::new(app.address);
    sign_up(&mut visitor, ADA);
    let mut other = Visitor::new(app.address);
    for (email, password, status, says) in [
        ("bo@example.com", "too short", 422, "at least 15 characters"),
        ("no address", PASSWORD, 422, "a valid e-mail address"),
        (ADA, PASSWORD, 409, "already exists"),
        (" ADA@example.com ", PASSWORD, 409, "already exists"),
    ] {
        let form = [("name", "B & O"), ("email", email), ("password", password)];
        let page = other.post("/sign-up", &form);
        assert_eq!(page.status, status, "{email}");
        assert!(page.text.contains(says) && page.text.contains("B &#38; O"), "{}", page.text);
        assert!(!page.text.contains(password), "a password is never shown");
    }
    assert_eq!(other.cookie("session"), None);
}

#[test]
fn other_sites_can_neither_frame_the_pages_nor_submit_forms() {
    let app = App::start(None);
    let mut visitor = Visitor::new(app.address);
    let home = visitor.get("/");
    let policy = home.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let cross_site = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")];
    let refused = visitor.ask("POST", "/logout", &cross_site, "");
    assert!(refused.status == 403 && refused.text.contains("another site"), "{refused:?}");
}
