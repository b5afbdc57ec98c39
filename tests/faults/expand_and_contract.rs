//! The table of users changes while it is used: no request fails.

use std::cell::{Cell, RefCell};

use actix_web::{get, post, web};
use futures_util::future::{join, join_all};
use locals::{Auth, AuthUser, Error, Locals, User, require_user, store::SqlStore, with_session};
use sqlx::{FromRow, pool::PoolOptions};
use tokio::task::yield_now;

use crate::{
    support::{Client, Engine, Reply, TIMEOUT, connect, counted, said},
    tests_on,
};

tests_on!(all: [
    columns_outside_the_struct_may_be_added_renamed_and_dropped,
    an_optional_column_of_the_struct_may_be_dropped_and_added_again,
    a_column_is_replaced_by_another_in_either_order,
]);

const TABLE: &str = "CREATE TABLE members (id BIGINT NOT NULL PRIMARY KEY, \
     name VARCHAR(50) NOT NULL, nickname VARCHAR(50), \
     score BIGINT NOT NULL DEFAULT 0, logins INT NOT NULL DEFAULT 0, \
     town VARCHAR(50), visits INT NOT NULL DEFAULT 0, avatar VARCHAR(200))";

/// What a running version of the app knows of the table.
#[derive(Debug, Clone, FromRow, AuthUser)]
#[auth_user(table = "members")]
struct Member {
    id: i64,
    name: String,
    #[sqlx(default)]
    nickname: Option<String>,
    score: i64,
}

#[get("/me")]
#[require_user]
async fn me(user: User<Member>) -> String {
    assert_eq!(user.score, 0);
    format!("{} {}", user.name, user.nickname.as_deref().unwrap_or("-"))
}

