//! An app whose cookie has another scope in each of two versions, in one Chromium.
//!
//! The versions stand on two ports of one host, which share its cookies.

use std::net::TcpListener;

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, Responder,
    dev::ServerHandle,
    get,
    http::header::{COOKIE, SET_COOKIE},
    post, web,
};
use hardening::app::{Account, open};
use locals::{Auth, CookieConfig, Error, Locals, Session, require_user, with_session};
use programs::{Browser, keeping_pictures};
use tempfile::TempDir;

/// Of two labels above `localhost`, which Chromium takes for a public suffix.
const HOST: &str = "sub.app.localhost";

#[derive(Debug, Clone, Copy, PartialEq)]
struct Scope {
    name: &'static str,
    domain: Option<&'static str>,
    path: &'static str,
    is_partitioned: bool,
}

const OF_HOST: Scope =
    Scope { name: "__Secure-session", domain: None, path: "/", is_partitioned: false };
const OF_DOMAIN: Scope = Scope { domain: Some("app.localhost"), ..OF_HOST };
const OF_HOST_AS_DOMAIN: Scope = Scope { domain: Some(HOST), ..OF_HOST };
const OF_PATH: Scope = Scope { path: "/app", ..OF_HOST };
const OF_FOLDER: Scope = Scope { path: "/app/", ..OF_HOST };
const PARTITIONED: Scope = Scope { is_partitioned: true, ..OF_HOST };
const ALL_ELSE: Scope = Scope { is_partitioned: true, path: "/app", ..OF_DOMAIN };
const BOUND: Scope = Scope { name: "__Host-session", ..OF_HOST };
const BOUND_PARTITIONED: Scope = Scope { is_partitioned: true, ..BOUND };

/// Each is deployed in place of the other.
const DEPLOYMENTS: [(Scope, Scope); 8] = [
    (OF_HOST, OF_DOMAIN),
    (OF_HOST, OF_HOST_AS_DOMAIN),
    (OF_DOMAIN, OF_HOST_AS_DOMAIN),
    (OF_HOST, OF_PATH),
    (OF_PATH, OF_FOLDER),
    (OF_HOST, PARTITIONED),
    (OF_HOST, ALL_ELSE),
    (BOUND, BOUND_PARTITIONED),
];

impl Scope {
    fn config(self) -> CookieConfig {
        let config = CookieConfig::default().name(self.name).path(self.path);
        let config = config.partitioned(self.is_partitioned);
        match self.domain {
            Some(domain) => config.domain(domain),
            None => config,
        }
    }

    /// What a version that knows of no other scope has sent.
    fn header(self, token: &str) -> String {
        let Self { name, path, .. } = self;
        let domain = self.domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let partitioned = if self.is_partitioned { "; Partitioned" } else { "" };
        format!("{name}={token}; HttpOnly; Secure; SameSite=Lax; Path={path}{domain}{partitioned}")
    }
}

/// One version of the app, until it is dropped.
struct Version {
    auth: Auth<Account>,
    port: u16,
    server: ServerHandle,
}

