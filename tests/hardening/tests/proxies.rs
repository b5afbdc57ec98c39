//! The configuration of nginx that the guide shows, in front of an app.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    process::Command,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    get,
    http::{
        StatusCode,
        header::{COOKIE, ORIGIN, SET_COOKIE, X_FORWARDED_FOR},
    },
    web::{self, Bytes},
};
use awc::{Client, ClientRequest, Connector, ws};
use futures_util::{SinkExt, StreamExt, stream};
use hardening::app::{Account, open, routes};
use locals::{Auth, AuthBuilder, require_user};
use programs::{Program, find};
use tempfile::TempDir;
use tokio::{sync::Notify, time::timeout};

/// Where the browser is. Not the address of the proxy, so that one can be told from the other.
const CLIENT: &str = "127.0.0.2";

/// How long a test waits before it fails.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The app behind nginx, until it is dropped.
struct Site {
    proxy: SocketAddr,
    token: String,
    client: Client,
    /// Lets the second event come.
    go_on: Arc<Notify>,
    server: ServerHandle,
    _nginx: Program,
    _directory: TempDir,
}

impl Site {
    /// The app, with settings of its own, and a session of user 1.
    async fn start(configured: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>) -> Self {
        let directory = TempDir::new().unwrap();
        let url = directory.path().join("app.db").display().to_string();
        let auth = configured(open(&url).await.unwrap()).build().unwrap();
        let token = session(&auth).await;
        let go_on = Arc::new(Notify::new());
        let data = web::Data::from(Arc::clone(&go_on));
        let app = move || {
            let app = App::new().configure(auth.configure()).configure(routes);
            app.app_data(data.clone()).service((live, events))
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).unwrap();
        let (address, server) = (server.addrs()[0], server.run());
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let (nginx, proxy) = nginx(address, &directory);
        let connector = Connector::new().local_address(CLIENT.parse::<IpAddr>().unwrap());
        let client = Client::builder().connector(connector).disable_redirects().finish();
        Self { proxy, token, client, go_on, server: handle, _nginx: nginx, _directory: directory }
    }

    fn request(&self, method: &str, path: &str) -> ClientRequest {
        let url = format!("http://{}{path}", self.proxy);
        self.client.request(method.parse().unwrap(), url).insert_header((COOKIE, self.cookie()))
    }

    fn cookie(&self) -> String {
        format!("__Host-session={}", self.token)
    }

