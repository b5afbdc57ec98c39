//! Login with an OAuth 2 provider: authorization code, PKCE and `state`.
//!
//! `cargo run -p oauth`, then open the address it prints. It starts a small local provider
//! (`src/provider.rs`). To use another one, set `OAUTH_AUTHORIZE_URL`, `OAUTH_TOKEN_URL`,
//! `OAUTH_PERSON_URL` (the "userinfo" endpoint of OpenID Connect), `OAUTH_CLIENT_ID` and
//! `OAUTH_CLIENT_SECRET`. The redirect URL of the app is `http://$ADDR/callback`.
//!
//! Not shown: several providers (identify accounts by provider and subject together);
//! `response_mode=form_post`, where the browser posts the form without the cookie; ID tokens (the
//! crate `openidconnect` verifies them); refresh tokens; linking several logins to one account.

use std::{collections::HashMap, env, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer, Responder, get,
    http::{StatusCode, header::ContentType},
    post, web,
};
use locals::{
    Auth, AuthUser, BoxError, CookieConfig, Error, Locals, SafeRedirect, User, require_user,
    store::SqlStore, with_session,
};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse, TokenUrl,
    basic::BasicClient,
};
use sqlx::SqlitePool;

const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <meta name=viewport content='width=device-width'><meta name=color-scheme content='light dark'>\
    <title>oauth</title><style>button { font: inherit }</style>\
    <body style='font: 1.2rem sans-serif; margin: 2rem'><h1>oauth</h1>";

/// A row of the app's own table. Accounts are identified by the provider's `subject`, which never
/// changes. A name or an e-mail address can change, and the address may not be verified.
#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    name: String,
}

/// The guest data of a visitor. It is in the store, and the browser has only the guest cookie. So a
/// login can only be finished in the browser that started it.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Guest {
    pending: Option<PendingLogin>,
}

/// A login that waits for the response of the provider. Starting another one replaces it.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct PendingLogin {
    state: String,
    verifier: String,
    next: SafeRedirect,
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Account>>) -> impl Responder {
    web::Html::new(match user {
        Some(user) => format!(
            "{PAGE}<p>Logged in as <b>{}</b>.<p><a href=/me>My account</a>\
             <form method=post action=/logout><button>Log out</button></form>",
            escape(&user.name)
        ),
        None => format!("{PAGE}<p>You are not logged in.<p><a href=/me>My account</a>"),
    })
}

#[get("/me")]
#[require_user(redirect = "/login")]
async fn me(user: User<Account>) -> impl Responder {
    web::Html::new(format!("{PAGE}<p>Logged in as {}, account {}.", escape(&user.name), user.id))
}

/// The form has no `action`, so it posts to the current URL and keeps the parameter `next`.
#[get("/login")]
#[with_session(guest_only = "/")]
async fn login_page() -> impl Responder {
    web::Html::new(format!(
        "{PAGE}<form method=post><button>Log in with the provider</button></form>"
    ))
}

/// Redirects the browser to the provider.
#[post("/login")]
#[with_session]
async fn login(provider: web::Data<Provider>, locals: Locals) -> Result<impl Responder, Error> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let request = provider.client.authorize_url(CsrfToken::new_random);
    let request = request.add_scope(Scope::new("openid profile".to_owned()));
    let (url, state) = request.set_pkce_challenge(challenge).url();
    let pending = PendingLogin {
        state: state.into_secret(),
        verifier: verifier.into_secret(),
        next: locals.return_to(),
    };
    locals.update_guest(|guest: &mut Guest| guest.pending = Some(pending.clone())).await?;
    Ok(web::Redirect::to(url.to_string()).see_other())
}

/// The response of the provider, which comes as query parameters: a code or an error.
#[derive(serde::Deserialize)]
struct Callback {
    #[serde(default)]
    state: String,
    code: Option<String>,
}

