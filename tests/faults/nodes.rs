//! Two processes of one app on one database.

use std::{cell::RefCell, net::SocketAddr};

use actix_web::{App, HttpServer};
use futures_util::future::{join, join_all};
use sqlx::Postgres;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    process::{Process, database, say},
    support::{Engine, Fixture, TIMEOUT, handlers, run},
};

#[actix_web::test]
#[ignore = "a child of the tests below"]
async fn child() {
    let Some(url) = database() else { return };
    let auth = Postgres::builder(Postgres::open(&url).await).build().unwrap();
    let app = move || App::new().configure(auth.configure()).configure(handlers);
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    say(&server.addrs()[0].to_string());
    server.run().await.unwrap();
}

/// A node, spoken to over the wire.
struct Node {
    address: SocketAddr,
    /// Connections that are kept alive.
    idle: RefCell<Vec<TcpStream>>,
    process: Process,
}

impl Node {
    fn start(fixture: &Fixture<Postgres>) -> Self {
        let mut process = Process::run("nodes::child", &fixture.url);
        let address = process.hear().expect("a node that starts").parse().unwrap();
        Self { address, idle: RefCell::default(), process }
    }

    /// The status, and the token that is set: empty if the cookie is removed.
    async fn ask(&self, request: &str, token: &str) -> (u16, Option<String>) {
        timeout(TIMEOUT, self.exchange(request, token)).await.expect("an answer in time")
    }

    async fn exchange(&self, request: &str, token: &str) -> (u16, Option<String>) {
        let idle = self.idle.borrow_mut().pop();
        let mut stream = match idle {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await.unwrap(),
        };
        let message = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Length: 0\r\nCookie: __Host-session={token}\r\n\r\n"
        );
        stream.write_all(message.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let head = loop {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "a whole answer");
            let text = String::from_utf8_lossy(&answer).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let (_, length) = head.split_once("content-length: ").unwrap();
            if body.len() == length.lines().next().unwrap().parse::<usize>().unwrap() {
                break text;
            }
        };
        self.idle.borrow_mut().push(stream);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        // The last: before it stands the removal in the scope that this app does not have.
        let set = head.rsplit_once("__Host-session=").map(|(_, rest)| rest);
        (status, set.map(|rest| rest.split(';').next().unwrap().to_owned()))
    }

    async fn me(&self, token: &str) -> u16 {
        self.ask("GET /me", token).await.0
    }
}

/// Makes every session idle, so that its next use renews it.
const MAKE_IDLE: &str = "UPDATE user_sessions SET active_expires_at = created_at";

#[actix_web::test]
async fn a_logout_on_one_node_applies_on_the_other_as_soon_as_it_is_answered() {
    const ROUNDS: usize = 200;
    let fixture = Fixture::<Postgres>::new().await;
    let nodes = [Node::start(&fixture), Node::start(&fixture)];
    for round in 0..ROUNDS {
        let (here, there) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        let (status, token) = here.ask("POST /login/1", "x").await;
        assert_eq!(status, 200);
        let token = token.unwrap();
        assert_eq!(there.me(&token).await, 200, "it is valid there at once");

        run(&fixture.store, MAKE_IDLE).await;
        let renewals = join_all((0..3).flat_map(|_| [here.me(&token), there.me(&token)]));
        let log_out = async {
            assert_eq!(here.ask("POST /logout", &token).await, (200, Some(String::new())));
            assert_eq!(there.me(&token).await, 401, "round {round}");
        };
        let (renewed, ()) = join(renewals, log_out).await;
        assert!(renewed.iter().all(|status| [200, 401].contains(status)), "{renewed:?}");
        assert_eq!((here.me(&token).await, there.me(&token).await), (401, 401));
        assert_eq!(fixture.sessions().await, 0, "no renewal brings it back");
    }
}

#[actix_web::test]
async fn simultaneous_renewals_on_two_nodes_succeed_and_change_the_row_once() {
    let fixture = Fixture::<Postgres>::new().await;
    let nodes = [Node::start(&fixture), Node::start(&fixture)];
    let (_, token) = nodes[0].ask("POST /login/1", "x").await;
    let token = token.unwrap();
    for round in 0..20 {
        run(&fixture.store, MAKE_IDLE).await;
        let asked = (0..10).flat_map(|_| &nodes).map(|node| node.ask("GET /me", &token));
        let answers = join_all(asked).await;
        assert!(answers.iter().all(|(status, _)| *status == 200), "round {round}: {answers:?}");
        let renewed: Vec<_> = answers.iter().filter_map(|(_, set)| set.as_ref()).collect();
        assert_eq!(renewed, [&token], "round {round}");
    }
}

#[actix_web::test]
async fn a_node_that_is_killed_leaves_its_sessions_to_the_other() {
    let fixture = Fixture::<Postgres>::new().await;
    let (first, second) = (Node::start(&fixture), Node::start(&fixture));
    let (_, token) = first.ask("POST /login/1", "x").await;
    let token = token.unwrap();
    first.process.kill();
    assert_eq!(second.me(&token).await, 200);
    assert_eq!(second.ask("POST /logout", &token).await, (200, Some(String::new())));
    assert_eq!(second.me(&token).await, 401);
}
