//! Sessions in a database that several processes share.

use std::process::{Command, Output};

use programs::{Visitor, examples_binary};
use sqlx::Postgres;

use crate::{
    Example,
    servers::{Server, TestDatabase},
    submit,
};

const OLD: &str = "correct-horse-battery-staple";
const NEW: &str = "another-horse-another-staple";

fn node(database: &TestDatabase<Postgres>, arguments: &'static [&str]) -> Example {
    Example::with("postgres", &[("DATABASE_URL", database.url())], arguments)
}

/// Runs the program to its end and returns its output.
fn run(database: &TestDatabase<Postgres>, argument: &str) -> Output {
    let mut program = Command::new(examples_binary("postgres"));
    program.arg(argument).env("DATABASE_URL", database.url()).output().unwrap()
}

fn log_in(visitor: &mut Visitor, password: &str) -> u16 {
    visitor.post("/login", &[("email", "ada@example.com"), ("password", password)]).status
}

/// Whether the page is that of a logged-in user.
fn is_logged_in(visitor: &mut Visitor) -> bool {
    visitor.get("/").text.contains("/password")
}

#[actix_web::test]
async fn a_new_password_ends_other_sessions_on_all_nodes_and_replaces_the_token() {
    let database = TestDatabase::<Postgres>::new().await;
    let [first, second] = [node(&database, &[]), node(&database, &[])];
    let (mut here, mut there) = (first.visitor(), second.visitor());
    assert_eq!((log_in(&mut here, OLD), log_in(&mut there, OLD)), (303, 303));
    let mut here_before = second.visitor().with_cookies_of(&here);
    assert!(is_logged_in(&mut here_before) && is_logged_in(&mut there));

    let wrong = here.post("/password", &[("old", "wrong"), ("new", NEW)]);
    assert_eq!(wrong.status, 401);
    assert!(is_logged_in(&mut there), "nothing has changed");

    submit(&mut here, "/", "/password", &[("old", OLD), ("new", NEW)]);
    assert!(is_logged_in(&mut here));
    assert!(is_logged_in(&mut second.visitor().with_cookies_of(&here)));
    assert!(!is_logged_in(&mut here_before) && !is_logged_in(&mut there));
    assert_eq!((log_in(&mut there, OLD), log_in(&mut there, NEW)), (401, 303));
}

#[actix_web::test]
async fn tables_of_a_migration_tool_are_checked_at_startup() {
    let database = TestDatabase::<Postgres>::new().await;
    let refused = run(&database, "check");
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && error.contains("user_sessions"), "{error}");

    let migration = run(&database, "migration-sql");
    assert!(migration.status.success(), "{migration:?}");
    Postgres::run(&database.url(), String::from_utf8(migration.stdout).unwrap()).await.unwrap();
    let node = node(&database, &["check"]);
    assert_eq!(log_in(&mut node.visitor(), OLD), 303);
}
