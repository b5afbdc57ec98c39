//! Sign-up, login, change of password and logout, over HTTP.

mod database;

use std::{net::SocketAddr, process::Command};

use programs::{Program, Visitor};
use tempfile::TempDir;

use crate::PROGRAM;
use database::Database;

const ADA: &str = "ada@example.com";
const OLD: &str = "correct-horse-battery-staple";
const NEW: &str = "another-horse-another-staple";

/// The running program and its database. When dropped, the program is stopped first.
struct Site {
    address: SocketAddr,
    _program: Program,
    database: Database,
}

impl Site {
    async fn start() -> Self {
        let (database, place) = (Database::new().await, TempDir::new().unwrap());
        let command = |address: SocketAddr| {
            let mut command = Command::new(PROGRAM);
            command.env("DATABASE_URL", database.url()).env("ADDR", address.to_string());
            command
        };
        let (program, address) = Program::listening(command, &place.path().join("log"));
        Self { address, _program: program, database }
    }

    /// A new client, without cookies.
    fn visitor(&self) -> Visitor {
        Visitor::new(self.address)
    }

    /// A device on which Ada has logged in.
    fn ada(&self) -> Visitor {
        let mut ada = self.visitor();
        assert_eq!(post(&mut ada, "/login", OLD), 303);
        ada
    }
}

/// Posts the credentials of Ada and returns the status of the response.
fn post(visitor: &mut Visitor, path: &str, password: &str) -> u16 {
    visitor.post(path, &[("email", ADA), ("password", password)]).status
}

fn change_password(visitor: &mut Visitor, old: &str, new: &str) -> u16 {
    visitor.post("/password", &[("old", old), ("new", new)]).status
}

/// Whether the client is logged in as Ada.
fn is_ada(visitor: &mut Visitor) -> bool {
    let response = visitor.get("/me");
    assert!(matches!(response.status, 200 | 401), "{response:?}");
    response.status == 200 && response.text == ADA
}

#[actix_web::test]
async fn a_user_is_logged_in_from_sign_up_until_logout() {
    let site = Site::start().await;
    let (mut ada, mut other) = (site.visitor(), site.visitor());
    assert!(!is_ada(&mut ada));
    assert_eq!(post(&mut ada, "/signup", OLD), 303);
    assert!(is_ada(&mut ada));
    assert_eq!(post(&mut other, "/signup", NEW), 409, "the address is taken");

    let mut before = site.visitor().with_cookies_of(&ada);
    assert_eq!(ada.post("/logout", &[]).status, 303);
    assert!(!is_ada(&mut ada) && !is_ada(&mut before));
    assert_eq!((post(&mut ada, "/login", NEW), post(&mut ada, "/login", OLD)), (401, 303));
    assert!(is_ada(&mut ada));
}

#[actix_web::test]
async fn a_new_password_ends_other_sessions_and_replaces_the_token() {
    let site = Site::start().await;
    assert_eq!(post(&mut site.visitor(), "/signup", OLD), 303);
    let (mut here, mut there) = (site.ada(), site.ada());
    let mut before = site.visitor().with_cookies_of(&here);
    assert_eq!(change_password(&mut here, NEW, NEW), 401);
    assert!(is_ada(&mut there), "the old password was wrong");

    assert_eq!(change_password(&mut here, OLD, NEW), 303);
    assert!(is_ada(&mut here));
    assert!(!is_ada(&mut there) && !is_ada(&mut before));
    assert_eq!((post(&mut there, "/login", OLD), post(&mut there, "/login", NEW)), (401, 303));
}

#[actix_web::test]
async fn if_the_other_sessions_cannot_be_ended_the_password_is_not_changed() {
    let site = Site::start().await;
    assert_eq!(post(&mut site.visitor(), "/signup", OLD), 303);
    let (mut here, mut there) = (site.ada(), site.ada());
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                  $$ BEGIN RAISE EXCEPTION 'no session ends'; END $$; \
                  CREATE TRIGGER refuse BEFORE DELETE ON user_sessions \
                  FOR EACH ROW EXECUTE FUNCTION refuse()";
    site.database.run(refuse).await;
    assert_eq!(change_password(&mut here, OLD, NEW), 503);
    assert!(is_ada(&mut here) && is_ada(&mut there));

    site.database.run("DROP TRIGGER refuse ON user_sessions").await;
    assert_eq!(post(&mut site.visitor(), "/login", NEW), 401);
    assert_eq!(change_password(&mut here, OLD, NEW), 303);
    assert!(is_ada(&mut here) && !is_ada(&mut there));
}

#[actix_web::test]
async fn deleting_the_row_of_a_user_logs_them_out() {
    let site = Site::start().await;
    let mut ada = site.visitor();
    assert_eq!(post(&mut ada, "/signup", OLD), 303);
    assert!(is_ada(&mut ada));
    site.database.run("DELETE FROM accounts").await;
    assert!(!is_ada(&mut ada));
    site.database
        .run("INSERT INTO accounts (email, password_hash) VALUES ('a@b.example', '')")
        .await;
    site.database.run("UPDATE accounts SET email = 'ada@example.com'").await;
    assert!(!is_ada(&mut ada), "the session went with the row");
}
