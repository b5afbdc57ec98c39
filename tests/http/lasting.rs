//! Connections that last: they learn of the end of their session.

use std::{
    future::Future,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    pin::{Pin, pin},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, post, rt, web};
use actix_ws::Message;
use futures_util::{
    FutureExt,
    future::{Either, join_all, select},
};
use locals::{
    Auth, Error, Locals, ManualClock, Session, Timestamp, User, require_user,
    store::{MemoryStore, SessionStore},
};

use crate::{
    app,
    routes::{confirm, end_by_post, login, logout, logout_everywhere, logout_others},
    send,
    support::{self, Account, Cart, DAY, Fixture, MINUTE, TICK, as_set, cookie},
};

/// An app whose store answers immediately, so that a wait that is polled has progressed as far as it can.
struct Memory {
    auth: Auth<Account>,
    store: MemoryStore<Account>,
    clock: ManualClock,
}

impl Memory {
    fn new() -> Self {
        let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::from_millis(0)));
        for id in [1, 2, 9] {
            store.insert_user(Account::of(id));
        }
        let auth = Auth::builder(store.clone())
            .clock(clock.clone())
            .max_sessions(3)
            .rotate_every(Duration::from_mins(10))
            .build()
            .unwrap();
        Self { auth, store, clock }
    }

    async fn session(&self, id: i64) -> Session {
        self.auth.create_session(&Account::of(id)).await.unwrap()
    }
}

/// A wait for the end of a session, polled by the test.
struct Wait(Pin<Box<dyn Future<Output = ()>>>);

impl Wait {
    /// Begins to wait for the end of a session that lives.
    fn of(session: &Session) -> Self {
        let mut wait = Self(Box::pin(session.ended()));
        assert!(!wait.is_over());
        wait
    }

    fn is_over(&mut self) -> bool {
        self.0.as_mut().now_or_never().is_some()
    }
}

#[get("/me")]
#[require_user]
async fn me(user: User<Account>) -> String {
    user.id.to_string()
}

#[post("/add")]
#[require_user]
async fn add(locals: Locals) -> Result<&'static str, Error> {
    locals.update_session(|cart: &mut Cart| cart.items.push(7)).await?;
    Ok("")
}

/// Acts as user 1 for the length of the request.
#[post("/act-for-a-moment")]
#[require_user]
async fn act_for_a_moment(locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&Account::of(1)).await?;
    locals.stop_impersonating().await?;
    Ok("")
}

#[post("/impersonate")]
#[require_user]
async fn impersonate(locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&Account::of(1)).await?;
    Ok("")
}

#[actix_web::test]
async fn every_end_of_a_session_in_this_process_is_reported_immediately() {
    for how in [
        "/logout",
        "/logout-everywhere",
        "/login/1",
        "/login/2",
        "from another device",
        "by the others' logout",
        "by everybody's logout",
        "by the server",
        "by the server for all",
        "by too many sessions",
    ] {
        let memory = Memory::new();
        let (here, bob) = (memory.session(1).await, memory.session(2).await);
        memory.clock.advance(TICK);
        let there = memory.session(1).await;
        let app = app!(memory, login, logout, logout_everywhere, logout_others, end_by_post);
        let (mut wait, mut bobs) = (Wait::of(&here), Wait::of(&bob));
        let request = match how {
            "from another device" => {
                support::post(&format!("/end/{}", here.id())).insert_header(cookie(&there))
            }
            "by the others' logout" => {
                support::post("/logout-others").insert_header(cookie(&there))
            }
            "by everybody's logout" => {
                support::post("/logout-everywhere").insert_header(cookie(&there))
            }
            "by the server" => {
                memory.auth.invalidate_session(here.id()).await.unwrap();
                support::post("/logout")
            }
            "by the server for all" => {
                memory.auth.invalidate_user_sessions(1).await.unwrap();
                support::post("/logout")
            }
            "by too many sessions" => {
                memory.session(1).await;
                assert!(!wait.is_over());
                support::post("/login/1")
            }
            path => support::post(path).insert_header(cookie(&here)),
        };
        assert!(send!(app, request).status.is_success(), "{how}");
        assert!(wait.is_over(), "{how}");
        assert!(!bobs.is_over(), "{how}");
    }
}

#[actix_web::test]
async fn other_changes_of_a_session_are_not_reported_as_its_end() {
    let memory = Memory::new();
    let (session, other) = (memory.session(1).await, memory.session(1).await);
    let app = app!(memory, me, add, confirm, logout, logout_others);
    let mut wait = Wait::of(&session);

    memory.clock.advance(2 * DAY);
    let renewed = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert_ne!(renewed.session_cookie(), session.token().expose_secret(), "and exchanged");
    assert!(!wait.is_over());
    send!(app, support::post("/add").insert_header(as_set(&renewed)));
    assert!(!wait.is_over());
    send!(app, support::post("/logout").insert_header(cookie(&other)));
    assert!(!wait.is_over());
    send!(app, support::post("/logout").insert_header(as_set(&renewed)));
    assert!(wait.is_over(), "under whatever token");
}

