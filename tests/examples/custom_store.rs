//! Sessions in a file of the app's own.

use crate::{Example, is_sent_to};

#[test]
fn what_was_answered_outlives_a_process_that_is_killed() {
    let mut example = Example::start("custom_store");
    let mut ada = example.visitor();
    is_sent_to(&mut ada, "/", "/login", &[]);
    example.start_again();
    let mut ada = example.visitor().with_cookies_of(&ada);
    assert!(ada.get("/").text.contains("Logged in as Ada"));

    let mut thief = ada.clone();
    is_sent_to(&mut ada, "/", "/logout", &[]);
    assert!(thief.get("/").text.contains("Log in as Ada"));
    example.start_again();
    let mut thief = example.visitor().with_cookies_of(&thief);
    assert!(thief.get("/").text.contains("Log in as Ada"));
}