impl Version {
    async fn start(database: &TempDir, scope: Scope) -> Self {
        let url = database.path().join("app.db").display().to_string();
        let auth = open(&url).await.unwrap().cookie(scope.config()).build().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let known = auth.clone();
        let server = HttpServer::new(move || {
            App::new()
                .configure(known.configure())
                .service((blank, presented, toss, log_in, log_out, me))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { auth, port, server: handle }
    }

    /// Gives the browser a session as this version gave them, whatever else it has.
    async fn gave(&self, browser: &Browser, scope: Scope) {
        let account = Account { id: 1, name: String::new() };
        let session = self.auth.create_session(&account).await.unwrap();
        let header = scope.header(session.token().expose_secret());
        assert_eq!(self.fetch(browser, "POST", "/app/toss", &header).await, "tossed");
    }

    /// What a page of this version is answered.
    async fn fetch(&self, browser: &Browser, method: &str, path: &str, body: &str) -> String {
        browser.open(&format!("http://{HOST}:{}/app/blank", self.port)).await;
        let body = if method == "GET" { String::new() } else { format!(", body: '{body}'") };
        let script = format!(
            "const answer = await fetch('{path}', {{ method: '{method}'{body} }}); \
             return answer.ok ? await answer.text() : String(answer.status)"
        );
        browser.async_script(&script).await.as_str().unwrap().to_owned()
    }

    async fn presented(&self, browser: &Browser) -> String {
        self.fetch(browser, "GET", "/app/presented", "").await
    }

    async fn me(&self, browser: &Browser) -> String {
        self.fetch(browser, "GET", "/app/me", "").await
    }

    async fn sessions(&self) -> usize {
        self.auth.user_sessions(1).await.unwrap().len()
    }

    async fn log_in(&self, browser: &Browser) {
        assert_eq!(self.fetch(browser, "POST", "/app/login", "").await, "in");
    }

    async fn log_out(&self, browser: &Browser) {
        assert_eq!(self.fetch(browser, "POST", "/app/logout", "").await, "out");
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

#[get("/app/blank")]
async fn blank() -> impl Responder {
    web::Html::new("<!doctype html><title>blank</title><p>blank")
}

/// How many session cookies the browser presents.
#[get("/app/presented")]
async fn presented(request: HttpRequest) -> String {
    let cookies = request.headers().get_all(COOKIE);
    let names = cookies.flat_map(|value| value.to_str().unwrap().split("; "));
    let ours = names.filter(|pair| {
        pair.starts_with("__Secure-session=") || pair.starts_with("__Host-session=")
    });
    ours.count().to_string()
}

/// Sets whatever cookie it is told to.
#[post("/app/toss")]
async fn toss(header: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((SET_COOKIE, header)).body("tossed")
}

#[post("/app/login")]
#[with_session]
async fn log_in(locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account { id: 1, name: String::new() }).await?;
    Ok("in")
}

#[post("/app/logout")]
#[with_session]
async fn log_out(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

#[get("/app/me")]
#[require_user]
async fn me(session: Session) -> String {
    session.user_id().to_string()
}

/// Runs a test in a new browser for each deployment, there and back.
async fn deployed(test: impl AsyncFn(&Browser, [Scope; 2], [&Version; 2])) {
    let browser = Browser::start().await;
    // In a box: it is large.
    let all = Box::pin(async {
        for (one, other) in DEPLOYMENTS {
            for scopes in [[one, other], [other, one]] {
                println!("{scopes:?}");
                let database = TempDir::new().unwrap();
                let before = Version::start(&database, scopes[0]).await;
                let after = Version::start(&database, scopes[1]).await;
                test(&browser, scopes, [&before, &after]).await;
                assert_eq!(after.presented(&browser).await, "0", "{scopes:?}");
                assert_eq!(after.sessions().await, 0, "{scopes:?}");
            }
        }
    });
    keeping_pictures(&[&browser], env!("CARGO_TARGET_TMPDIR").as_ref(), all).await;
}

#[actix_web::test]
async fn a_browser_with_a_cookie_of_another_scope_needs_one_login_and_one_logout() {
    deployed(async |browser, scopes, [before, after]| {
        before.log_in(browser).await;
        assert_eq!(after.me(browser).await, "1", "{scopes:?}");
        after.log_in(browser).await;
        assert_eq!(after.me(browser).await, "1", "{scopes:?}");
        assert_eq!(after.presented(browser).await, "1", "{scopes:?}");
        assert_eq!(after.sessions().await, 1, "{scopes:?}");
        after.log_out(browser).await;

        before.log_in(browser).await;
        after.log_out(browser).await;
    })
    .await;
}

#[actix_web::test]
async fn a_browser_that_presents_two_sessions_needs_one_login_and_one_logout() {
    deployed(async |browser, scopes, [before, after]| {
        for verb in ["log in", "log out"] {
            before.gave(browser, scopes[0]).await;
            after.gave(browser, scopes[1]).await;
            assert_eq!(after.presented(browser).await, "2", "{scopes:?}");
            assert_eq!(after.me(browser).await, "401", "{scopes:?}");
            assert_eq!(after.sessions().await, 2, "{scopes:?}");
            if verb == "log in" {
                after.log_in(browser).await;
                assert_eq!(after.me(browser).await, "1", "{scopes:?}");
                assert_eq!(after.presented(browser).await, "1", "{scopes:?}");
                assert_eq!(after.sessions().await, 1, "{scopes:?}");
            }
            after.log_out(browser).await;
            assert_eq!(after.presented(browser).await, "0", "{scopes:?}");
            assert_eq!(after.sessions().await, 0, "{scopes:?}");
        }
    })
    .await;
}
