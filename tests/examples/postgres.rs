//! Sessions in a database that several processes share.

use std::process::{Command, Output};

use programs::{Visitor, examples_binary};
use sqlx::Postgres;

use crate::{
    Example, is_sent_to,
    servers::{Server, TestDatabase},
};

const OLD: &str = "correct-horse-battery-staple";
const NEW: &str = "another-horse-another-staple";

fn node(database: &TestDatabase<Postgres>, arguments: &'static [&str]) -> Example {
    Example::with("postgres", &[("DATABASE_URL", database.url())], arguments)
}

/// What the program says and how it ends, where it does not go on to serve.
fn run(database: &TestDatabase<Postgres>, argument: &str) -> Output {
    let mut program = Command::new(examples_binary("postgres"));
    program.arg(argument).env("DATABASE_URL", database.url()).output().unwrap()
}

fn logs_in(visitor: &mut Visitor, password: &str) -> u16 {
    visitor.post("/login", &[("email", "ada@example.com"), ("password", password)]).status
}

/// Whether the page is that of somebody logged in.
fn is_known(visitor: &mut Visitor) -> bool {
    visitor.get("/").text.contains("/password")
}

#[actix_web::test]
async fn a_new_password_ends_the_other_sessions_on_every_node_and_the_own_token() {
    let database = TestDatabase::<Postgres>::new().await;
    let [first, second] = [node(&database, &[]), node(&database, &[])];
    let (mut here, mut there) = (first.visitor(), second.visitor());
    assert_eq!((logs_in(&mut here, OLD), logs_in(&mut there, OLD)), (303, 303));
    let mut here_before = second.visitor().with_cookies_of(&here);
    assert!(is_known(&mut here_before) && is_known(&mut there));

    let wrong = here.post("/password", &[("old", "wrong"), ("new", NEW)]);
    assert_eq!(wrong.status, 401);
    assert!(is_known(&mut there), "nothing has changed");

    is_sent_to(&mut here, "/", "/password", &[("old", OLD), ("new", NEW)]);
    assert!(is_known(&mut here));
    assert!(is_known(&mut second.visitor().with_cookies_of(&here)));
    assert!(!is_known(&mut here_before) && !is_known(&mut there));
    assert_eq!((logs_in(&mut there, OLD), logs_in(&mut there, NEW)), (401, 303));
}

#[actix_web::test]
async fn tables_of_another_tool_are_checked_before_anybody_is_served() {
    let database = TestDatabase::<Postgres>::new().await;
    let refused = run(&database, "check");
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && complaint.contains("user_sessions"), "{complaint}");

    let migration = run(&database, "migration-sql");
    assert!(migration.status.success(), "{migration:?}");
    Postgres::run(&database.url(), String::from_utf8(migration.stdout).unwrap()).await.unwrap();
    let node = node(&database, &["check"]);
    assert_eq!(logs_in(&mut node.visitor(), OLD), 303);
}
