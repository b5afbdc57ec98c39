//! A chat over WebSockets. When a session ends, for example by logout, its connections are closed.
//!
//! `cargo run --example websocket`, then open the address it prints in two browsers. To see a
//! connection close, log out in a second tab and look at the first one.

use std::env;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, get, post, rt, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, Closed};
use futures_util::StreamExt;
use locals::{
    Auth, AuthUser, CookieConfig, Error, Locals, Session, User, require_user, store::SqlStore,
    with_session,
};
use sqlx::SqlitePool;
use tokio::sync::broadcast;

const LOG_IN: &str = "<!doctype html><form method=post action=/login>\
    <input name=name placeholder=Name required><button>Log in</button></form>";
const CHAT: &str =
    "<!doctype html><form id=form><input id=text autofocus><button>Send</button></form>
    <form method=post action=/logout><button>Log out</button></form><ul id=messages></ul>
    <script>
        const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat');
        const show = line => messages.appendChild(document.createElement('li')).textContent = line;
        socket.onmessage = event => show(event.data);
        socket.onclose = () => show('Disconnected.');
        form.onsubmit = () => { socket.send(text.value); text.value = ''; return false; };
    </script>";

#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "people")]
struct Person {
    id: i64,
    name: String,
}

/// Messages sent here go to everyone who is connected.
type Room = broadcast::Sender<String>;

#[derive(serde::Deserialize)]
struct Name {
    name: String,
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Person>>) -> impl Responder {
    web::Html::new(if user.is_some() { CHAT } else { LOG_IN })
}

/// Guarded like any other request. Requests from other origins are refused, because browsers let any
/// page open a WebSocket.
#[get("/chat")]
#[require_user]
async fn chat(
    user: User<Person>,
    session: Session,
    room: web::Data<Room>,
    request: HttpRequest,
    body: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let (response, socket, messages) = actix_ws::handle(&request, body)?;
    let messages = messages.aggregate_continuations();
    let room = room.get_ref().clone();
    // Continues after the response to the upgrade.
    rt::spawn(async move {
        let reason = tokio::select! {
            () = session.ended() => CloseCode::Policy,
            _ = relay(&user.name, &room, socket.clone(), messages) => CloseCode::Normal,
        };
        socket.close(Some(reason.into())).await
    });
    Ok(response)
}

/// Sends the messages of this user to everyone, and those of everyone to this user, until the client
/// disconnects.
async fn relay(
    name: &str,
    room: &Room,
    mut socket: actix_ws::Session,
    mut messages: AggregatedMessageStream,
) -> Result<(), Closed> {
    let mut incoming = room.subscribe();
    loop {
        tokio::select! {
            message = incoming.recv() => {
                // A client that reads too slowly misses messages.
                if let Ok(text) = message {
                    socket.text(text).await?;
                }
            }
            message = messages.next() => match message {
                Some(Ok(AggregatedMessage::Text(text))) => {
                    // This cannot fail: this connection itself receives it.
                    let _ = room.send(format!("{name}: {text}"));
                }
                Some(Ok(AggregatedMessage::Ping(bytes))) => socket.pong(&bytes).await?,
                Some(Ok(AggregatedMessage::Binary(_) | AggregatedMessage::Pong(_))) => {}
                Some(Ok(AggregatedMessage::Close(_)) | Err(_)) | None => return Ok(()),
            },
        }
    }
}

/// Without a password, to keep the example short. `quickstart` verifies one.
#[post("/login")]
#[with_session]
async fn login(
    form: web::Form<Name>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> Result<impl Responder, Error> {
    let sql = "INSERT INTO people (name) VALUES (?) \
        ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id, name";
    let person: Person = sqlx::query_as(sql).bind(&form.name).fetch_one(&**database).await?;
    locals.log_in(&person).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = SqlStore::sqlite("sqlite::memory:").await?;
    let database = store.pool().clone();
    let create = "CREATE TABLE people \
        (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)";
    sqlx::query(create).execute(&database).await?;
    store.migrate().await?;

    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Person>::builder(store).cookie(cookie).build()?;
    let room = web::Data::new(Room::new(100));

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address} in two browsers");
    let app = move || {
        let app = App::new().configure(auth.configure()).app_data(room.clone());
        app.app_data(web::Data::new(database.clone())).service((home, chat, login, logout))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
