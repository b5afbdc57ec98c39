//! The app of this example. Its own tests run in `with_tests`.

use crate::{Example, submit};

#[test]
fn the_app_runs() {
    let example = Example::start("testing");
    let mut ada = example.visitor();
    assert_eq!(ada.get("/me").status, 401);
    let form = [("email", "ada@example.com"), ("password", "correct horse")];
    submit(&mut ada, "/", "/login", &form);
    assert_eq!(ada.get("/me").text, "ada@example.com");
    assert_eq!(ada.get("/admin").status, 403);
    submit(&mut ada, "/", "/logout", &[]);
    assert_eq!(ada.get("/me").status, 401);
}
