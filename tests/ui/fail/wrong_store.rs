//! A store that cannot read the app's users.
use locals::{Auth, AuthUser, store::SqlStore};
use sqlx::SqlitePool;

#[derive(Clone, AuthUser)]
struct Account {
    id: i64,
}

fn build(pool: SqlitePool) {
    let _ = Auth::<Account>::builder(SqlStore::new(pool));
    let _ = Auth::<Account>::builder("sqlite://app.db");
}

fn main() {}
