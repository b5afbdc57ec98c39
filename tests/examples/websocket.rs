//! A connection that is closed when its session ends.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use programs::Visitor;

use crate::{Example, submit};

/// The headers of an upgrade request. The key is the example in RFC 6455 §1.3.
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// A WebSocket client for messages of less than 126 bytes.
struct Socket(TcpStream);

impl Socket {
    fn open(visitor: &Visitor) -> Self {
        let mut stream = visitor.connect();
        let request = visitor.head("GET", "/chat", &UPGRADE) + "\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"));
        Self(stream)
    }

    /// Sends a message. Clients must mask their messages; a mask of zeros changes nothing.
    fn send(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        let head = [0x80 | TEXT, 0x80 | length, 0, 0, 0, 0];
        self.0.write_all(&[&head, text.as_bytes()].concat()).unwrap();
    }

    /// Receives the next message: its type and its content.
    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut content = vec![0; head[1].into()];
        self.0.read_exact(&mut content).unwrap();
        (head[0] & 0xf, content)
    }
}

#[test]
fn connections_are_closed_with_their_session_and_others_stay_open() {
    let example = Example::start("websocket");
    let [mut ada, mut grace] = ["Ada", "Grace"].map(|name| {
        let mut visitor = example.visitor();
        submit(&mut visitor, "/", "/login", &[("name", name)]);
        visitor
    });
    let mut sockets = [&ada, &ada, &grace].map(Socket::open);
    // A connection has joined when it receives its own message.
    for (place, name) in ["Ada", "Ada", "Grace"].into_iter().enumerate() {
        sockets[place].send("hello");
        let line = (TEXT, format!("{name}: hello").into_bytes());
        while sockets[place].receive() != line {}
    }
    let [first, second, other] = &mut sockets;
    other.send("good night");
    for socket in [&mut *first, &mut *second, &mut *other] {
        while socket.receive() != (TEXT, b"Grace: good night".to_vec()) {}
    }

    submit(&mut ada, "/", "/logout", &[]);
    for socket in [first, second] {
        let violates_policy = 1008_u16.to_be_bytes().to_vec();
        assert_eq!(socket.receive(), (CLOSE, violates_policy));
    }
    other.send("alone");
    assert_eq!(other.receive(), (TEXT, b"Grace: alone".to_vec()));
    assert!(grace.get("/").text.contains("WebSocket"));
}

#[test]
fn without_a_login_or_from_another_site_no_connection_is_opened() {
    let example = Example::start("websocket");
    let mut visitor = example.visitor();
    assert_eq!(visitor.ask("GET", "/chat", &UPGRADE, "").status, 401);
    submit(&mut visitor, "/", "/login", &[("name", "Ada")]);
    let mut headers = UPGRADE.to_vec();
    headers.push(("Origin", "https://evil.example"));
    assert_eq!(visitor.ask("GET", "/chat", &headers, "").status, 403);
    drop(Socket::open(&visitor));
}
