//! A chat over WebSockets that ends with the session: log out, and the connection closes.
//!
//! `cargo run --example websocket`, then open the address it prints in two browsers. Log out in a
//! second tab, and look at the first.

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
    "<!doctype html><form id=say><input id=line autofocus><button>Say</button></form>
    <form method=post action=/logout><button>Log out</button></form><ul id=lines></ul>
    <script>
        const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat');
        const show = text => lines.appendChild(document.createElement('li')).textContent = text;
        socket.onmessage = message => show(message.data);
        socket.onclose = () => show('The connection is closed.');
        say.onsubmit = () => { socket.send(line.value); line.value = ''; return false; };
    </script>";

#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "people")]
struct Person {
    id: i64,
    name: String,
}

/// Everybody who is connected hears what is sent here.
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

/// Guarded as every request is. One of another origin is refused: browsers let any page open a
/// WebSocket.
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
    // Goes on after the request was answered.
    rt::spawn(async move {
        let reason = tokio::select! {
            () = session.ended() => CloseCode::Policy,
            _ = talk(&user.name, &room, socket.clone(), messages) => CloseCode::Normal,
        };
        socket.close(Some(reason.into())).await
    });
    Ok(response)
}

/// What one says, for all; and what all say, for one. Until they close the connection.
async fn talk(
    name: &str,
    room: &Room,
    mut socket: actix_ws::Session,
    mut messages: AggregatedMessageStream,
) -> Result<(), Closed> {
    let mut heard = room.subscribe();
    loop {
        tokio::select! {
            line = heard.recv() => {
                // Who reads too slowly misses some lines.
                if let Ok(line) = line {
                    socket.text(line).await?;
                }
            }
            message = messages.next() => match message {
                Some(Ok(AggregatedMessage::Text(text))) => {
                    // There is a listener: this connection.
                    let _ = room.send(format!("{name}: {text}"));
                }
                Some(Ok(AggregatedMessage::Ping(bytes))) => socket.pong(&bytes).await?,
                Some(Ok(AggregatedMessage::Binary(_) | AggregatedMessage::Pong(_))) => {}
                Some(Ok(AggregatedMessage::Close(_)) | Err(_)) | None => return Ok(()),
            },
        }
    }
}

/// Without a password: `quickstart` checks one.
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

    // Plain HTTP, for this demonstration. Behind HTTPS leave the cookie as it is by default.
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
