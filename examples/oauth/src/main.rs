//! Login at an OAuth 2 provider: authorization code, PKCE and `state`.
//!
//! `cargo run -p oauth`, then open the address it prints. It starts a small provider on this machine
//! (`src/provider.rs`). For another one give its addresses, and what it knows the app by:
//! `OAUTH_AUTHORIZE_URL`, `OAUTH_TOKEN_URL`, `OAUTH_PERSON_URL` (OpenID Connect calls it "userinfo"),
//! `OAUTH_CLIENT_ID` and `OAUTH_CLIENT_SECRET`. It returns people to `http://$ADDR/callback`.
//!
//! Not shown: several providers (then an account is found by provider and subject together); one that
//! answers by a form (`response_mode=form_post`), which browsers send without the cookie; ID tokens
//! (the crate `openidconnect` checks them); refresh tokens; and a second way into an account.

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

/// A row of the app's own table. The provider's `subject` is what does not change: a name or an
/// e-mail address may, and may be anybody's until the provider says that it has verified it.
#[derive(sqlx::FromRow, AuthUser)]
#[auth_user(table = "accounts")]
struct Account {
    id: i64,
    name: String,
}

/// What is kept of a visitor before they have logged in, in the store: the browser has only the
/// cookie of a guest. So who has begun a login is the only one who can end it.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Guest {
    log_in: Option<LogIn>,
}

/// A login that has begun here and is now at the provider. A second one takes its place.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct LogIn {
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
            escaped(&user.name)
        ),
        None => format!("{PAGE}<p>Hello, stranger!<p><a href=/me>My account</a>"),
    })
}

#[get("/me")]
#[require_user(redirect = "/login")]
async fn me(user: User<Account>) -> impl Responder {
    web::Html::new(format!("{PAGE}<p>{} has account {}.", escaped(&user.name), user.id))
}

/// The form posts to the address that it was shown at, with the same `next`.
#[get("/login")]
#[with_session(guest_only = "/")]
async fn login_page() -> impl Responder {
    web::Html::new(format!(
        "{PAGE}<form method=post><button>Log in at the provider</button></form>"
    ))
}

/// Sends the browser to the provider.
#[post("/login")]
#[with_session]
async fn login(provider: web::Data<Provider>, locals: Locals) -> Result<impl Responder, Error> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let request = provider.client.authorize_url(CsrfToken::new_random);
    let request = request.add_scope(Scope::new("openid profile".to_owned()));
    let (url, state) = request.set_pkce_challenge(challenge).url();
    let log_in = LogIn {
        state: state.into_secret(),
        verifier: verifier.into_secret(),
        next: locals.return_to(),
    };
    locals.update_guest(|guest: &mut Guest| guest.log_in = Some(log_in.clone())).await?;
    Ok(web::Redirect::to(url.to_string()).see_other())
}

/// What the provider answers by way of the browser: a code, or an error.
#[derive(serde::Deserialize)]
struct Answer {
    #[serde(default)]
    state: String,
    code: Option<String>,
}

/// Where the provider sends the browser back to.
#[get("/callback")]
#[with_session]
async fn callback(
    answer: web::Query<Answer>,
    provider: web::Data<Provider>,
    database: web::Data<SqlitePool>,
    locals: Locals,
) -> Result<HttpResponse, Error> {
    // Taken out in one step: of two requests with the same answer, one finds it and the other nothing.
    let has_begun = |log_in: &mut LogIn| log_in.state == answer.state;
    let log_in = locals.update_guest(|guest: &mut Guest| guest.log_in.take_if(has_begun)).await?;
    let Some(log_in) = log_in else {
        let text = "This login was not begun in this browser, or is over.";
        return Ok(failure(StatusCode::BAD_REQUEST, text));
    };
    let Some(code) = answer.into_inner().code else {
        return Ok(failure(StatusCode::FORBIDDEN, "The provider has not logged you in."));
    };
    let person = match provider.person(code, log_in.verifier).await {
        Ok(person) => person,
        Err(error) => {
            eprintln!("the provider: {error}: {:?}", error.source());
            let text = "The provider does not confirm this login, or cannot be reached.";
            return Ok(failure(StatusCode::BAD_GATEWAY, text));
        }
    };
    let account = account_of(&person, &database).await?;
    locals.log_in(&account).await?;
    Ok(log_in.next.into())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

/// The account of a person, made at their first login. One statement: two at once make one account.
async fn account_of(person: &Person, database: &SqlitePool) -> sqlx::Result<Account> {
    let find_or_make = "INSERT INTO accounts (subject, name) VALUES (?, ?) \
        ON CONFLICT (subject) DO UPDATE SET name = excluded.name RETURNING id, name";
    sqlx::query_as(find_or_make).bind(&person.sub).bind(&person.name).fetch_one(database).await
}

/// Whom the provider has recognised, by the names of OpenID Connect.
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
        // The secret and the tokens go to the addresses above, and not where these point to.
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let http = http.timeout(Duration::from_secs(10)).build()?;
        Ok(Self { client, person_url: setting("OAUTH_PERSON_URL")?, http })
    }

    async fn person(&self, code: String, verifier: String) -> Result<Person, BoxError> {
        let exchange = self.client.exchange_code(AuthorizationCode::new(code));
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(verifier));
        let token = exchange.request_async(&self.http).await?;
        let question = self.http.get(&self.person_url).bearer_auth(token.access_token().secret());
        Ok(question.send().await?.error_for_status()?.json().await?)
    }
}

fn failure(status: StatusCode, text: &str) -> HttpResponse {
    let page = format!("{PAGE}<p>{text}<p><a href=/login>Try again</a>");
    HttpResponse::build(status).content_type(ContentType::html()).body(page)
}

fn escaped(text: &str) -> String {
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
    // Plain HTTP, for this demonstration. Behind HTTPS leave the cookie as it is by default.
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
