//! The app in which requests run beside each other, and the browsers that send them.

use std::{collections::HashMap, time::Duration};

use actix_web::{get, post, test::TestRequest, web};
use locals::{
    Auth, Error, Locals, ManualClock, Session, SessionRecord, SessionToken, Timestamp,
    require_user,
    store::{MemoryStore, SessionStore, SqlStore},
    with_session,
};

use crate::{
    orders::Stepped,
    support::{self, Account, Cart, Reply},
};

pub const SESSION: &str = "__Host-session";
const GUEST: &str = "__Host-session-guest";

/// How many requests run at the same time, including the additional ones.
const MAX_REQUESTS: usize = 4;

/// The cookies of a browser.
pub type Jar = HashMap<String, String>;

pub fn keep(jar: &mut Jar, reply: &Reply) {
    for cookie in reply.set_cookies() {
        let (name, rest) = cookie.split_once('=').unwrap();
        let (value, attributes) = rest.split_once(';').unwrap();
        if attributes.contains("Max-Age=0") {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

pub fn request(jar: &Jar, path: &str) -> TestRequest {
    let cookies: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = match path {
        "/me" => support::get(path).insert_header(("Sec-Fetch-Dest", "empty")),
        "/page" => support::get(path).insert_header(("Sec-Fetch-Dest", "document")),
        _ => support::post(path),
    };
    request.insert_header(("Cookie", cookies.join("; ")))
}

#[get("/me")]
#[require_user]
pub async fn me(session: Session) -> String {
    session.id().to_string()
}

/// A page to show, whoever comes.
#[get("/page")]
#[with_session]
pub async fn page(session: Option<Session>) -> &'static str {
    if session.is_some() { "in" } else { "out" }
}

#[post("/confirm")]
#[require_user]
pub async fn confirm(locals: Locals) -> Result<&'static str, Error> {
    locals.reauthenticate().await?;
    Ok("")
}

#[post("/add/{item}")]
#[with_session]
pub async fn add(item: web::Path<u32>, locals: Locals) -> Result<&'static str, Error> {
    locals.update_session(|cart: &mut Cart| cart.items.push(*item)).await?;
    Ok("")
}

#[post("/add-as-guest/{item}")]
#[with_session]
pub async fn add_as_guest(item: web::Path<u32>, locals: Locals) -> Result<&'static str, Error> {
    locals.update_guest(|cart: &mut Cart| cart.items.push(*item)).await?;
    Ok("")
}

#[post("/impersonate/{id}")]
#[require_user]
pub async fn impersonate(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&Account::of(*id)).await?;
    Ok("")
}

#[post("/stop")]
#[require_user]
pub async fn stop(locals: Locals) -> Result<&'static str, Error> {
    locals.stop_impersonating().await?;
    Ok("")
}

/// An app whose users are 1, and 9, who is of the staff.
pub struct Room {
    pub auth: Auth<Account>,
    /// The nodes that the requests come to, each to another: those of one node that write the same data
    /// wait for each other.
    pub nodes: Vec<Auth<Account>>,
    pub store: Stepped,
    pub clock: ManualClock,
}

impl Room {
    fn new(store: Stepped, rotates: bool) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let node = || {
            let builder = Auth::builder(store.clone())
                .clock(clock.clone())
                .merge_guest(|guest: Cart, cart: &mut Cart| cart.items.extend(guest.items));
            let rotation = Duration::from_mins(10);
            let builder = if rotates { builder.rotate_every(rotation) } else { builder };
            builder.build().unwrap()
        };
        let (auth, nodes) = (node(), (0..MAX_REQUESTS).map(|_| node()).collect());
        Self { auth, nodes, store, clock }
    }

    pub fn in_memory(rotates: bool) -> Self {
        let store = MemoryStore::new();
        for id in [1, 9] {
            store.insert_user(Account::of(id));
        }
        Self::new(Stepped::new(store), rotates)
    }

    pub async fn on_sqlite() -> Self {
        let store = SqlStore::<_, Account>::sqlite("sqlite::memory:").await.unwrap();
        let sql = "CREATE TABLE accounts \
                (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
            INSERT INTO accounts VALUES (1, ''), (9, '')";
        sqlx::raw_sql(sql).execute(store.pool()).await.unwrap();
        store.migrate().await.unwrap();
        Self::new(Stepped::new(store), true)
    }

    pub async fn row(&self, token: &SessionToken) -> Option<SessionRecord> {
        self.store.find(token.id()).await.unwrap()
    }

    /// Whether a token is the one that opens its session.
    pub async fn opens(&self, token: &SessionToken) -> bool {
        let Some(row) = self.row(token).await else { return false };
        let is_begun_from_a_dead_one = match row.actor_session {
            Some(actor) => self.store.find(actor).await.unwrap().is_none(),
            None => false,
        };
        row.secret_hash == token.secret_hash::<Account>() && !is_begun_from_a_dead_one
    }

    pub async fn opens_session(&self, jar: &Jar) -> bool {
        match jar.get(SESSION) {
            Some(token) => self.opens(&token.parse().unwrap()).await,
            None => false,
        }
    }

    /// What is in the carts that a browser can reach.
    pub async fn items(&self, jar: &Jar) -> Vec<u32> {
        let mut carts = Vec::new();
        if self.opens_session(jar).await {
            carts.extend(self.row(&jar[SESSION].parse().unwrap()).await.unwrap().data);
        }
        if let Some(token) = jar.get(GUEST).map(|token| token.parse::<SessionToken>().unwrap()) {
            carts.extend(self.store.find_guest(token.id()).await.unwrap().map(|guest| guest.data));
        }
        // The row of a guest who has logged in says where their data have gone: they are not in it.
        carts.retain(|cart| !cart.starts_with("moved "));
        let items = carts.iter().map(|cart| serde_json::from_str::<Cart>(cart).unwrap().items);
        items.flatten().collect()
    }
}
