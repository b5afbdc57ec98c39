//! The app of the example; its own tests run in `with_tests`.

use crate::{Example, is_sent_to};

#[test]
fn it_is_an_app_that_runs_too() {
    let example = Example::start("testing");
    let mut ada = example.visitor();
    assert_eq!(ada.get("/me").status, 401);
    let form = [("email", "ada@example.com"), ("password", "correct horse")];
    is_sent_to(&mut ada, "/", "/login", &form);
    assert_eq!(ada.get("/me").text, "ada@example.com");
    assert_eq!(ada.get("/admin").status, 403);
    is_sent_to(&mut ada, "/", "/logout", &[]);
    assert_eq!(ada.get("/me").status, 401);
}