/// The provider redirects the browser to this URL.
#[get("/callback")]
#[with_session]
async fn callback(
    query: web::Query<Callback>,
    provider: web::Data<Provider>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> Result<HttpResponse, Error> {
    // This is atomic: of two simultaneous requests with the same `state`, only one finds the login.
    let matches = |pending: &mut PendingLogin| pending.state == query.state;
    let pending = locals.update_guest(|guest: &mut Guest| guest.pending.take_if(matches)).await?;
    let Some(pending) = pending else {
        let text = "This login was not started in this browser, or is already finished.";
        return Ok(error_page(StatusCode::BAD_REQUEST, text));
    };
    let Some(code) = query.into_inner().code else {
        return Ok(error_page(StatusCode::FORBIDDEN, "The provider did not log you in."));
    };
    let person = match provider.person(code, pending.verifier).await {
        Ok(person) => person,
        Err(error) => {
            eprintln!("provider error: {error}: {:?}", error.source());
            let text = "The provider rejected this login or cannot be reached.";
            return Ok(error_page(StatusCode::BAD_GATEWAY, text));
        }
    };
    let account = find_or_create(&person, &database).await?;
    locals.log_in(&account).await?;
    Ok(pending.next.into())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

/// Returns the account of this person and creates it at the first login. A single statement, so that
/// two simultaneous logins create only one account.
async fn find_or_create(person: &Person, database: &SqlitePool) -> sqlx::Result<Account> {
    let upsert = "INSERT INTO accounts (subject, name) VALUES (?, ?) \
        ON CONFLICT (subject) DO UPDATE SET name = excluded.name RETURNING id, name";
    sqlx::query_as(upsert).bind(&person.sub).bind(&person.name).fetch_one(database).await
}

/// The user at the provider, with the field names of OpenID Connect.
#[derive(serde::Deserialize)]
struct Person {
    sub: String,
    #[serde(default)]
    name: String,
}

struct Provider {
    client: BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>,
    person_url: String,
    http: reqwest::Client,
}

impl Provider {
    fn new(
        setting: impl Fn(&'static str) -> Result<String, String>,
        redirect_url: String,
    ) -> Result<Self, BoxError> {
        let client = BasicClient::new(ClientId::new(setting("OAUTH_CLIENT_ID")?))
            .set_client_secret(ClientSecret::new(setting("OAUTH_CLIENT_SECRET")?))
            .set_auth_uri(AuthUrl::new(setting("OAUTH_AUTHORIZE_URL")?)?)
            .set_token_uri(TokenUrl::new(setting("OAUTH_TOKEN_URL")?)?)
            .set_redirect_uri(RedirectUrl::new(redirect_url)?);
        // No redirects: the secret and the tokens must only be sent to the configured URLs.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = http.timeout(Duration::from_secs(10)).build()?;
        Ok(Self { client, person_url: setting("OAUTH_PERSON_URL")?, http })
    }

    async fn person(&self, code: String, verifier: String) -> Result<Person, BoxError> {
        let exchange = self.client.exchange_code(AuthorizationCode::new(code));
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let token = exchange.request_async(&self.http).await?;
        let request = self.http.get(&self.person_url).bearer_auth(token.access_token().secret());
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

fn error_page(status: StatusCode, text: &str) -> HttpResponse {
    let page = format!("{PAGE}<p>{text}<p><a href=/login>Try again</a>");
    HttpResponse::build(status).content_type(ContentType::html()).body(page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    let store = SqlStore::sqlite("sqlite::memory:").await?;
    let database = store.pool().clone();
    let create = "CREATE TABLE IF NOT EXISTS accounts \
        (id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL UNIQUE, name TEXT NOT NULL)";
    sqlx::query(create).execute(&database).await?;
    store.migrate().await?;
    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Account>::builder(store).cookie(cookie).build()?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    let redirect_url = format!("http://{address}/callback");
    let local = match env::var_os("OAUTH_CLIENT_ID") {
        Some(_) => HashMap::new(),
        None => provider::Provider::start(&redirect_url)?.environment().into(),
    };
    let setting = |name| {
        let given = local.get(name).cloned().or_else(|| env::var(name).ok());
        given.ok_or_else(|| format!("{name} is not set"))
    };
    let provider = web::Data::new(Provider::new(setting, redirect_url)?);

    println!("Open http://{address}");
    let app = move || {
        let app = App::new().configure(auth.configure()).app_data(provider.clone());
        let app = app.app_data(web::Data::new(database.clone()));
        app.service((home, me, login_page, login, callback, logout))
    };
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}
