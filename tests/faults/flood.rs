//! Requests that go away, thousands of them: they cost the others no connection to the database.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use actix_web::{App, HttpServer};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tracing::{
    Dispatch,
    field::{Field, Visit},
    subscriber::Interest,
};

use crate::{
    cancelled::polled,
    proxied::Proxied,
    proxy::Proxy,
    servers::Server,
    support::{Engine, TIMEOUT, handlers},
    tests_on,
};

tests_on!(servers: [
    requests_whose_client_resets_lose_no_connection_and_are_no_failure,
    cancelled_requests_lose_no_connection,
]);

/// As many as a pool holds, and a few that were replaced for other reasons.
const CONNECTIONS: usize = 10 + 5;

/// A token as those that are given out are made, of nobody.
fn strange_token() -> String {
    let mut bytes = [0; 48];
    getrandom::fill(&mut bytes).unwrap();
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Counts the events `store_failed` of those threads that it is installed in.
#[derive(Clone, Default)]
struct Failures(Arc<AtomicUsize>);

impl Failures {
    /// Counts in this thread, until it ends.
    ///
    /// There are two subscribers: while there is but one, `tracing` asks that of the thread in which
    /// an event first happens, and never again.
    fn install(&self) {
        let guard = tracing::subscriber::set_default(self.clone());
        std::mem::forget((Dispatch::new(self.clone()), guard));
    }
}

impl Visit for Failures {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "event" && format!("{value:?}").contains("store_failed") {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

impl tracing::Subscriber for Failures {
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "locals"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}

    fn enter(&self, _: &tracing::Id) {}

    fn exit(&self, _: &tracing::Id) {}
}

/// Sends a request of nobody, and is gone without a word as soon as the database is asked.
async fn ask_and_go(address: SocketAddr, proxy: &Proxy) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /me HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
         Cookie: __Host-session={}\r\n\r\n",
        strange_token()
    );
    let mut sent = proxy.sent();
    stream.write_all(request.as_bytes()).await.unwrap();
    timeout(TIMEOUT, sent.changed()).await.expect("a question to the database").unwrap();
    stream.set_zero_linger().unwrap();
}

async fn requests_whose_client_resets_lose_no_connection_and_are_no_failure<E: Engine + Server>() {
    let Proxied { fixture, proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    let token = &client.token(1).await;
    let failures = Failures::default();
    let app = {
        let (auth, failures) = (fixture.auth.clone(), failures.clone());
        move || {
            failures.install();
            App::new().configure(auth.configure()).configure(handlers)
        }
    };
    let server = HttpServer::new(app).workers(2).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);

    join_all((0..2).map(async |_| {
        for round in 0..1_000 {
            ask_and_go(address, &proxy).await;
            if round % 20 == 0 {
                assert_eq!(client.me(token).await.body, "name-1");
            }
        }
    }))
    .await;
    handle.stop(true).await;
    fixture.settle(0).await;
    let (connections, failures) = (proxy.connections(), failures.0.load(Relaxed));
    assert!(
        connections <= CONNECTIONS && failures == 0,
        "{connections} connections to the database, {failures} failures"
    );
}

async fn cancelled_requests_lose_no_connection<E: Engine + Server>() {
    let Proxied { fixture, proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    let token = &client.token(1).await;
    for round in 0..2_000 {
        polled(client.me(&strange_token()), 1 + round % 5).await;
        if round % 5 == 0 {
            assert_eq!(client.me(token).await.body, "name-1");
        }
    }
    fixture.settle(0).await;
    let connections = proxy.connections();
    assert!(connections <= CONNECTIONS, "{connections} connections to the database");
}