/// Who has opened a connection with a stolen token is out with it.
#[actix_web::test]
async fn replacing_the_token_is_reported_as_an_end() {
    for path in ["/confirm", "/logout-others", "/act-for-a-moment"] {
        let memory = Memory::new();
        let session = memory.session(1).await;
        let app = app!(memory, me, confirm, logout_others, act_for_a_moment);
        let mut wait = Wait::of(&session);
        let replaced = send!(app, support::post(path).insert_header(cookie(&session)));
        assert!(wait.is_over(), "{path}");
        let reply = send!(app, support::get("/me").insert_header(as_set(&replaced)));
        assert!(reply.status.is_success(), "the session itself goes on");
    }
}

#[actix_web::test]
async fn a_token_replaced_on_another_node_is_an_end_even_with_rotation() {
    let memory = Memory::new();
    let session = memory.session(1).await;
    // Another node: the same store and time, and nobody here hears of it.
    let there = Auth::builder(memory.store.clone())
        .clock(memory.clock.clone())
        .rotate_every(Duration::from_mins(10))
        .build()
        .unwrap();
    let there = Memory { auth: there, store: memory.store.clone(), clock: memory.clock.clone() };
    let app = app!(there, me, logout_others);
    let mut wait = Wait::of(&session);

    memory.clock.advance(11 * MINUTE);
    let exchanged = send!(app, support::get("/me").insert_header(cookie(&session)));
    assert!(!wait.is_over(), "an exchange is none");
    let replaced = send!(app, support::post("/logout-others").insert_header(as_set(&exchanged)));
    memory.clock.advance(11 * MINUTE);
    let again = send!(app, support::get("/me").insert_header(as_set(&replaced)));
    assert_ne!(again.session_cookie(), replaced.session_cookie(), "exchanged since");
    assert!(wait.is_over());
}

#[actix_web::test]
async fn waiting_ends_when_the_session_expires_and_renewals_postpone_that() {
    let memory = Memory::new();
    let (used, unused) = (memory.session(1).await, memory.session(1).await);
    let app = app!(memory, me);
    let (mut waits_used, mut waits_unused) = (Wait::of(&used), Wait::of(&unused));
    memory.clock.advance(14 * DAY);
    send!(app, support::get("/me").insert_header(cookie(&used)));

    memory.clock.set(Timestamp::from_millis(unused.idle_expires_at().as_millis() - 1));
    assert!(!waits_unused.is_over() && !waits_used.is_over());
    memory.clock.advance(TICK);
    assert!(waits_unused.is_over());
    assert!(!waits_used.is_over());

    let end = Timestamp::from_millis(0) + 29 * DAY;
    memory.clock.set(Timestamp::from_millis(end.as_millis() - 1));
    assert!(!waits_used.is_over());
    memory.clock.set(end);
    assert!(waits_used.is_over());
}

#[actix_web::test]
async fn an_end_from_elsewhere_is_reported_within_a_minute() {
    let memory = Memory::new();
    let (first, second) = (memory.session(1).await, memory.session(2).await);
    let (mut of_first, mut of_second) = (Wait::of(&first), Wait::of(&second));
    memory.clock.advance(20 * MINUTE);
    assert!(!of_first.is_over() && !of_second.is_over());
    assert!(memory.store.delete(first.id()).await.unwrap());
    memory.store.remove_user(2);
    memory.clock.advance(MINUTE);
    assert!(of_first.is_over() && of_second.is_over());
}

#[actix_web::test]
async fn waiting_tasks_do_not_query_all_at_the_same_time() {
    let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::from_millis(0)));
    store.insert_user(Account::of(1));
    let auth = Auth::<Account>::builder(store.clone()).clock(clock.clone()).max_sessions(1_000);
    let auth = auth.build().unwrap();
    let mut waits = Vec::new();
    for _ in 0..600 {
        let session = auth.create_session(&Account::of(1)).await.unwrap();
        waits.push(Wait::of(&session));
        // By other hands: who asks now finds that it has ended.
        store.delete(session.id()).await.unwrap();
    }
    let mut asked = Vec::new();
    for _ in 0..60 {
        clock.advance(Duration::from_secs(1));
        let before = waits.len();
        waits.retain_mut(|wait| !wait.is_over());
        asked.push(before - waits.len());
    }
    assert_eq!(waits.len(), 0, "all within a minute");
    assert!(asked.iter().all(|asked| *asked < 35), "10 in each second, about: {asked:?}");
}

#[actix_web::test]
async fn waiting_for_a_session_that_has_ended_returns_immediately() {
    let memory = Memory::new();
    let session = memory.session(1).await;
    let before = session.ended();
    memory.auth.invalidate_session(session.id()).await.unwrap();
    before.await;
    session.ended().await;
}

