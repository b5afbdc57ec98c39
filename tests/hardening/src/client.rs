//! A small client of HTTP/1.1 that says what has become of a request.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection is kept that nobody uses. The server keeps it longer, so that it is not
/// closed from there just when it is used again.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The value of the session cookie.
    pub token: Option<String>,
    /// The fields of a form.
    pub form: String,
}

/// What was answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The value that the session cookie is set to; empty if it is removed.
    pub cookie: Option<String>,
    /// The body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoReply {
    /// There was no connection: the request was not sent.
    NotSent,
    /// The connection has ended before the answer: the request may have been served.
    Lost,
}

/// One connection to one server, made again when it is lost. No request is sent twice.
#[derive(Debug)]
pub struct Client {
    server: SocketAddr,
    /// The connection, and since when nobody has used it.
    kept: Option<(TcpStream, Instant)>,
}

impl Client {
    /// A client of the server at this address.
    pub fn of(server: SocketAddr) -> Self {
        Self { server, kept: None }
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Panics
    /// If the answer is no HTTP as this client knows it.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, NoReply> {
        let kept = self.kept.take().filter(|(_, since)| since.elapsed() < KEEP_ALIVE);
        let mut stream = match kept {
            Some((stream, _)) => stream,
            None => TcpStream::connect(self.server).await.map_err(|_| NoReply::NotSent)?,
        };
        match timeout(TIMEOUT, exchange(&mut stream, request)).await {
            Ok(Ok(reply)) => {
                self.kept = Some((stream, Instant::now()));
                Ok(reply)
            }
            _ => Err(NoReply::Lost),
        }
    }
}

async fn exchange(stream: &mut TcpStream, request: &Request) -> io::Result<Reply> {
    stream.set_nodelay(true)?;
    let Request { method, path, token, form } = request;
    let cookie = token.as_ref().map(|token| format!("Cookie: session={token}\r\n"));
    let cookie = cookie.unwrap_or_default();
    let message = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n{cookie}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(message.as_bytes()).await?;
    let mut received = Vec::new();
    loop {
        if stream.read_buf(&mut received).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(reply) = read(&received) {
            return Ok(reply);
        }
    }
}

/// The answer, if it is there as a whole.
fn read(received: &[u8]) -> Option<Reply> {
    let text = std::str::from_utf8(received).expect("an answer in UTF-8");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.expect("a status line");
    let (mut length, mut cookie) = (None, None);
    for line in lines {
        let (name, value) = line.split_once(':').expect("a header field");
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok();
        } else if name.eq_ignore_ascii_case("set-cookie") {
            let value = value.strip_prefix("session=").expect("no other cookie");
            let value = value.split(';').next().unwrap_or_default().to_owned();
            // The removals in the scopes that this app does not have stand before the cookie itself.
            let before = cookie.replace(value);
            assert!(before.is_none_or(|it: String| it.is_empty()), "two cookies of one name");
        }
    }
    let length = if status == 204 { 0 } else { length.expect("a Content-Length") };
    (body.len() == length).then(|| Reply { status, cookie, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "HTTP/1.1 303 See Other\r\ncontent-length: 2\r\nSet-Cookie: \
                         session=abc; Path=/\r\n\r\nok";

    #[test]
    fn a_response_is_read_once_it_is_complete() {
        for end in 0..WHOLE.len() {
            assert!(read(&WHOLE.as_bytes()[..end]).is_none(), "after {end} bytes");
        }
        let reply = read(WHOLE.as_bytes()).unwrap();
        assert_eq!((reply.status, reply.cookie.as_deref()), (303, Some("abc")));
        assert_eq!(reply.body, "ok");
    }

    #[test]
    fn a_response_without_content_ends_with_its_head() {
        assert_eq!(read(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().status, 204);
    }
}
