//! `RedisStore` on real servers: the one that runs already, and some that the tests start.

mod contents;
mod faults;
mod http;
mod races;
mod server;
mod suite;
mod wait;

use std::process::Command;

use locals::{
    GuestRecord, Renewal, SecretHash, SessionId, SessionRecord, Timestamp, UserId,
    store::{RedisStore, WithLoader},
};
use server::{INSTALL, cli, read_cli};
use uuid::Uuid;

use crate::loader::{Directory, Person};

pub type Store<I> = WithLoader<RedisStore, Directory, Person<I>>;

pub const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Names of keys in the server that runs already, which go when this is dropped.
pub struct Keys {
    url: String,
    prefix: String,
}

impl Keys {
    pub fn new() -> Self {
        const VARIABLE: &str = "LOCALS_TEST_REDIS_URL";
        let url = std::env::var(VARIABLE).unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
        let answer = Command::new("redis-cli").args(["-u", &url, "PING"]).output();
        let pong = answer.is_ok_and(|answer| answer.stdout.starts_with(b"PONG"));
        assert!(
            pong,
            "no Redis answers at {url}: {INSTALL} and start `redis-server`, or name another in \
             {VARIABLE}"
        );
        Self { url, prefix: new_prefix() }
    }

    pub async fn store(&self) -> RedisStore {
        RedisStore::connect(&self.url).await.unwrap().prefix(&self.prefix)
    }

    pub fn cli(&self, command: &[&str]) -> String {
        cli(&self.url, command)
    }

    /// The names of all keys under this prefix.
    pub fn all(&self) -> Vec<String> {
        let all = read_cli(&self.url, &["--scan", "--pattern", &format!("{}*", self.prefix)]);
        all.lines().map(str::to_owned).collect()
    }

    pub fn session(&self, id: SessionId) -> String {
        format!("{}s:{id}", self.prefix)
    }

    pub fn guest(&self, id: SessionId) -> String {
        format!("{}g:{id}", self.prefix)
    }

    pub fn index(&self, user: &str) -> String {
        format!("{}u:{user}", self.prefix)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let all = self.all();
        if !all.is_empty() {
            let command = std::iter::once("DEL").chain(all.iter().map(String::as_str));
            self.cli(&command.collect::<Vec<_>>());
        }
    }
}

pub fn new_prefix() -> String {
    format!("locals-test:{}:", Uuid::new_v4())
}

/// A session that begins with 1970, and is active for a day and idle for a week.
pub fn session(number: u8, user: impl Into<UserId>) -> SessionRecord {
    let (id, hash) = (SessionId::from_bytes([number; 16]), SecretHash::from_bytes([!number; 32]));
    let mut session = SessionRecord::new(id, hash, user, Timestamp::from_millis(number.into()));
    session.active_expires_at = Timestamp::from_millis(DAY);
    session.idle_expires_at = Timestamp::from_millis(8 * DAY);
    session.absolute_expires_at = Timestamp::from_millis(30 * DAY);
    session.user_agent = Some("Mozilla/5.0".to_owned());
    session
}

/// The renewal of such a session that begins with the end of its active period, and takes as much
/// as it may.
pub fn renewal_of(session: &SessionRecord) -> Renewal {
    let mut renewal = Renewal::new(session);
    renewal.active_expires_at = session.idle_expires_at;
    renewal.idle_expires_at = session.absolute_expires_at;
    renewal.renewed_at = session.active_expires_at;
    renewal
}

/// A guest who has gathered a little, and ends with the first day of 1970.
pub fn guest(number: u8) -> GuestRecord {
    let (id, hash) = (SessionId::from_bytes([number; 16]), SecretHash::from_bytes([number; 32]));
    GuestRecord::new(id, hash, "{\"cart\":[7]}", Timestamp::from_millis(DAY))
}