#[post("/login/{id}")]
#[with_session]
async fn login(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    let member = Member { id: *id, name: format!("name-{id}"), nickname: None, score: 0 };
    locals.log_in(&member).await?;
    Ok("in")
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

fn handlers(config: &mut web::ServiceConfig) {
    config.service((me, login, logout));
}

/// An app that is running, and the hand that changes its table.
struct Running<E: Engine> {
    client: Client,
    store: SqlStore<E, Member>,
    tokens: Vec<String>,
    url: String,
    /// How many rounds of requests have come to their end.
    rounds: Cell<usize>,
    failed: RefCell<Vec<String>>,
    /// What the change is at.
    at: RefCell<String>,
    changing: Cell<bool>,
    _place: E::Place,
}

/// How many visitors there are.
const VISITORS: usize = 6;

impl<E: Engine> Running<E>
where
    Member: for<'r> FromRow<'r, E::Row>,
{
    async fn new() -> Self {
        let (place, url) = E::place().await;
        // So that a file of SQLite is what the library makes of one.
        E::open(&url).await.pool().close().await;
        let options = PoolOptions::<E>::new().acquire_timeout(TIMEOUT);
        let pool = options.test_before_acquire(false).connect(&url).await.unwrap();
        let mut hand = connect::<E>(&url).await;
        E::run_on(&mut hand, TABLE).await.unwrap();
        for id in 1..10 {
            let sql = format!(
                "INSERT INTO members (id, name, nickname) VALUES ({id}, 'name-{id}', 'nick-{id}')"
            );
            E::run_on(&mut hand, &sql).await.unwrap();
        }
        let store = SqlStore::new(pool);
        store.migrate().await.unwrap();
        let auth = Auth::<Member>::builder(store.clone()).build().unwrap();
        let client = Client::with_handlers(&auth, handlers).await;
        let mut tokens = Vec::new();
        for id in 1..4 {
            tokens.push(client.token(id).await);
        }
        Self {
            client,
            store,
            tokens,
            url,
            rounds: Cell::new(0),
            failed: RefCell::default(),
            at: RefCell::default(),
            changing: Cell::new(true),
            _place: place,
        }
    }

    /// Makes these changes one by one, beside visitors that log in and out and are recognised;
    /// each step stands for a while. No request may fail, and `check` finds nothing wrong.
    async fn change(&self, steps: &[&str]) {
        let visitors = join_all((0..VISITORS).map(|visitor| self.visit(visitor)));
        join(visitors, self.make(steps)).await;
        let failed = self.failed.take();
        let (rounds, count) = (self.rounds.get(), failed.len());
        assert!(count == 0, "{count} failed in {rounds} rounds: {:#?}", counted(failed));
    }

    async fn visit(&self, visitor: usize) {
        let token = &self.tokens[visitor % self.tokens.len()];
        let name = format!("name-{} ", 1 + visitor % self.tokens.len());
        while self.changing.get() {
            let reply = self.client.me(token).await;
            self.expect("a user", &reply);
            if reply.is_ok() && !reply.body.starts_with(&name) {
                self.note(&format!("a user is `{}`", reply.body));
            }
            if visitor.is_multiple_of(2) {
                let reply = self.client.login(4, "").await;
                self.expect("a login", &reply);
                if reply.is_ok() {
                    let token = reply.token();
                    self.expect("a new user", &self.client.me(&token).await);
                    self.expect("a logout", &self.client.logout(&token).await);
                }
            }
            self.rounds.set(self.rounds.get() + 1);
        }
    }

    async fn make(&self, steps: &[&str]) {
        let hand = &mut connect::<E>(&self.url).await;
        self.rest().await;
        self.check().await;
        for step in steps {
            self.at.replace((*step).to_owned());
            E::run_on(hand, step).await.unwrap_or_else(|error| panic!("{error} in: {step}"));
            self.rest().await;
            self.check().await;
        }
        self.changing.set(false);
    }

    /// Until each visitor has made a few rounds more.
    async fn rest(&self) {
        let until = self.rounds.get() + 4 * VISITORS;
        while self.rounds.get() < until {
            yield_now().await;
        }
    }

    async fn check(&self) {
        if let Err(error) = self.store.check().await {
            self.note(&format!("`check`: {}", said(&error)));
        }
    }

    fn note(&self, what: &str) {
        self.failed.borrow_mut().push(format!("{what}, after {}", self.at.borrow()));
    }

    fn expect(&self, what: &str, reply: &Reply) {
        if !reply.is_ok() {
            self.note(&format!("{what} is answered {}", reply.status));
        }
    }
}

async fn columns_outside_the_struct_may_be_added_renamed_and_dropped<E: Engine>()
where
    Member: for<'r> FromRow<'r, E::Row>,
{
    let running = Running::<E>::new().await;
    let steps = [
        "ALTER TABLE members ADD COLUMN added VARCHAR(50)",
        "ALTER TABLE members RENAME COLUMN town TO city",
        "ALTER TABLE members DROP COLUMN avatar",
        "ALTER TABLE members ADD COLUMN avatar INT NOT NULL DEFAULT 1",
        "ALTER TABLE members RENAME COLUMN added TO town",
        "ALTER TABLE members DROP COLUMN city",
        "ALTER TABLE members DROP COLUMN logins",
    ];
    running.change(&steps).await;
}

async fn an_optional_column_of_the_struct_may_be_dropped_and_added_again<E: Engine>()
where
    Member: for<'r> FromRow<'r, E::Row>,
{
    let running = Running::<E>::new().await;
    let steps = [
        "ALTER TABLE members DROP COLUMN nickname",
        "ALTER TABLE members ADD COLUMN nickname VARCHAR(50)",
        "UPDATE members SET nickname = 'back'",
    ];
    running.change(&steps).await;
    let shown = running.client.me(&running.tokens[0]).await;
    assert_eq!(shown.body, "name-1 back", "it is read again, without a restart");
}

async fn a_column_is_replaced_by_another_in_either_order<E: Engine>()
where
    Member: for<'r> FromRow<'r, E::Row>,
{
    let running = Running::<E>::new().await;
    let steps = [
        // Expand, then contract.
        "ALTER TABLE members ADD COLUMN handle VARCHAR(50)",
        "UPDATE members SET handle = nickname",
        "ALTER TABLE members DROP COLUMN nickname",
        // And back in one step.
        "ALTER TABLE members RENAME COLUMN handle TO nickname",
    ];
    running.change(&steps).await;
    let shown = running.client.me(&running.tokens[0]).await;
    assert_eq!(shown.body, "name-1 nick-1", "it is read again, without a restart");
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
mod on_servers {
    use super::{Engine, FromRow, Member, Running};
    use crate::tests_on;

    tests_on!(servers: [
        a_column_may_be_widened,
    ]);

    async fn a_column_may_be_widened<E: Widening>()
    where
        Member: for<'r> FromRow<'r, E::Row>,
    {
        let running = Running::<E>::new().await;
        running.change(E::STEPS).await;
    }

    /// How columns get wider types: some that the struct has, and some that it has not.
    trait Widening: Engine {
        const STEPS: &'static [&'static str];
    }

    #[cfg(feature = "postgres")]
    impl Widening for sqlx::Postgres {
        const STEPS: &'static [&'static str] = &[
            "ALTER TABLE members ALTER COLUMN town TYPE VARCHAR(200)",
            "ALTER TABLE members ALTER COLUMN name TYPE VARCHAR(200)",
            "ALTER TABLE members ALTER COLUMN nickname TYPE TEXT",
            "ALTER TABLE members ALTER COLUMN visits TYPE BIGINT",
        ];
    }

    #[cfg(feature = "mysql")]
    impl Widening for sqlx::MySql {
        const STEPS: &'static [&'static str] = &[
            "ALTER TABLE members MODIFY score INT NOT NULL DEFAULT 0",
            "ALTER TABLE members MODIFY score BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE members MODIFY town VARCHAR(200)",
            "ALTER TABLE members MODIFY name VARCHAR(200) NOT NULL",
            "ALTER TABLE members MODIFY nickname TEXT",
            "ALTER TABLE members MODIFY visits BIGINT NOT NULL DEFAULT 0",
        ];
    }
}
