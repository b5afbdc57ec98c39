//! The app that runs: does what the commands say, and tells what is seen in the terms of the rules.

use std::{future::Future, pin::Pin, rc::Rc, time::Duration};

use actix_web::{
    App,
    body::to_bytes,
    http::header::SET_COOKIE,
    test::{TestRequest, call_service, init_service},
};
use locals::{
    Auth, ManualClock, SessionId, SessionInfo, SessionState, SessionToken, Timestamp,
    store::SessionUserStore,
};
use serde::Deserialize;

use crate::{
    app::{Account, handlers, lifetime},
    command::{Command, Presented, Route, State},
    places::Place,
    rules::Model,
    spectator::Spectator,
    terms::{Answer, Cookie, Listed, MAX_SESSIONS, OVERLAP, ROTATE_EVERY},
};

pub struct World<'a, P> {
    place: &'a P,
    clock: ManualClock,
    rotates: bool,
    auth: Auth<Account>,
    app: Client,
    /// The same app, where nothing that is asked changes anything.
    spectator: Client,
    /// All that were issued, and the ids of their sessions, in order.
    tokens: Vec<String>,
    sessions: Vec<SessionId>,
}

impl<'a, P: Place> World<'a, P> {
    pub async fn new(place: &'a P, rotates: bool, now: i64) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(now));
        let (auth, app, spectator) = start(place, &clock, rotates).await;
        let (tokens, sessions) = (Vec::new(), Vec::new());
        Self { place, clock, rotates, auth, app, spectator, tokens, sessions }
    }

    /// Does what a command says, and tells what came of it. The model says what it is about.
    pub async fn act(&mut self, command: &Command, model: &Model) -> Answer {
        match command {
            Command::Request(presented, route) => {
                let request = asked_for_by(route, self.request(route, model));
                let request = self.carrying(presented, request, model);
                let reply = (self.app)(request).await;
                return self.seen(&reply);
            }
            Command::Validate(presented) => {
                let token = self.token(presented, model).unwrap_or_default();
                let session = self.auth.validate_session(&token).await.unwrap();
                return Answer::Opens(session.map(|session| self.number(session.id())));
            }
            Command::EndSessionsOf(user) => {
                return Answer::Count(self.auth.invalidate_user_sessions(*user).await.unwrap());
            }
            Command::Sweep => {
                return Answer::Count(self.auth.delete_expired_sessions().await.unwrap());
            }
            Command::UserBecomes(user, State::Deleted) => self.place.remove(*user).await,
            Command::UserBecomes(user, state) => {
                let is_enabled = matches!(state, State::Enabled);
                self.place.put(Account { id: *user, is_enabled }).await;
            }
            // The clock is that of the model.
            Command::Advance(_) => {}
            Command::Restart => {
                (self.auth, self.app, self.spectator) =
                    start(self.place, &self.clock, self.rotates).await;
            }
        }
        Answer::Done
    }

    pub fn set_clock(&self, now: i64) {
        self.clock.set(Timestamp::from_millis(now));
    }

    /// What `GET /me` answers to a token, without any consequence.
    pub async fn me(&self, token: usize) -> (u16, String) {
        let request = with_cookie(TestRequest::get().uri("/me"), &self.tokens[token]);
        let reply = (self.spectator)(request).await;
        (reply.status, said(&reply.body))
    }

    pub async fn listed(&self, user: i64) -> Vec<Listed> {
        let list = self.auth.user_sessions(user).await.unwrap();
        let listed = |info: SessionInfo| Listed {
            session: self.number(info.id),
            created: info.created_at.as_millis(),
            proved: info.authenticated_at.as_millis(),
            renewed: info.renewed_at.as_millis(),
            active: info.active_expires_at.as_millis(),
            idle: info.idle_expires_at.as_millis(),
            absolute: info.absolute_expires_at.as_millis(),
            is_idle: info.state == SessionState::Idle,
            is_remembered: info.is_persistent,
        };
        list.into_iter().map(listed).collect()
    }

    pub async fn rows(&self) -> usize {
        self.place.rows().await
    }

    fn request(&self, route: &Route, model: &Model) -> TestRequest {
        let (get, post) = (TestRequest::get, TestRequest::post);
        match *route {
            Route::Me { .. } => get().uri("/me"),
            Route::Home { .. } => get().uri("/home"),
            Route::Seen => get().uri("/seen"),
            Route::Recent => get().uri("/recent"),
            Route::Sessions => get().uri("/sessions"),
            Route::LogIn(user, stay) => {
                let password_is_right = model.may_log_in(user);
                post().uri(&format!("/login/{user}/{password_is_right}/{stay:?}"))
            }
            Route::LogOut => post().uri("/logout"),
            Route::LogOutOthers => post().uri("/logout-others"),
            Route::LogOutEverywhere => post().uri("/logout-everywhere"),
            Route::Reauthenticate => post().uri("/reauthenticate"),
            Route::Write(number) => post().uri(&format!("/write/{number}")),
            Route::EndUnknown => end(None),
            Route::End(back) => {
                let session = model.token(back).map(|token| model.session_of(token));
                end(session.map(|session| self.sessions[session]))
            }
        }
    }

    fn carrying(&self, presented: &Presented, request: TestRequest, model: &Model) -> TestRequest {
        let Some(token) = self.token(presented, model) else { return request };
        let request = with_cookie(request, &token);
        match presented {
            Presented::Beside(_) => with_cookie(request, &never_issued()),
            _ => request,
        }
    }

