//! Login with a password, and logout.

use crate::{Example, submit};

const ADA: &str = "ada@example.com";

#[test]
fn a_user_is_logged_in_until_they_log_out_even_after_a_restart() {
    let mut example = Example::start("quickstart");
    let mut ada = example.visitor();
    assert_eq!(
        ada.ask("GET", "/me", &[], "").status,
        401,
        "a program gets 401, a browser a redirect"
    );
    assert_eq!(ada.get("/me").location(), Some("/login?next=%2Fme"));
    assert_eq!(ada.get("/login?next=%2Fme").status, 200);
    let form = [("email", ADA), ("password", "correct-horse-battery-staple")];
    submit(&mut ada, "/me", "/login?next=%2Fme", &form);
    submit(&mut ada, "/", "/login", &form);
    assert!(ada.get("/").text.contains(ADA));
    assert_eq!(ada.get("/me").text, format!(r#"{{"id":1,"email":"{ADA}"}}"#));

    example.restart();
    let mut ada = example.visitor().with_cookies_of(&ada);
    let mut thief = ada.clone();
    assert_eq!(ada.get("/me").status, 200);
    submit(&mut ada, "/", "/logout", &[]);
    assert_eq!((ada.get("/me").status, ada.cookie("session")), (303, None));
    assert_eq!((thief.get("/me").status, thief.cookie("session").is_some()), (303, true));
}

#[test]
fn a_wrong_password_and_an_unknown_address_get_the_same_response() {
    let example = Example::start("quickstart");
    let mut visitor = example.visitor();
    let mut refused = |email| visitor.post("/login", &[("email", email), ("password", "wrong")]);
    let [wrong, unknown] = [refused(ADA), refused("nobody@example.com")];
    assert_eq!((wrong.status, &wrong.text), (401, &unknown.text));
    assert_eq!((unknown.status, visitor.cookie("session")), (401, None));
}
