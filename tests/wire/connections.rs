//! A real server on a real socket.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use actix_web::{App, HttpResponse, HttpServer, get, post, web};
use locals::{Error, Locals, Session, User, require_user, with_session};

use crate::support::{Account, DAY, Fixture};

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.name.clone()
}

#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<HttpResponse, Error> {
    locals.log_in(&Account { id: 1, name: String::new() }).await?;
    let chunks = ["one", "two"].map(|chunk| Ok::<_, Error>(web::Bytes::from(chunk)));
    Ok(HttpResponse::Ok().streaming(futures_util::stream::iter(chunks)))
}

#[post("/upload")]
#[require_user]
async fn upload(_session: Session, body: web::Bytes) -> String {
    body.len().to_string()
}

/// Starts a server on a free port, on several threads.
fn serve(fixture: &Fixture) -> (SocketAddr, actix_web::dev::ServerHandle) {
    let auth = fixture.auth.clone();
    let app =
        move || App::new().configure(auth.configure()).service(me).service(login).service(upload);
    let server = HttpServer::new(app).workers(4).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Sends raw bytes and reads until the server closes the connection.
async fn exchange(address: SocketAddr, request: Vec<u8>) -> String {
    actix_web::rt::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    })
    .await
    .unwrap()
}

fn request(line: &str, headers: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n{headers}\r\n")
        .into_bytes()
}

#[actix_web::test]
async fn the_cookie_of_a_streamed_response_is_sent_and_comes_back() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let (address, server) = serve(&fixture);
    let answer = exchange(address, request("POST /login", "Content-Length: 0\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("one") && answer.contains("two"));
    let (_, rest) = answer.split_once("set-cookie: ").unwrap();
    let cookie = rest.split(';').next().unwrap();
    let answer = exchange(address, request("GET /me", &format!("Cookie: {cookie}\r\n"))).await;
    assert!(answer.ends_with("name-1"), "{answer}");
    server.stop(false).await;
}

#[actix_web::test]
async fn fifty_connections_with_one_idle_cookie_are_all_answered_and_renew_once() {
    let fixture = Fixture::new().await;
    let idle = fixture.session(1).await;
    fixture.clock.advance(2 * DAY);
    let (address, server) = serve(&fixture);
    let header = format!("Cookie: __Host-session={}\r\n", idle.token().expose_secret());
    let answers = futures_util::future::join_all(
        (0..50).map(|_| exchange(address, request("GET /me", &header))),
    )
    .await;
    let mut set = 0;
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains("Max-Age=0"));
        set += usize::from(answer.contains("set-cookie: "));
    }
    assert_eq!((set, fixture.store.renewals()), (1, 1));
    server.stop(false).await;
}

#[actix_web::test]
async fn a_stranger_is_refused_without_waiting_for_the_body() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let (address, server) = serve(&fixture);
    // A body is announced and never sent: an answer shows that nobody waited for it.
    let headers = "Content-Length: 100000\r\n";
    let answer = exchange(address, request("POST /upload", headers)).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    let cookie = format!("Cookie: __Host-session={}\r\n", session.token().expose_secret());
    let mut whole = request("POST /upload", &format!("Content-Length: 4\r\n{cookie}"));
    whole.extend_from_slice(b"body");
    let answer = exchange(address, whole).await;
    assert!(answer.ends_with('4'), "{answer}");
    server.stop(false).await;
}

#[actix_web::test]
async fn bytes_that_are_no_text_in_a_foreign_cookie_hide_nothing() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let (address, server) = serve(&fixture);
    let mut raw = b"GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: x=\xFF\r\nCookie: y=1; __Host-session=".to_vec();
    raw.extend_from_slice(session.token().expose_secret().as_bytes());
    raw.extend_from_slice(b"\r\n\r\n");
    let answer = exchange(address, raw).await;
    assert!(answer.ends_with("name-1"), "{answer}");
    server.stop(false).await;
}