    fn token(&self, presented: &Presented, model: &Model) -> Option<String> {
        let issued = |back| model.token(back).map(|token| self.tokens[token].clone());
        match *presented {
            Presented::Nothing => None,
            Presented::Issued(back) | Presented::Beside(back) => issued(back),
            // The id is 16 bytes, which end within the 22nd character of Base64.
            Presented::Forged(back) => {
                issued(back).map(|token| token[..24].to_owned() + &never_issued()[24..])
            }
            Presented::NeverIssued => Some(never_issued()),
            Presented::Garbage => Some("garbage".to_owned()),
        }
    }

    /// A response in the terms of the rules. A token that was not seen before is the next one.
    fn seen(&mut self, reply: &Reply) -> Answer {
        let cookie = match &*reply.cookies {
            [] => Cookie::Kept,
            [cookie] => self.cookie(cookie),
            several => panic!("more than one cookie: {several:?}"),
        };
        let body = match serde_json::from_str::<Vec<Device>>(&reply.body) {
            Ok(list) => {
                let list = list.iter().map(|device| (self.number(device.id), device.is_current));
                format!("{:?}", list.collect::<Vec<_>>())
            }
            Err(_) => said(&reply.body),
        };
        Answer::Response { status: reply.status, body, cookie }
    }

    fn cookie(&mut self, cookie: &str) -> Cookie {
        let (value, attributes) = cookie.split_once(';').unwrap();
        let token = value.strip_prefix("__Host-session=").unwrap();
        let mut attributes = attributes.split(';').map(str::trim);
        let max_age = attributes.find_map(|attribute| attribute.strip_prefix("Max-Age="));
        let max_age = max_age.map(|seconds| seconds.parse().unwrap());
        if token.is_empty() {
            assert_eq!(max_age, Some(0), "a removal: {cookie}");
            return Cookie::Removed;
        }
        let known = self.tokens.iter().position(|issued| issued == token);
        let token = known.unwrap_or_else(|| {
            let session = id_of(token);
            if !self.sessions.contains(&session) {
                self.sessions.push(session);
            }
            self.tokens.push(token.to_owned());
            self.tokens.len() - 1
        });
        Cookie::Set { token, max_age }
    }

    fn number(&self, session: SessionId) -> usize {
        self.sessions.iter().position(|id| *id == session).expect("a session with a known token")
    }
}

/// The app of a process that starts now, and one that looks at the same store.
async fn start<P: Place>(
    place: &P,
    clock: &ManualClock,
    rotates: bool,
) -> (Auth<Account>, Client, Client) {
    let auth = build(place.open().await, clock, rotates);
    let spectator = build(Spectator(place.open().await), clock, rotates);
    let (app, spectator) = (client(&auth).await, client(&spectator).await);
    (auth, app, spectator)
}

fn build(
    store: impl SessionUserStore<Account>,
    clock: &ManualClock,
    rotates: bool,
) -> Auth<Account> {
    let builder =
        Auth::builder(store).clock(clock.clone()).lifetime(lifetime()).max_sessions(MAX_SESSIONS);
    let [every, overlap] =
        [ROTATE_EVERY, OVERLAP].map(|millis| Duration::from_millis(millis.unsigned_abs()));
    let builder =
        if rotates { builder.rotate_every(every).rotation_overlap(overlap) } else { builder };
    builder.build().unwrap()
}

type Client = Rc<dyn Fn(TestRequest) -> Pin<Box<dyn Future<Output = Reply>>>>;

struct Reply {
    status: u16,
    cookies: Vec<String>,
    body: String,
}

async fn client(auth: &Auth<Account>) -> Client {
    let app = App::new().configure(auth.configure()).configure(handlers);
    let service = Rc::new(init_service(app).await);
    Rc::new(move |request| {
        let service = Rc::clone(&service);
        Box::pin(async move {
            let response = call_service(&*service, request.to_request()).await;
            let status = response.status().as_u16();
            let cookies = response.headers().get_all(SET_COOKIE);
            let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned());
            // The removals in the scope that this app does not have are no answer of the model's.
            let cookies = cookies.filter(|cookie| !cookie.contains("Partitioned")).collect();
            let body = to_bytes(response.into_body()).await.ok().unwrap();
            Reply { status, cookies, body: String::from_utf8(body.to_vec()).unwrap() }
        })
    })
}

/// What a list of sessions says of each.
#[derive(Deserialize)]
struct Device {
    id: SessionId,
    is_current: bool,
}

fn end(session: Option<SessionId>) -> TestRequest {
    let id = session.unwrap_or_else(|| id_of(&never_issued()));
    TestRequest::delete().uri(&format!("/sessions/{id}"))
}

/// What a browser says of a page that it shows, and of what a script of the page asks for.
fn asked_for_by(route: &Route, request: TestRequest) -> TestRequest {
    let (mode, destination) = match route {
        Route::Me { to_a_person: true } | Route::Home { to_a_person: true } => {
            ("navigate", "document")
        }
        _ => ("cors", "empty"),
    };
    request
        .insert_header(("Sec-Fetch-Site", "same-origin"))
        .insert_header(("Sec-Fetch-Mode", mode))
        .insert_header(("Sec-Fetch-Dest", destination))
}

fn with_cookie(request: TestRequest, token: &str) -> TestRequest {
    request.append_header(("Cookie", format!("__Host-session={token}")))
}

fn never_issued() -> String {
    "A".repeat(64)
}

fn id_of(token: &str) -> SessionId {
    token.parse::<SessionToken>().unwrap().id()
}

/// What is said to people and to programs: the title of a problem or of its page.
fn said(body: &str) -> String {
    let marks = [(r#""title":""#, "\""), ("<title>", "</title>")];
    let title = marks.into_iter().find_map(|(before, after)| {
        let (_, rest) = body.split_once(before)?;
        Some(rest.split_once(after)?.0)
    });
    title.unwrap_or(body).to_owned()
}
