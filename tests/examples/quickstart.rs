//! A login with a password, and its end.

use crate::{Example, is_sent_to};

const ADA: &str = "ada@example.com";

#[test]
fn who_logs_in_is_known_until_they_log_out_also_after_a_new_start() {
    let mut example = Example::start("quickstart");
    let mut ada = example.visitor();
    assert_eq!(ada.ask("GET", "/me", &[], "").status, 401, "as a program");
    assert_eq!(ada.get("/me").location(), Some("/login?next=%2Fme"));
    assert_eq!(ada.get("/login?next=%2Fme").status, 200);
    let form = [("email", ADA), ("password", "correct-horse-battery-staple")];
    is_sent_to(&mut ada, "/me", "/login?next=%2Fme", &form);
    is_sent_to(&mut ada, "/", "/login", &form);
    assert!(ada.get("/").text.contains(ADA));
    assert_eq!(ada.get("/me").text, format!(r#"{{"id":1,"email":"{ADA}"}}"#));

    example.start_again();
    let mut ada = example.visitor().with_cookies_of(&ada);
    let mut thief = ada.clone();
    assert_eq!(ada.get("/me").status, 200);
    is_sent_to(&mut ada, "/", "/logout", &[]);
    assert_eq!((ada.get("/me").status, ada.cookie("session")), (303, None));
    assert_eq!((thief.get("/me").status, thief.cookie("session").is_some()), (303, true));
}

#[test]
fn a_wrong_password_is_answered_as_an_unknown_address_is() {
    let example = Example::start("quickstart");
    let mut stranger = example.visitor();
    let mut refused = |email| stranger.post("/login", &[("email", email), ("password", "wrong")]);
    let [wrong, unknown] = [refused(ADA), refused("nobody@example.com")];
    assert_eq!((wrong.status, &wrong.text), (401, &unknown.text));
    assert_eq!((unknown.status, stranger.cookie("session")), (401, None));
}
