//! Customers and staff beside each other.

use crate::{Example, is_sent_to};

#[test]
fn one_browser_is_logged_in_to_both_and_out_of_each_alone() {
    let example = Example::start("two_user_types");
    let mut both = example.visitor();
    is_sent_to(&mut both, "/", "/login", &[]);
    assert_eq!(both.get("/me").text, "Customer 1, Ada");
    assert_eq!(both.get("/staff/me").status, 401);
    is_sent_to(&mut both, "/staff/", "/staff/login", &[]);
    assert_eq!(both.get("/staff/me").text, "Employee 1, Grace");
    assert!(both.get("/").text.contains("Logged in as Ada"));
    assert!(both.get("/staff/").text.contains("Logged in as Grace"));

    is_sent_to(&mut both, ".", "/logout", &[]);
    assert_eq!(both.get("/me").status, 401);
    assert_eq!(both.get("/staff/me").text, "Employee 1, Grace");
    is_sent_to(&mut both, ".", "/staff/logout", &[]);
    assert_eq!(both.get("/staff/me").status, 401);
}

#[test]
fn the_cookie_of_a_customer_opens_nothing_of_staff_under_either_name() {
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
