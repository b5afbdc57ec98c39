//! A small local OAuth 2 provider, so that the example runs without an account elsewhere.
//!
//! It knows one app and two people, asks for no password and keeps everything in memory. It checks
//! what a provider has to check: the client id and secret, the exact redirect URL, that each code is
//! used only once, and the PKCE verifier against the challenge (RFC 6749, RFC 7636).

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

/// The client id of the app.
pub const CLIENT_ID: &str = "example-app";
/// The client secret of the app.
pub const CLIENT_SECRET: &str = "example-secret";

/// Subject, name and e-mail address. Both claim the same address, which is not verified.
const PEOPLE: [(&str, &str, &str); 2] =
    [("1001", "Ada", "ada@example.com"), ("1002", "Grace", "ada@example.com")];
const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <meta name=viewport content='width=device-width'><meta name=color-scheme content='light dark'>\
    <title>Local provider</title><style>button { font: inherit }</style>\
    <body style='font: 1.2rem sans-serif; margin: 2rem'><h1>Local provider</h1><p>Log in to continue to the app.";

/// The provider, on a free local port.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    server: ServerHandle,
}

impl Provider {
    /// Starts it for an app with this redirect URL. It runs until the runtime ends.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(redirect_url: &str) -> io::Result<Self> {
        let data = web::Data::new(AppState {
            redirect_url: redirect_url.to_owned(),
            codes: Mutex::default(),
            tokens: Mutex::default(),
        });
        let app = move || {
            let services = (authorize_page, authorize, exchange_code, userinfo);
            App::new().app_data(data.clone()).service(services)
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0))?;
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Self { address, server: handle })
    }

    /// The environment variables for an app that uses this provider.
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

    /// Stops it.
    pub async fn stop(&self) {
        self.server.stop(false).await;
    }
}

/// The app, and the codes and tokens that were issued to it.
struct AppState {
    redirect_url: String,
    codes: Mutex<HashMap<String, Grant>>,
    tokens: Mutex<HashMap<String, usize>>,
}

/// What a code was issued for.
struct Grant {
    person: usize,
    redirect_url: String,
    challenge: String,
}

/// The authorization request of the app.
#[derive(serde::Deserialize)]
struct AuthorizationRequest {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

impl AuthorizationRequest {
    fn is_valid(&self, data: &AppState) -> bool {
        self.client_id == CLIENT_ID
            && self.redirect_uri == data.redirect_url
            && self.response_type == "code"
            && self.code_challenge_method == "S256"
    }
}

/// Asks the user who they are.
#[get("/authorize")]
async fn authorize_page(
    request: web::Query<AuthorizationRequest>,
    data: web::Data<AppState>,
) -> HttpResponse {
    if !request.is_valid(&data) {
        return invalid_request();
    }
    let button = |(number, person): (usize, &(&str, &str, &str))| {
        format!("<button name=person value={number}>Continue as {}</button>", person.1)
    };
    let buttons: Vec<String> = PEOPLE.iter().enumerate().map(button).collect();
    let cancel = "<button name=person value=''>Cancel</button>";
    let page = format!("{PAGE}<form method=post>{} {cancel}</form>", buttons.join(" "));
    HttpResponse::Ok().content_type(ContentType::html()).body(page)
}

/// The button that was clicked; empty for "Cancel".
#[derive(serde::Deserialize)]
struct Choice {
    person: String,
}

/// Redirects the browser back to the app, with a code or an error.
#[post("/authorize")]
async fn authorize(
    request: web::Query<AuthorizationRequest>,
    choice: web::Form<Choice>,
    data: web::Data<AppState>,
) -> HttpResponse {
    if !request.is_valid(&data) {
        return invalid_request();
    }
    let person = choice.person.parse().ok().filter(|number| *number < PEOPLE.len());
    let result = match person {
        Some(person) => ("code", data.issue_code(person, &request)),
        None => ("error", "access_denied".to_owned()),
    };
    let Ok(url) =
        Url::parse_with_params(&request.redirect_uri, [result, ("state", request.state.clone())])
    else {
        return invalid_request();
    };
    HttpResponse::SeeOther().insert_header((LOCATION, url.as_str())).finish()
}

/// Does not redirect, because the redirect URL may be an attacker's.
fn invalid_request() -> HttpResponse {
    HttpResponse::BadRequest().body("Invalid authorization request.")
}

/// The token request of the app.
#[derive(serde::Deserialize)]
struct TokenRequest {
    grant_type: String,
    code: String,
    redirect_uri: String,
    code_verifier: String,
}

/// Exchanges a code for a token.
#[post("/token")]
async fn exchange_code(
    form: web::Form<TokenRequest>,
    request: HttpRequest,
    data: web::Data<AppState>,
) -> HttpResponse {
    let credentials = BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    if !has_authorization(&request, &format!("Basic {credentials}")) {
        return HttpResponse::Unauthorized().json(json!({ "error": "invalid_client" }));
    }
    // Removed even if the request does not match: each code can be tried only once.
    let grant = lock(&data.codes).remove(&form.code);
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form.code_verifier));
    let grant = grant.filter(|grant| {
        form.grant_type == "authorization_code"
            && grant.redirect_url == form.redirect_uri
            && grant.challenge == challenge
    });
    let Some(grant) = grant else {
        return HttpResponse::BadRequest().json(json!({ "error": "invalid_grant" }));
    };
    let token = random_secret();
    lock(&data.tokens).insert(token.clone(), grant.person);
    HttpResponse::Ok().json(json!({ "access_token": token, "token_type": "Bearer" }))
}

/// Returns the user of a token.
#[get("/person")]
async fn userinfo(request: HttpRequest, data: web::Data<AppState>) -> HttpResponse {
    let tokens = lock(&data.tokens);
    let found =
        tokens.iter().find(|(token, _)| has_authorization(&request, &format!("Bearer {token}")));
    let Some((_, person)) = found else { return HttpResponse::Unauthorized().finish() };
    let (subject, name, email) = PEOPLE[*person];
    HttpResponse::Ok().json(json!({
        "sub": subject, "name": name, "email": email, "email_verified": false,
    }))
}

impl AppState {
    fn issue_code(&self, person: usize, request: &AuthorizationRequest) -> String {
        let code = random_secret();
        let redirect_url = request.redirect_uri.clone();
        let grant = Grant { person, redirect_url, challenge: request.code_challenge.clone() };
        lock(&self.codes).insert(code.clone(), grant);
        code
    }
}

fn has_authorization(request: &HttpRequest, authorization: &str) -> bool {
    request.headers().get(AUTHORIZATION).is_some_and(|value| value == authorization)
}

fn random_secret() -> String {
    CsrfToken::new_random().into_secret()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
