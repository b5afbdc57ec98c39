//! An app whose database is behind a proxy.

use crate::{
    proxy::Proxy,
    servers::Server,
    support::{Engine, Fixture, populate},
};

/// An app whose database is behind a proxy.
pub struct Proxied<E: Engine> {
    pub fixture: Fixture<E>,
    pub proxy: Proxy,
}

impl<E: Engine + Server> Proxied<E> {
    pub async fn new() -> Self {
        let (place, direct) = E::place().await;
        let (front, rest) = direct.split_once('@').expect("an address with a user");
        let (server, database) = rest.split_once('/').expect("an address with a database");
        let proxy = Proxy::to(server.to_owned()).await;
        let url = format!("{front}@{}/{database}", proxy.address());
        let store = E::open(&url).await;
        populate(&store).await;
        Self { fixture: Fixture::with_store(place, url, store).await, proxy }
    }
}