    /// What a form is answered that an older browser sends from a page of this origin.
    async fn status_of_a_form(&self, origin: &str) -> StatusCode {
        let request = self.request("POST", "/login").insert_header((ORIGIN, origin));
        request.send_form(&[("user", 1)]).await.unwrap().status()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn session(auth: &Auth<Account>) -> String {
    let session = auth.create_session(&Account { id: 1, name: String::new() }).await.unwrap();
    session.token().expose_secret().to_owned()
}

/// nginx as the guide configures it, but for the addresses and for TLS, of which it needs to know
/// nothing here.
fn nginx(app: SocketAddr, directory: &TempDir) -> (Program, SocketAddr) {
    let page = include_str!("../../../docs/proxies.md");
    let shown = page.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shown: Vec<_> = shown.lines().filter(|line| !line.contains("ssl_certificate")).collect();
    let shown = shown.join("\n").replace("http://127.0.0.1:8080;", &format!("http://{app};"));
    let place = directory.path().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};"))
        .join(" ");
    let command = |address: SocketAddr| {
        let server = shown.replace("listen 443 ssl;", &format!("listen {address};"));
        let config = format!(
            "daemon off; master_process off; pid {place}/pid; error_log stderr error;
             events {{}}
             http {{ access_log off; {temporary} {server} }}"
        );
        fs::write(directory.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new(find("nginx", "nginx-light"));
        command.arg("-e").arg("stderr").arg("-p").arg(directory.path()).arg("-c").arg("nginx.conf");
        command
    };
    Program::listening(command, &directory.path().join("log"))
}

/// A WebSocket that answers with what it hears.
#[get("/live")]
#[require_user]
async fn live(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let (response, mut socket, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(async move {
        while let Some(Ok(message)) = messages.recv().await {
            if let actix_ws::Message::Text(text) = message {
                socket.text(text).await.unwrap();
            }
        }
    });
    Ok(response)
}

/// An event, and another one when the test says so; the answer never ends.
#[get("/events")]
#[require_user]
async fn events(go_on: web::Data<Notify>) -> HttpResponse {
    let second = async move { go_on.notified().await };
    let second = stream::once(second).map(|()| Ok(Bytes::from_static(b"data: second\n\n")));
    let first = stream::iter([Ok::<_, Error>(Bytes::from_static(b"data: first\n\n"))]);
    let events = first.chain(second).chain(stream::pending());
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

#[actix_web::test]
async fn the_nginx_of_the_guide_names_the_client_and_lets_no_client_choose() {
    let site = Site::start(|auth| auth.trusted_proxy("127.0.0.1")).await;
    let login = site.request("POST", "/login").insert_header((X_FORWARDED_FOR, "192.0.2.66"));
    let response = login.send_form(&[("user", 1)]).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    // The last: before it stand removals in the scopes that this app does not have.
    let cookie = response.headers().get_all(SET_COOKIE).last().unwrap().to_str().unwrap();
    assert!(cookie.starts_with("__Host-session=") && cookie.contains("Secure"), "{cookie}");

    let cookie = cookie.split(';').next().unwrap();
    let sessions = site.client.get(format!("http://{}/sessions", site.proxy));
    let mut sessions = sessions.insert_header((COOKIE, cookie)).send().await.unwrap();
    let sessions: serde_json::Value = sessions.json().await.unwrap();
    let current = sessions.as_array().unwrap().iter().find(|it| it["is_current"] == true).unwrap();
    assert_eq!(current["address"], CLIENT);
}

#[actix_web::test]
async fn behind_the_nginx_of_the_guide_forms_come_from_the_app_by_its_host_or_its_origin() {
    let site = Site::start(|auth| auth).await;
    let own = format!("http://{}", site.proxy);
    assert_eq!(site.status_of_a_form(&own).await, StatusCode::SEE_OTHER);
    assert_eq!(site.status_of_a_form("https://evil.example").await, StatusCode::FORBIDDEN);

    let site = Site::start(|auth| auth.origin("https://app.example")).await;
    assert_eq!(site.status_of_a_form("https://app.example").await, StatusCode::SEE_OTHER);
    assert_eq!(site.status_of_a_form("https://evil.example").await, StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn a_websocket_opens_through_the_nginx_of_the_guide_for_the_app_alone() {
    let site = Site::start(|auth| auth.origin("https://app.example")).await;
    let open = |origin: &'static str| {
        let socket = site.client.ws(format!("ws://{}/live", site.proxy)).origin(origin);
        socket.header(COOKIE, site.cookie()).connect()
    };
    let (_, mut socket) = open("https://app.example").await.unwrap();
    socket.send(ws::Message::Text("hello".into())).await.unwrap();
    let ws::Frame::Text(answer) = socket.next().await.unwrap().unwrap() else { panic!("no text") };
    assert_eq!(answer, "hello");
    assert!(open("https://evil.example").await.is_err());
}

#[actix_web::test]
async fn the_nginx_of_the_guide_does_not_hold_an_event_back() {
    let site = Site::start(|auth| auth).await;
    let mut response = site.request("GET", "/events").send().await.unwrap();
    assert_eq!(response.next().await.unwrap().unwrap(), "data: first\n\n");
    site.go_on.notify_one();
    let second = timeout(TIMEOUT, response.next()).await.expect("an event that is not held back");
    assert_eq!(second.unwrap().unwrap(), "data: second\n\n");
}
