//! The server, and a connection to it that carries any bytes.

use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};

use actix_web::{
    App, HttpServer,
    dev::ServerHandle,
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SET_COOKIE},
    },
    web::Data,
};
use locals::{AuthBuilder, Session};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    app::{self, Watched},
    support::{Account, FAULT, Fixture, Reply, cookie},
};

/// A test that waits longer than this hangs. Nothing is measured by it.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A server on a free port, on several threads, that speaks HTTP/1 and HTTP/2.
pub struct Server {
    pub fixture: Fixture,
    pub watched: Data<Watched>,
    address: SocketAddr,
    handle: ServerHandle,
    tokens: Tokens,
}

impl Server {
    pub async fn start() -> Self {
        Self::configured(|builder| builder).await
    }

    pub async fn configured(
        configure: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>,
    ) -> Self {
        let fixture = Fixture::configured(configure).await;
        let watched = Data::new(Watched::default());
        let app = {
            let (auth, watched) = (fixture.auth.clone(), watched.clone());
            move || {
                App::new()
                    .app_data(watched.clone())
                    .configure(auth.configure())
                    .configure(app::handlers)
            }
        };
        let server = HttpServer::new(app)
            .workers(4)
            .disable_signals()
            // On a busy machine, no answer should depend on how long a client takes.
            .keep_alive(TIMEOUT)
            .client_request_timeout(TIMEOUT)
            .bind_auto_h2c(("127.0.0.1", 0))
            .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { fixture, watched, address, handle, tokens: Tokens::default() }
    }

    pub async fn stop(self) {
        self.handle.stop(false).await;
    }

    /// A session of a new account, whose token no answer may show, and the counters back at zero.
    pub async fn session(&self, id: i64) -> Session {
        let session = self.fixture.session(id).await;
        self.tokens.hide(session.token().expose_secret());
        session
    }

    pub async fn connect(&self) -> Connection {
        Connection { stream: self.stream().await, unread: Vec::new(), tokens: self.tokens.clone() }
    }

    pub async fn stream(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        // Each write is a segment.
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The answer to one request on a connection of its own.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.answer().await
    }

    /// What holds for every answer to whatever a client sends.
    pub fn check(&self, reply: &Reply) {
        self.tokens.check(reply);
    }
}

/// The tokens that a test has made.
#[derive(Clone, Default)]
struct Tokens(Rc<RefCell<Vec<String>>>);

impl Tokens {
    fn hide(&self, token: &str) {
        self.0.borrow_mut().push(token.to_owned());
    }

    /// No fault, and nothing secret in the response. A panic would leave no response at all.
    fn check(&self, reply: &Reply) {
        assert!(!reply.status.is_server_error(), "{reply:?}");
        let mut said = reply.body.clone();
        // The one place for a token. No name of a header is made of what a client sends.
        for (name, value) in &reply.headers {
            if name != SET_COOKIE {
                said.push_str(&String::from_utf8_lossy(value.as_bytes()));
            }
        }
        for fault in [FAULT, "panicked", "sqlx", "user_sessions"] {
            assert!(!said.contains(fault), "{said}");
        }
        for token in &*self.0.borrow() {
            // The first 22 characters are the id, which is public.
            assert!(!said.contains(&token[22..]), "a token in: {said}");
        }
    }
}

/// A connection of HTTP/1.
pub struct Connection {
    pub stream: TcpStream,
    unread: Vec<u8>,
    tokens: Tokens,
}

impl Connection {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.stream.write_all(bytes.as_ref());
        timeout(TIMEOUT, sent).await.expect("the server reads").unwrap();
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Reply {
        let mut reply = self.head().await;
        let length = reply.header(CONTENT_LENGTH.as_str()).map(|length| length.parse().unwrap());
        let length: usize = match length {
            Some(length) => length,
            // Its end is that of the connection.
            None => loop {
                if !self.more().await {
                    break self.unread.len();
                }
            },
        };
        while self.unread.len() < length {
            assert!(self.more().await, "a whole body: {reply:?}");
        }
        reply.body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        self.tokens.check(&reply);
        reply
    }

    /// The next answer, if it has no body: that to `HEAD`, or 101.
    pub async fn head(&mut self) -> Reply {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more().await, "an answer, not only {:?}", self.unread);
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.").unwrap();
        let status = StatusCode::from_bytes(&status.as_bytes()[2..5]).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let reply = Reply { status, headers, body: String::new() };
        self.tokens.check(&reply);
        reply
    }

    /// Whether the server closes the connection and says nothing before.
    pub async fn is_at_its_end(&mut self) -> bool {
        self.unread.is_empty() && !self.more().await
    }

    async fn more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.unread);
        // A reset is an end, too.
        timeout(TIMEOUT, read).await.expect("an answer in time").is_ok_and(|count| count > 0)
    }
}

/// A request with some lines of headers.
pub fn request(line: &str, headers: impl AsRef<[u8]>) -> Vec<u8> {
    let mut request = format!("{line} HTTP/1.1\r\nHost: app.example\r\n").into_bytes();
    let headers = headers.as_ref();
    if !headers.is_empty() {
        request.extend_from_slice(headers);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// A request with a body.
pub fn request_with(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let headers = format!("{headers}\r\nContent-Length: {}", body.len());
    let mut request = request(line, headers.trim_start());
    request.extend_from_slice(body.as_bytes());
    request
}

/// The line that presents a session.
pub fn cookie_line(session: &Session) -> String {
    let (name, pair) = cookie(session);
    format!("{name}: {pair}")
}
