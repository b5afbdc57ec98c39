//! The messages on the pages are the real ones.

use std::{fs, path::Path, time::Duration};

use actix_web::ResponseError;
use locals::{
    Auth, AuthBuilder, AuthUser, CookieConfig, Error, Lifetime, SameSite, StoreError,
    store::{MemoryStore, SqlStore},
};
use sqlx::Sqlite;
use tempfile::TempDir;

const PAGE: &str = include_str!("../../docs/errors.md");

#[derive(Clone, sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
}

/// The messages in all blocks of a page that are quotations: what is indented belongs to the line
/// before.
fn quoted(page: &str) -> Vec<String> {
    let blocks = page.split("```text\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
    let messages = blocks.map(|block| block.trim_end().replace("\n    ", " "));
    messages.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, section) = page.split_once(heading).expect("the heading");
    section.split("\n## ").next().unwrap_or_default()
}

#[test]
fn every_message_of_the_compiler_that_a_page_quotes_is_a_real_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &str, extension: &str| {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|it| it == extension));
        files.map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>()
    };
    let said = read("tests/ui/fail", "stderr").concat();
    let said: Vec<&str> = said.lines().collect();
    let pages = read("docs", "md");
    let quoted = pages.iter().flat_map(|page| quoted(page));
    let quoted: Vec<String> = quoted.filter(|line| line.starts_with("error")).collect();
    assert!(quoted.len() > 20, "only {} are quoted", quoted.len());
    for message in quoted {
        assert!(said.contains(&&*message), "the compiler does not say: {message}");
    }
}

/// What `build` says of each contradiction.
fn refused_settings() -> Vec<String> {
    let refused = |configured: fn(AuthBuilder<Account>) -> AuthBuilder<Account>| {
        configured(Auth::builder(MemoryStore::new())).build().unwrap_err().to_string()
    };
    [
        refused(|auth| auth.cookie(CookieConfig::default().domain("app.example"))),
        refused(|auth| auth.cookie(CookieConfig::default().name("__Host-session").secure(false))),
        refused(|auth| {
            auth.cookie(CookieConfig::default().same_site(SameSite::None).secure(false))
        }),
        refused(|auth| auth.origin("https://app.example/")),
        refused(|auth| auth.trusted_proxy("0.0.0.0/0")),
        refused(|auth| auth.login_page("login")),
        refused(|auth| auth.login_page("/login?next=/x")),
        refused(|auth| auth.lifetime(Lifetime::default().max(Duration::from_hours(500 * 24)))),
        refused(|auth| auth.rotate_every(Duration::from_secs(30))),
        refused(|auth| auth.rotation_overlap(Duration::from_mins(1))),
        refused(|auth| auth.rotate_every(Duration::from_hours(1)).rotation_overlap(Duration::ZERO)),
        refused(|auth| auth.max_sessions(0)),
        refused(|auth| auth.guest_lifetime(Duration::ZERO)),
        refused(|auth| auth.guest_data_limit(0)),
        refused(|auth| auth.guest_data_limit(65_537)),
        refused(|auth| auth.max_guests(0)),
    ]
    .into()
}

/// What `migrate` and `check` say of tables that this SQL has made.
async fn refused_tables(sql: &'static str) -> String {
    let directory = TempDir::new().unwrap();
    let url = directory.path().join("app.db").display().to_string();
    let store = SqlStore::<Sqlite, Account>::sqlite(&url).await.unwrap();
    sqlx::raw_sql(sql).execute(store.pool()).await.unwrap();
    match store.check().await {
        Err(StoreError::Schema(complaint)) => complaint,
        other => panic!("no complaint: {other:?}"),
    }
}

#[actix_web::test]
async fn every_message_at_start_up_is_quoted_as_it_is_said() {
    let mut said = refused_settings();
    for sql in [
        "",
        "CREATE TABLE accounts (number INTEGER PRIMARY KEY)",
        "CREATE TABLE accounts (id TEXT PRIMARY KEY)",
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY)",
    ] {
        said.push(refused_tables(sql).await);
    }
    assert_eq!(quoted(section(PAGE, "## When the app starts")), said);
}

/// One of each kind of error.
async fn errors() -> Vec<(&'static str, Error)> {
    let auth = Auth::<Account>::builder(MemoryStore::new()).build().unwrap();
    let zero = Auth::<Account>::builder(MemoryStore::new());
    let zero = zero.lifetime(Lifetime::default().idle(Duration::ZERO)).build().unwrap_err();
    vec![
        ("Unauthenticated", Error::Unauthenticated),
        ("NotRecent", Error::NotRecent),
        ("UserGone", Error::UserGone),
        ("InactiveUser", Error::InactiveUser),
        ("Forbidden", Error::Forbidden),
        ("Impersonating", Error::Impersonating),
        ("CrossOrigin", Error::cross_origin("Origin")),
        ("TwoCredentials", Error::TwoCredentials),
        ("TwoAuthorizations", Error::TwoAuthorizations),
        ("TooMuchData", Error::too_much_data(65_536)),
        ("TooManyGuests", Error::too_many_guests(100_000)),
        ("GuestGone", Error::GuestGone),
        ("Store", Error::Store(StoreError::backend("the cause"))),
        ("Query", sqlx::Error::RowNotFound.into()),
        ("Random", Error::Random("the cause".into())),
        ("ResponseStarted", Error::response_started("log_in")),
        ("NotConfigured", Error::NotConfigured),
        ("WrongUser", Error::wrong_user("app::Admin", "app::Account")),
        ("MissingCredential", Error::missing_credential("app::LogIn", &["password_hash"])),
        ("WrongUserId", auth.invalidate_user_sessions("ada").await.unwrap_err()),
        ("WrongStore", Error::wrong_store("SQLite")),
        ("UnwritableData", Error::UnwritableData("the cause".into())),
        ("Config", zero.into()),
    ]
}

#[actix_web::test]
async fn every_error_is_quoted_with_the_answer_that_it_gives() {
    let rows = section(PAGE, "## While it runs").lines();
    let rows = rows.filter_map(|row| row.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<_> = rows.filter(|(name, _)| *name != "Error::").collect();
    let errors = errors().await;
    assert_eq!(rows.len(), errors.len());
    for ((named, row), (name, error)) in rows.into_iter().zip(errors) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let answer = format!("{} `{}`", error.status_code().as_u16(), error.code());
        assert_eq!((named, &cells[..2]), (name, &[&*error.to_string(), &*answer][..]));
    }
}
