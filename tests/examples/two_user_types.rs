//! Customers and staff in one app.

use crate::{Example, submit};

#[test]
fn one_browser_logs_in_to_both_and_out_of_each_separately() {
    let example = Example::start("two_user_types");
    let mut both = example.visitor();
    submit(&mut both, "/", "/login", &[]);
    assert_eq!(both.get("/me").text, "Customer 1, Ada");
    assert_eq!(both.get("/staff/me").status, 401);
    submit(&mut both, "/staff/", "/staff/login", &[]);
    assert_eq!(both.get("/staff/me").text, "Employee 1, Grace");
    assert!(both.get("/").text.contains("Logged in as Ada"));
    assert!(both.get("/staff/").text.contains("Logged in as Grace"));

    submit(&mut both, ".", "/logout", &[]);
    assert_eq!(both.get("/me").status, 401);
    assert_eq!(both.get("/staff/me").text, "Employee 1, Grace");
    submit(&mut both, ".", "/staff/logout", &[]);
    assert_eq!(both.get("/staff/me").status, 401);
}

#[test]
fn the_token_of_one_user_type_is_not_valid_for_the_other() {
    let example = Example::start("two_user_types");
    for (log_in, own, (path, name)) in [
        ("/login", ("/me", "customer"), ("/staff/me", "employee")),
        ("/staff/login", ("/staff/me", "employee"), ("/me", "customer")),
    ] {
        let mut visitor = example.visitor();
        visitor.post(log_in, &[]);
        let token = visitor.cookie(own.1).unwrap().to_owned();
        assert_eq!((visitor.get(own.0).status, visitor.get(path).status), (200, 401));
        let forged = format!("{name}={token}");
        let answer = example.visitor().ask("GET", path, &[("Cookie", &forged)], "");
        assert_eq!(answer.status, 401, "{name}");
    }
}
