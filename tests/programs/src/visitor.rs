//! Somebody with a browser, as far as a server sees: HTTP/1.1 and a jar of cookies.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer is waited for. A test that waits longer hangs.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Somebody who asks a server for pages, follows no redirect, and keeps the cookies.
///
/// It is one browser on one site without HTTPS: it knows removal, and takes no notice of paths,
/// domains and lives.
#[derive(Debug, Clone)]
pub struct Visitor {
    server: SocketAddr,
    cookies: BTreeMap<String, String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The names, in lower case, and the values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub text: String,
}

impl Visitor {
    /// A visitor of the server at this address, without cookies.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, cookies: BTreeMap::new() }
    }

    /// The same browser at another server: another node, or the same program started again.
    pub fn with_cookies_of(self, other: &Self) -> Self {
        Self { cookies: other.cookies.clone(), ..self }
    }

    /// Opens a page, as by typing its address.
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate")], "")
    }

    /// Sends a form of a page of the same site.
    pub fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let headers = [
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.ask("POST", path, &headers, &encoded(form))
    }

    /// Sends any request, with the cookies, and keeps those that the answer sets.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (head, length) = (self.head(method, path, headers), body.len());
        let request = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = Answer::parse(&answer);
        self.keep(&answer);
        answer
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// A connection for what is more than a question and an answer. Reading waits for a minute.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// The first lines of a request, with the cookies; the empty line is still to come.
    pub fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.server);
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !self.cookies.is_empty() {
            let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            head.extend(["Cookie: ", &cookies.collect::<Vec<_>>().join("; "), "\r\n"]);
        }
        head
    }

    fn keep(&mut self, answer: &Answer) {
        let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        for (_, cookie) in set {
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("a cookie with a name");
            let attributes = attributes.to_ascii_lowercase();
            let has = |wanted| attributes.split(';').any(|attribute| attribute.trim() == wanted);
            if has("max-age=0") {
                self.cookies.remove(name);
            } else if !has("secure") {
                // One that is `Secure` is not sent without HTTPS.
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Answer {
    /// The value of the first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(header, _)| header == name);
        header.map(|(_, value)| value.as_str())
    }

    /// Where a redirect leads.
    pub fn location(&self) -> Option<&str> {
        self.header("location")
    }

    fn parse(bytes: &[u8]) -> Self {
        let whole = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = whole.split_once("\r\n\r\n").expect("an answer");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        let mut answer = Self {
            status: status.expect("a status"),
            headers: headers.collect(),
            text: body.to_owned(),
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.text = joined(body);
        }
        answer
    }
}

/// A body that was sent in chunks.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    loop {
        let (length, rest) = chunks.split_once("\r\n").expect("a whole body");
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        body += &rest[..length];
        chunks = rest[length..].strip_prefix("\r\n").expect("a whole chunk");
    }
}

/// A form as browsers write it.
fn encoded(form: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String {
        let bytes = text.bytes();
        bytes
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    let fields = form.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// What a visitor sends to a server that gives these answers, in turn, and then how they are.
    fn visit(answers: &'static [&str], visit: impl Fn(&mut Visitor)) -> (Vec<String>, Visitor) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut visitor = Visitor::new(listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let serve = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = vec![0; 10_000];
                // A request of one write on one machine comes in one piece.
                let length = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(request[..length].to_vec()).unwrap()
            };
            answers.iter().map(serve).collect()
        });
        for _ in answers {
            visit(&mut visitor);
        }
        (server.join().unwrap(), visitor)
    }

    #[test]
    fn cookies_come_back_until_they_are_removed_and_secure_ones_do_not() {
        let answers = &[
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Max-Age=60\r\n\r\n",
            "HTTP/1.1 200 OK\r\nset-cookie: a=; Max-Age=0\r\nset-cookie: c=3; Secure\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ];
        let (requests, visitor) = visit(answers, |visitor| drop(visitor.get("/")));
        let sent = requests.iter().map(|request| {
            request.lines().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or_default()
        });
        assert_eq!(sent.collect::<Vec<_>>(), ["", "a=1; b=2", "b=2"]);
        assert_eq!((visitor.cookie("a"), visitor.cookie("b")), (None, Some("2")));
    }

    #[test]
    fn a_form_is_written_as_browsers_write_it() {
        let (requests, _) = visit(&["HTTP/1.1 204 No Content\r\n\r\n"], |visitor| {
            assert_eq!(visitor.post("/form", &[("name", "Ada & é"), ("a", "")]).status, 204);
        });
        let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /form HTTP/1.1\r\n"), "{head}");
        assert_eq!(body, "name=Ada%20%26%20%C3%A9&a=");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    }

    #[test]
    fn a_response_is_read_whole_or_in_chunks() {
        let whole = b"HTTP/1.1 303 See Other\r\nLocation: /next\r\nContent-Length: 5\r\n\r\nwhole";
        let answer = Answer::parse(whole);
        assert_eq!(
            (answer.status, answer.location(), &*answer.text),
            (303, Some("/next"), "whole")
        );
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\none\r\nA\r\n, and two\n\r\n0\r\n\r\n";
        assert_eq!(Answer::parse(chunks).text, "one, and two\n");
    }
}
