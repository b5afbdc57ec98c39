//! Sessions in a file.

use crate::{Example, submit};

#[test]
fn logins_and_logouts_survive_a_killed_process() {
    let mut example = Example::start("custom_store");
    let mut ada = example.visitor();
    submit(&mut ada, "/", "/login", &[]);
    example.restart();
    let mut ada = example.visitor().with_cookies_of(&ada);
    assert!(ada.get("/").text.contains("Logged in as Ada"));

    let mut thief = ada.clone();
    submit(&mut ada, "/", "/logout", &[]);
    assert!(thief.get("/").text.contains("Log in as Ada"));
    example.restart();
    let mut thief = example.visitor().with_cookies_of(&thief);
    assert!(thief.get("/").text.contains("Log in as Ada"));
}
