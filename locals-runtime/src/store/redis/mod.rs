//! The store in Redis. It holds sessions and guests, but no users.

mod connection;
mod operations;
mod record;
mod scripts;
mod sessions;
mod store;

pub use store::RedisStore;
