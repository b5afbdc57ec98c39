//! A small OAuth 2 provider for this machine, so that the example runs without an account elsewhere.
//!
//! It knows one app and two people, asks for no password and forgets everything when it ends. It
//! checks what a provider has to check of an app: its name and secret, the exact address to return
//! to, each code once, and the PKCE verifier against the challenge (RFC 6749, RFC 7636).

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    get,
    http::header::{AUTHORIZATION, ContentType, LOCATION},
    post, web,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use oauth2::{CsrfToken, url::Url};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The name of the app at this provider.
pub const CLIENT_ID: &str = "example-app";
/// What the app proves itself by.
pub const CLIENT_SECRET: &str = "example-secret";

/// The subject, the name, and an e-mail address that nobody has verified: both say it is theirs.
const PEOPLE: [(&str, &str, &str); 2] =
    [("1001", "Ada", "ada@example.com"), ("1002", "Grace", "ada@example.com")];
const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <meta name=viewport content='width=device-width'><meta name=color-scheme content='light dark'>\
    <title>Local provider</title><style>button { font: inherit }</style>\
    <body style='font: 1.2rem sans-serif; margin: 2rem'><h1>Local provider</h1><p>An app asks who you are.";

/// The provider, at a free port of this machine.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    server: ServerHandle,
}

impl Provider {
    /// Starts it for an app that is returned to at this address. It runs as long as the runtime.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(redirect_url: &str) -> io::Result<Self> {
        let known = web::Data::new(Known {
            redirect_url: redirect_url.to_owned(),
            codes: Mutex::default(),
            tokens: Mutex::default(),
        });
        let app = move || {
            let services = (authorize_page, authorize, exchange_code, person_of_token);
            App::new().app_data(known.clone()).service(services)
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0))?;
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { address, server: handle })
    }

    /// The environment of an app that uses this provider.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        let url = |path: &str| format!("http://{}{path}", self.address);
        [
            ("OAUTH_CLIENT_ID", CLIENT_ID.to_owned()),
            ("OAUTH_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("OAUTH_AUTHORIZE_URL", url("/authorize")),
            ("OAUTH_TOKEN_URL", url("/token")),
            ("OAUTH_PERSON_URL", url("/person")),
        ]
    }

    /// Ends it: it answers no more.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }
}

/// What the provider knows of the app, and what it has given out.
struct Known {
    redirect_url: String,
    codes: Mutex<HashMap<String, Grant>>,
    tokens: Mutex<HashMap<String, usize>>,
}

/// What a code stands for.
struct Grant {
    person: usize,
    redirect_url: String,
    challenge: String,
}

/// What an app asks for by sending the browser here.
#[derive(serde::Deserialize)]
struct Asked {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

impl Asked {
    fn is_right(&self, known: &Known) -> bool {
        self.client_id == CLIENT_ID
            && self.redirect_uri == known.redirect_url
            && self.response_type == "code"
            && self.code_challenge_method == "S256"
    }
}

/// Asks the person who they are.
#[get("/authorize")]
async fn authorize_page(asked: web::Query<Asked>, known: web::Data<Known>) -> HttpResponse {
    if !asked.is_right(&known) {
        return asked_wrongly();
    }
    let button = |(number, person): (usize, &(&str, &str, &str))| {
        format!("<button name=person value={number}>I am {}</button>", person.1)
    };
    let buttons: Vec<String> = PEOPLE.iter().enumerate().map(button).collect();
    let cancel = "<button name=person value=''>Cancel</button>";
    let page = format!("{PAGE}<form method=post>{} {cancel}</form>", buttons.join(" "));
    HttpResponse::Ok().content_type(ContentType::html()).body(page)
}

/// Which of the buttons was pressed; nothing for "Cancel".
#[derive(serde::Deserialize)]
struct Pressed {
    person: String,
}

/// Sends the browser back to the app, with a code or an error.
#[post("/authorize")]
async fn authorize(
    asked: web::Query<Asked>,
    pressed: web::Form<Pressed>,
    known: web::Data<Known>,
) -> HttpResponse {
    if !asked.is_right(&known) {
        return asked_wrongly();
    }
    let person = pressed.person.parse().ok().filter(|number| *number < PEOPLE.len());
    let answer = match person {
        Some(person) => ("code", known.grant(person, &asked)),
        None => ("error", "access_denied".to_owned()),
    };
    let Ok(url) =
        Url::parse_with_params(&asked.redirect_uri, [answer, ("state", asked.state.clone())])
    else {
        return asked_wrongly();
    };
    HttpResponse::SeeOther().insert_header((LOCATION, url.as_str())).finish()
}

/// Nothing is sent back to an address that is not the app's: it may be an attacker's.
fn asked_wrongly() -> HttpResponse {
    HttpResponse::BadRequest().body("The app has asked wrongly.")
}

/// What an app brings in exchange for a token.
#[derive(serde::Deserialize)]
struct Exchange {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
}

/// Gives a token for a code.
#[post("/token")]
async fn exchange_code(
    exchange: web::Form<Exchange>,
    request: HttpRequest,
    known: web::Data<Known>,
) -> HttpResponse {
    let credentials = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    if !brings(&request, &format!("Basic {credentials}")) {
        return HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" }));
    }
    // Taken whether it fits or not: each code is tried once.
    let grant = lock(&known.codes).remove(&exchange.code);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&exchange.code_verifier));
    let grant = grant.filter(|grant| {
        exchange.grant_type == "authorization_code"
            && grant.redirect_url == exchange.redirect_uri
            && grant.challenge == challenge
    });
    let Some(grant) = grant else {
        return HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" }));
    };
    let token = secret();
    lock(&known.tokens).insert(token.clone(), grant.person);
    HttpResponse::Ok().json(json!({ "access_token": token, "token_type": "Bearer" }))
}

/// Says whose token it is.
#[get("/person")]
async fn person_of_token(request: HttpRequest, known: web::Data<Known>) -> HttpResponse {
    let tokens = lock(&known.tokens);
    let found = tokens.iter().find(|(token, _)| brings(&request, &format!("Bearer {token}")));
    let Some((_, person)) = found else { return HttpResponse::Unauthorized().finish() };
    let (subject, name, email) = PEOPLE[*person];
    HttpResponse::Ok().json(json!({
        "sub": subject, "name": name, "email": email, "email_verified": false,
    }))
}

impl Known {
    fn grant(&self, person: usize, asked: &Asked) -> String {
        let code = secret();
        let redirect_url = asked.redirect_uri.clone();
        let grant = Grant { person, redirect_url, challenge: asked.code_challenge.clone() };
        lock(&self.codes).insert(code.clone(), grant);
        code
    }
}

fn brings(request: &HttpRequest, authorization: &str) -> bool {
    request.headers().get(AUTHORIZATION).is_some_and(|given| given == authorization)
}

fn secret() -> String {
    CsrfToken::new_random().into_secret()
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