#[actix_web::test]
async fn an_impersonation_ends_however_the_session_of_the_actor_ends() {
    for how in ["session", "user", "by other hands"] {
        let memory = Memory::new();
        let admin = memory.session(9).await;
        let app = app!(memory, impersonate);
        let reply = send!(app, support::post("/impersonate").insert_header(cookie(&admin)));
        let acting = memory.auth.validate_session(reply.session_cookie()).await.unwrap().unwrap();
        let mut wait = Wait::of(&acting);
        match how {
            "session" => memory.auth.invalidate_session(admin.id()).await.unwrap(),
            "user" => {
                memory.auth.invalidate_user_sessions(9).await.unwrap();
            }
            _ => {
                memory.store.delete(admin.id()).await.unwrap();
                assert!(!wait.is_over());
                memory.clock.advance(MINUTE);
            }
        }
        assert!(wait.is_over(), "{how}");
    }
}

#[actix_web::test]
async fn a_thousand_waiting_tasks_are_all_notified_and_cancelled_ones_block_nobody() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let app = app!(fixture, logout);
    let mut waits: Vec<_> = (0..1_000).map(|_| rt::spawn(session.ended())).collect();
    while fixture.store.reads() < 1_000 {
        rt::task::yield_now().await;
    }
    for left in waits.drain(..500) {
        left.abort();
    }
    send!(app, support::post("/logout").insert_header(cookie(&session)));
    for wait in join_all(waits).await {
        wait.unwrap();
    }
}

#[actix_web::test]
async fn while_the_store_fails_nothing_ends_and_a_waiting_task_asks_once_a_minute() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let wait = rt::spawn(session.ended());
    let asked = |times| {
        let store = fixture.store.clone();
        async move {
            while store.reads() < times {
                rt::task::yield_now().await;
            }
            for _ in 0..100 {
                rt::task::yield_now().await;
            }
            assert_eq!(store.reads(), times);
        }
    };
    asked(1).await;
    fixture.store.fail(true);
    fixture.clock.advance(MINUTE);
    asked(2).await;
    fixture.clock.advance(MINUTE);
    asked(3).await;
    assert!(!wait.is_finished());
    let refused = fixture.auth.invalidate_session(session.id()).await;
    assert!(refused.is_err());
    asked(3).await;
    assert!(!wait.is_finished(), "a session that could not be ended lives");

    fixture.store.fail(false);
    fixture.store.inner.delete(session.id()).await.unwrap();
    fixture.clock.advance(MINUTE);
    wait.await.unwrap();
}

// A real WebSocket.

/// Says each text back, until its session ends.
#[get("/echo")]
#[require_user]
async fn echo(
    session: Session,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let (response, mut connection, mut messages) = actix_ws::handle(&request, body)?;
    rt::spawn(async move {
        let mut ended = pin!(session.ended());
        loop {
            match select(ended.as_mut(), pin!(messages.recv())).await {
                Either::Right((Some(Ok(Message::Text(text))), _)) => {
                    connection.text(text).await.unwrap();
                }
                Either::Right((Some(Ok(_)), _)) => {}
                Either::Left(_) | Either::Right(_) => break,
            }
        }
        connection.close(None).await.ok();
    });
    Ok(response)
}

/// A client that speaks as much of RFC 6455 as the tests need.
struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr, headers: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "GET /echo HTTP/1.1\r\nHost: app.example\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (Self(stream), String::from_utf8(head).unwrap())
    }

    /// Sends a short text and reads what comes back.
    fn say(&mut self, text: &str) -> String {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126);
        // The mask is all zeros: the text as it is.
        let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.0.write_all(&frame).unwrap();
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, 0x81);
        String::from_utf8(payload).unwrap()
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut payload = vec![0; head[1].into()];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    /// Waits for the server to close the connection.
    fn is_closed(&mut self) -> bool {
        let (opcode, _) = self.frame();
        let mut rest = Vec::new();
        opcode == 0x88 && self.0.read_to_end(&mut rest).is_ok() && rest.is_empty()
    }
}

#[actix_web::test]
async fn a_websocket_is_closed_when_its_session_logs_out_elsewhere() {
    let fixture = Fixture::new().await;
    let (ada, bob) = (fixture.session(1).await, fixture.session(2).await);
    let auth = fixture.auth.clone();
    let app = move || App::new().configure(auth.configure()).service(echo).service(logout);
    let server = HttpServer::new(app).workers(2).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    rt::spawn(server);

    let clients = rt::task::spawn_blocking(move || {
        let header = |session: &Session| {
            format!("Sec-Fetch-Site: same-origin\r\nCookie: {}\r\n", cookie(session).1)
        };
        let (_, refused) = Client::connect(address, "");
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        let cross_site = header(&ada).replace("same-origin", "cross-site");
        let (_, refused) = Client::connect(address, &cross_site);
        assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");

        let (mut adas, accepted) = Client::connect(address, &header(&ada));
        assert!(accepted.starts_with("HTTP/1.1 101"), "{accepted}");
        let (mut bobs, _) = Client::connect(address, &header(&bob));
        assert_eq!(adas.say("hello"), "hello");
        assert_eq!(bobs.say("hello"), "hello");

        let mut elsewhere = TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /logout HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\
             Content-Length: 0\r\n{}\r\n",
            header(&ada)
        );
        elsewhere.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        elsewhere.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        assert!(adas.is_closed());
        assert_eq!(bobs.say("still here"), "still here");
    });
    clients.await.unwrap();
    handle.stop(false).await;
}
