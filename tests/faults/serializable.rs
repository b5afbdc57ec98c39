//! Databases that are SERIALIZABLE by default: what loses a conflict is done again.

use std::cell::{Cell, RefCell};

use futures_util::future::{join, join_all};
use locals::store::SqlStore;

use crate::{
    servers::Server,
    support::{Account, Client, Engine, Fixture, counted, pool_of},
    tests_on,
};

tests_on!(servers: [
    at_isolation_level_serializable_no_list_read_or_write_fails,
]);

const WRITERS: i64 = 12;

trait Serializable: Engine {
    const BY_DEFAULT: &'static str;
    /// How often each writer does what it does.
    const ROUNDS: usize;
}

#[cfg(feature = "postgres")]
impl Serializable for sqlx::Postgres {
    const BY_DEFAULT: &'static str = "SET default_transaction_isolation = 'serializable'";
    const ROUNDS: usize = 40;
}

#[cfg(feature = "mysql")]
impl Serializable for sqlx::MySql {
    const BY_DEFAULT: &'static str = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    const ROUNDS: usize = 15;
}

/// What was done, and what has failed of it.
#[derive(Default)]
struct Tally {
    done: Cell<usize>,
    failed: RefCell<Vec<String>>,
}

impl Tally {
    fn note(&self, what: &str, is_right: bool) {
        self.done.set(self.done.get() + 1);
        if !is_right {
            self.failed.borrow_mut().push(what.to_owned());
        }
    }
}

async fn at_isolation_level_serializable_no_list_read_or_write_fails<E: Serializable + Server>() {
    let fixture = Fixture::<E>::new().await;
    let pool = pool_of::<E>(&fixture.url, 24, E::BY_DEFAULT).await;
    let store = SqlStore::<E, Account>::new(pool.clone());
    store.check().await.unwrap();
    let auth = E::builder(store).build().unwrap();
    let client = &Client::of(&auth).await;
    let kept = &client.token(9).await;
    let (tally, writing) = (&Tally::default(), &Cell::new(WRITERS));

    // Three users, so that those who write meet each other.
    let writers = (0..WRITERS).map(async |writer| {
        let id = 1 + writer % 3;
        for _ in 0..E::ROUNDS {
            let login = client.login(id, "").await;
            tally.note("login", login.is_ok());
            if !login.is_ok() {
                continue;
            }
            let again = client.login(id, &login.token()).await;
            tally.note("login over a session", again.is_ok());
            if !again.is_ok() {
                continue;
            }
            let token = again.token();
            tally.note("read of one's own", client.me(&token).await.is_ok());
            tally.note("logout", client.logout(&token).await.is_ok());
        }
        writing.set(writing.get() - 1);
    });
    let readers = (0..4).map(async |reader| {
        while writing.get() > 0 {
            tally.note("list", auth.user_sessions(1 + reader % 3).await.is_ok());
            tally.note("read", client.me(kept).await.body == "name-9");
        }
    });
    join(join_all(writers), join_all(readers)).await;
    let (done, failed) = (tally.done.get(), tally.failed.take());
    assert!(failed.is_empty(), "{} of {done} failed: {:?}", failed.len(), counted(failed));
    pool.close().await;
}
