//! Sessions and guests in Redis, apart from the users.

mod connection;
mod operations;
mod record;
mod scripts;
mod sessions;
mod store;

pub use store::RedisStore;
