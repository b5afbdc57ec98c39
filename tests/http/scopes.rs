//! An app that is deployed with a cookie of another scope: browsers hold the old one and the new one,
//! and present both. What the server has made, it can leave.

use std::{collections::HashMap, time::Duration};

use actix_web::{
    App, get,
    http::{Method, StatusCode},
    post,
    test::{TestRequest, init_service},
    web,
};
use locals::{
    Auth, AuthBuilder, CookieConfig, Error, Locals, SameSite, Session, require_user, with_session,
};

use crate::{
    send,
    support::{Account, Cart, Fixture, Reply},
};

const HOST: &str = "app.example.test";

#[post("/app/login/{id}")]
#[with_session(cross_origin)]
async fn login(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.log_in(&Account::of(*id)).await?;
    Ok("in")
}

#[post("/app/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<&'static str, Error> {
    locals.log_out().await?;
    Ok("out")
}

#[post("/app/everywhere")]
#[with_session]
async fn everywhere(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_everywhere().await?.to_string())
}

#[post("/app/clear")]
#[with_session]
async fn clear(locals: Locals) -> &'static str {
    locals.clear_session();
    "cleared"
}

#[post("/app/confirm")]
#[require_user]
async fn confirm(locals: Locals) -> Result<&'static str, Error> {
    locals.reauthenticate().await?;
    Ok("confirmed")
}

#[post("/app/others")]
#[require_user]
async fn others(locals: Locals) -> Result<String, Error> {
    Ok(locals.log_out_other_sessions().await?.to_string())
}

#[post("/app/act/{id}")]
#[require_user]
async fn act(id: web::Path<i64>, locals: Locals) -> Result<&'static str, Error> {
    locals.impersonate(&Account::of(*id)).await?;
    Ok("acting")
}

#[post("/app/stop")]
#[require_user]
async fn stop(locals: Locals) -> Result<&'static str, Error> {
    locals.stop_impersonating().await?;
    Ok("stopped")
}

#[get("/app/me")]
#[require_user]
async fn me(session: Session) -> String {
    session.user_id().to_string()
}

#[post("/app/add/{item}")]
#[with_session]
async fn add(item: web::Path<u32>, locals: Locals) -> Result<String, Error> {
    locals.update_guest(|cart: &mut Cart| cart.items.push(*item)).await?;
    cart(&locals).await
}

#[get("/app/cart")]
#[with_session]
async fn show(locals: Locals) -> Result<String, Error> {
    cart(&locals).await
}

#[post("/app/forget")]
#[with_session]
async fn forget(locals: Locals) -> Result<String, Error> {
    locals.forget_guest().await?;
    cart(&locals).await
}

async fn cart(locals: &Locals) -> Result<String, Error> {
    Ok(format!("{:?}", locals.guest::<Cart>().await?.items))
}

/// What tells a cookie from others in a browser: name, domain, path, partition.
type Key = (String, Option<String>, String, bool);

/// The cookies of a browser that asks `HOST` alone, over HTTPS (RFC 6265bis §5.7, CHIPS).
#[derive(Clone, Default)]
struct Jar(HashMap<Key, String>);

impl Jar {
    fn keep(&mut self, reply: &Reply) {
        for line in reply.all_set_cookies() {
            self.set(line);
        }
    }

    fn set(&mut self, line: &str) {
        let (pair, attributes) = line.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let attributes: HashMap<_, _> = attributes
            .split("; ")
            .map(|attribute| attribute.split_once('=').unwrap_or((attribute, "")))
            .collect();
        let domain = attributes.get("Domain").copied();
        let (is_secure, is_partitioned) =
            (attributes.contains_key("Secure"), attributes.contains_key("Partitioned"));
        let is_bound = name.starts_with("__Host-");
        let is_refused = domain.is_some_and(|domain| {
            let is_ours = HOST == domain || HOST.ends_with(&format!(".{domain}"));
            !is_ours || domain == "test" || is_bound
        }) || (is_bound && attributes["Path"] != "/")
            || (!is_secure && (name.starts_with("__") || is_partitioned));
        if is_refused {
            return;
        }
        let path = attributes["Path"].to_owned();
        let key = (name.to_owned(), domain.map(str::to_owned), path, is_partitioned);
        if attributes.get("Max-Age") == Some(&"0") {
            self.0.remove(&key);
        } else {
            self.0.insert(key, value.to_owned());
        }
    }

    fn header(&self, path: &str) -> String {
        let is_sent = |cookie: &str| {
            let rest = path.strip_prefix(cookie);
            rest.is_some_and(|it| it.is_empty() || cookie.ends_with('/') || it.starts_with('/'))
        };
        let sent = self.0.iter().filter(|((_, _, path, _), _)| is_sent(path));
        sent.map(|((name, ..), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// That of a browser which has been given the cookies of both.
    fn and(&self, other: &Self) -> Self {
        Self(self.0.clone().into_iter().chain(other.0.clone()).collect())
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// One version of the app, over the store of all.
macro_rules! version {
    ($auth:expr) => {
        init_service(
            App::new()
                .configure($auth.configure())
                .service((login, logout, everywhere, clear, confirm, others, act, stop, me))
                .service((add, show, forget)),
        )
        .await
    };
}

/// Sends what a browser sends, and keeps what it is given.
macro_rules! ask {
    ($app:expr, $jar:expr, $request:expr) => {{
        let reply = send!($app, by_browser(&$jar, $request));
        $jar.keep(&reply);
        reply
    }};
}

fn by_browser(jar: &Jar, request: &str) -> TestRequest {
    let (method, path) = request.split_once(' ').unwrap();
    TestRequest::default()
        .method(method.parse::<Method>().unwrap())
        .uri(path)
        .insert_header(("Host", HOST))
        .insert_header(("Sec-Fetch-Site", "same-origin"))
        .insert_header(("Cookie", jar.header(path)))
}

fn auth(fixture: &Fixture, config: &CookieConfig) -> Auth<Account> {
    built(fixture, config, |builder| builder)
}

fn built(
    fixture: &Fixture,
    config: &CookieConfig,
    configure: impl FnOnce(AuthBuilder<Account>) -> AuthBuilder<Account>,
) -> Auth<Account> {
    let builder = Auth::builder(fixture.store.clone()).clock(fixture.clock.clone());
    configure(builder.cookie(config.clone())).build().unwrap()
}

/// Every two configurations of a cookie of one name, in both orders.
fn deployments() -> Vec<(CookieConfig, CookieConfig)> {
    let named = || CookieConfig::default().name("__Secure-session");
    let plain = || CookieConfig::default().secure(false);
    let groups = [
        vec![CookieConfig::default(), CookieConfig::default().partitioned(true)],
        vec![
            named(),
            named().domain(HOST),
            named().domain("example.test"),
            named().path("/app"),
            named().path("/app/"),
            named().partitioned(true),
            named().partitioned(true).domain("example.test").path("/app"),
            named().same_site(SameSite::None),
        ],
        vec![
            plain(),
            plain().domain("example.test"),
            plain().path("/app").same_site(SameSite::Strict),
        ],
        vec![plain(), plain().secure(true).name("session").partitioned(true)],
    ];
    let pairs = groups.iter().flat_map(|group| {
        group
            .iter()
            .flat_map(move |one| group.iter().map(move |other| (one.clone(), other.clone())))
    });
    pairs.filter(|(one, other)| one != other).collect()
}

/// A browser that has logged in to both versions, before one knew of the other's cookie.
macro_rules! in_both {
    ($old:expr, $new:expr) => {{
        let mut jars = [Jar::default(), Jar::default()];
        assert_eq!(ask!($old, jars[0], "POST /app/login/1").status, StatusCode::OK);
        assert_eq!(ask!($new, jars[1], "POST /app/login/2").status, StatusCode::OK);
        jars[0].and(&jars[1])
    }};
}

async fn forget_sessions(fixture: &Fixture) {
    sqlx::query("DELETE FROM user_sessions").execute(fixture.pool()).await.unwrap();
}

/// Whether the two versions address different cookies; `SameSite` alone tells none apart.
fn is_conflict(jar: &Jar) -> bool {
    jar.len() == 2
}

#[actix_web::test]
async fn one_login_and_one_logout_suffice_after_a_change_of_the_cookie_scope() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    for (before, after) in deployments() {
        let deployed = format!("{before:?} to {after:?}");
        let (old, new) = (version!(auth(&fixture, &before)), version!(auth(&fixture, &after)));
        for ending in ["/app/logout", "/app/everywhere"] {
            let mut jar = Jar::default();
            ask!(old, jar, "POST /app/login/1");
            assert_eq!(ask!(new, jar, "GET /app/me").body, "1", "{deployed}");
            ask!(new, jar, "POST /app/login/1");
            assert_eq!((jar.len(), fixture.rows().await), (1, 1), "{deployed}");
            assert_eq!(ask!(new, jar, "GET /app/me").body, "1", "{deployed}");
            ask!(new, jar, &format!("POST {ending}"));
            assert_eq!((jar.len(), fixture.rows().await), (0, 0), "{deployed}");
        }
        let mut jar = Jar::default();
        ask!(old, jar, "POST /app/login/1");
        ask!(new, jar, "POST /app/logout");
        assert_eq!((jar.len(), fixture.rows().await), (0, 0), "{deployed}");
    }
}

#[actix_web::test]
async fn a_browser_with_two_session_cookies_is_not_logged_in_until_any_verb_clears_them() {
    let fixture = Fixture::new().await;
    for id in [1, 2] {
        fixture.account(id).await;
    }
    for (before, after) in deployments() {
        let deployed = format!("{before:?} to {after:?}");
        let (old, new) = (version!(auth(&fixture, &before)), version!(auth(&fixture, &after)));
        // What is asked, how many cookies the browser has then, and how many sessions there are.
        for (verb, cookies, rows) in [
            ("/app/login/1", 1, 1),
            ("/app/logout", 0, 0),
            ("/app/everywhere", 0, 0),
            ("/app/clear", 0, 2),
        ] {
            let mut jar = in_both!(old, new);
            if is_conflict(&jar) {
                let reply = ask!(new, jar, "GET /app/me");
                assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{deployed}");
                assert_eq!(jar.len(), 2, "who only asks is given no cookie");
                let reply = ask!(new, jar, &format!("POST {verb}"));
                assert_eq!(reply.status, StatusCode::OK, "{deployed}: {verb}");
                assert_eq!(
                    (jar.len(), fixture.rows().await),
                    (cookies, rows),
                    "{deployed}: {verb}"
                );
                let status = ask!(new, jar, "GET /app/me").status.as_u16();
                assert_eq!(status, if cookies == 1 { 200 } else { 401 }, "{deployed}: {verb}");
            }
            forget_sessions(&fixture).await;
        }
    }
}

#[actix_web::test]
async fn a_new_token_removes_the_old_cookie_in_any_scope() {
    let fixture = Fixture::new().await;
    for id in [1, 2] {
        fixture.account(id).await;
    }
    let every = Duration::from_mins(10);
    for (before, after) in deployments() {
        let deployed = format!("{before:?} to {after:?}");
        let old = version!(auth(&fixture, &before));
        let new = version!(built(&fixture, &after, |builder| builder.rotate_every(every)));
        for (way, user) in
            [("POST /app/confirm", "1"), ("POST /app/others", "1"), ("POST /app/act/2", "2")]
        {
            let mut jar = Jar::default();
            ask!(old, jar, "POST /app/login/1");
            assert_eq!(ask!(new, jar, way).status, StatusCode::OK, "{deployed}: {way}");
            assert_eq!(jar.len(), 1, "{deployed}: {way}");
            assert_eq!(ask!(new, jar, "GET /app/me").body, user, "{deployed}: {way}");
        }
        let mut jar = Jar::default();
        ask!(old, jar, "POST /app/login/1");
        ask!(old, jar, "POST /app/act/2");
        ask!(new, jar, "POST /app/stop");
        assert_eq!(jar.len(), 1, "{deployed}");
        fixture.clock.advance(every);
        for _ in 0..2 {
            assert_eq!(ask!(new, jar, "GET /app/me").body, "1", "{deployed}");
            assert_eq!(jar.len(), 1, "{deployed}");
        }
        forget_sessions(&fixture).await;
    }
}

#[actix_web::test]
async fn a_login_from_another_site_works_although_the_old_cookie_was_not_sent() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    for (before, after) in deployments() {
        // The sessions that are left over are older than those to come, and end first.
        fixture.clock.advance(Duration::from_secs(1));
        let (old, new) = (version!(auth(&fixture, &before)), version!(auth(&fixture, &after)));
        let mut jar = Jar::default();
        ask!(old, jar, "POST /app/login/1");
        let form = TestRequest::post()
            .uri("/app/login/1")
            .insert_header(("Host", HOST))
            .insert_header(("Sec-Fetch-Site", "cross-site"));
        jar.keep(&send!(new, form));
        assert_eq!(jar.len(), 1, "{before:?} to {after:?}");
        assert_eq!(ask!(new, jar, "GET /app/me").body, "1");
    }
}

#[actix_web::test]
async fn a_browser_with_two_guest_cookies_has_no_guest_until_any_verb_clears_them() {
    let fixture = Fixture::new().await;
    let guests = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM guest_sessions");
        count.fetch_one(fixture.pool()).await.unwrap()
    };
    for (before, after) in deployments() {
        let deployed = format!("{before:?} to {after:?}");
        let (old, new) = (version!(auth(&fixture, &before)), version!(auth(&fixture, &after)));
        for (verb, cookies, answer) in [("/app/add/3", 1, "[3]"), ("/app/forget", 0, "[]")] {
            let mut jars = [Jar::default(), Jar::default()];
            ask!(old, jars[0], "POST /app/add/1");
            ask!(new, jars[1], "POST /app/add/2");
            let mut jar = jars[0].and(&jars[1]);
            if is_conflict(&jar) {
                assert_eq!(ask!(new, jar, "GET /app/cart").body, "[]", "{deployed}");
                ask!(new, jar, &format!("POST {verb}"));
                assert_eq!(jar.len(), cookies, "{deployed}: {verb}");
                assert_eq!(ask!(new, jar, "GET /app/cart").body, answer, "{deployed}");
                assert_eq!(guests().await, i64::try_from(cookies).unwrap(), "{deployed}: {verb}");
            }
            sqlx::query("DELETE FROM guest_sessions").execute(fixture.pool()).await.unwrap();
        }
    }
}

fn presenting(path: &str, tokens: &[&str]) -> TestRequest {
    let pairs: Vec<_> = tokens.iter().map(|token| format!("__Host-session={token}")).collect();
    crate::support::post(path).insert_header(("Cookie", pairs.join("; ")))
}

/// The token with another secret.
fn forged(session: &Session) -> String {
    let token = session.token().expose_secret();
    format!("{}{}", &token[..63], if token.ends_with('A') { 'B' } else { 'A' })
}

#[actix_web::test]
async fn each_of_several_tokens_ends_its_own_session_and_a_wrong_secret_ends_none() {
    let fixture = Fixture::new().await;
    for id in 1..=3 {
        fixture.account(id).await;
    }
    let app = version!(fixture.auth);
    for verb in ["/app/login/3", "/app/logout", "/app/everywhere"] {
        let mut sessions = Vec::new();
        for id in [1, 2, 3] {
            sessions.push(fixture.auth.create_session(&Account::of(id)).await.unwrap());
        }
        let [first, second, third] = &sessions[..] else { unreachable!("three") };
        let acting = {
            let mut jar = Jar::default();
            jar.set(&format!("__Host-session={}; Path=/; Secure", third.token().expose_secret()));
            ask!(app, jar, "POST /app/act/2").session_cookie().to_owned()
        };
        let (first_token, forged) = (first.token().expose_secret(), forged(second));
        let unknown = "A".repeat(64);
        let presented = [first_token, &forged, "malformed", &unknown, &acting, first_token];
        let reply = send!(app, presenting(verb, &presented));
        assert_eq!(reply.status, StatusCode::OK, "{verb}");
        assert!(fixture.row(first).await.is_none(), "{verb}: its own token");
        assert!(fixture.row(second).await.is_some(), "{verb}: a wrong secret");
        assert!(fixture.row(third).await.is_none(), "{verb}: from which one acts");
        let rows = if verb == "/app/login/3" { 2 } else { 1 };
        assert_eq!(fixture.rows().await, rows, "{verb}");
        forget_sessions(&fixture).await;
    }
}

#[actix_web::test]
async fn a_rotated_token_can_end_its_session_during_the_overlap() {
    let every = Duration::from_mins(10);
    let overlap = Duration::from_mins(1);
    let fixture =
        Fixture::configured(|builder| builder.rotate_every(every).rotation_overlap(overlap)).await;
    let session = fixture.session(1).await;
    let app = version!(fixture.auth);
    fixture.clock.advance(every);
    let old = session.token().expose_secret();
    let request = crate::support::get("/app/me");
    let reply = send!(app, request.insert_header(("Cookie", format!("__Host-session={old}"))));
    assert_ne!(reply.session_cookie(), old);
    let reply = send!(app, presenting("/app/logout", &[old, "other"]));
    assert_eq!((reply.status, fixture.rows().await), (StatusCode::OK, 0));
}

#[actix_web::test]
async fn a_store_that_fails_ends_nothing_and_the_cookies_stay() {
    let fixture = Fixture::new().await;
    let (one, other) = (fixture.session(1).await, fixture.session(2).await);
    let app = version!(fixture.auth);
    let tokens = [one.token().expose_secret(), other.token().expose_secret()];
    for verb in ["/app/login/1", "/app/logout", "/app/everywhere"] {
        for fail in [fail_reads, fail_writes] {
            fail(&fixture, true);
            let reply = send!(app, presenting(verb, &tokens));
            assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{verb}");
            assert!(reply.sets_no_cookie(), "{verb}");
            fail(&fixture, false);
            assert_eq!(fixture.rows().await, 2, "{verb}");
        }
    }
    // A row that cannot be read may be mended, and then it would live.
    sqlx::query("UPDATE user_sessions SET created_at = 'x' WHERE id = ?")
        .bind(other.id().as_bytes().as_slice())
        .execute(fixture.pool())
        .await
        .unwrap();
    let reply = send!(app, presenting("/app/logout", &tokens));
    assert_eq!((reply.status, fixture.rows().await), (StatusCode::SERVICE_UNAVAILABLE, 2));
    assert!(reply.sets_no_cookie());
    let reply = send!(app, presenting("/app/login/1", &tokens));
    assert_eq!((reply.status, fixture.rows().await), (StatusCode::OK, 2), "and the other one");
}

fn fail_reads(fixture: &Fixture, fail: bool) {
    fixture.store.fail_reads(fail);
}

fn fail_writes(fixture: &Fixture, fail: bool) {
    fixture.store.fail_writes(fail);
}

#[actix_web::test]
async fn at_most_eight_tokens_of_one_request_are_looked_up() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let mut sessions = Vec::new();
    for _ in 0..10 {
        sessions.push(fixture.auth.create_session(&Account::of(1)).await.unwrap());
    }
    let app = version!(fixture.auth);
    fixture.store.forget();
    let tokens: Vec<_> = sessions.iter().map(|session| session.token().expose_secret()).collect();
    let reply = send!(app, presenting("/app/logout", &tokens));
    assert_eq!((reply.status, fixture.rows().await), (StatusCode::OK, 2));
    assert_eq!((fixture.store.reads(), fixture.store.writes()), (8, 8));
}

#[actix_web::test]
async fn a_first_login_sets_one_cookie_and_the_next_removes_as_few_as_its_name_allows() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let named = CookieConfig::default().name("__Secure-session");
    for (config, most) in [(CookieConfig::default(), 2), (named, 40)] {
        let app = version!(auth(&fixture, &config));
        let mut jar = Jar::default();
        let first = ask!(app, jar, "POST /app/login/1");
        assert_eq!(first.all_set_cookies().len(), 1, "{config:?}");
        let again = ask!(app, jar, "POST /app/login/1");
        let written = again.all_set_cookies().len();
        assert!((2..=most).contains(&written), "{config:?}: {written}");
        assert!(!again.all_set_cookies().last().unwrap().contains("Max-Age=0"), "the last counts");
        let bytes: usize = again.all_set_cookies().iter().map(|cookie| cookie.len() + 14).sum();
        assert!(bytes < 3_072 + 256, "{config:?}: {bytes}");
        let out = send!(app, by_browser(&Jar::default(), "POST /app/logout"));
        assert!(out.sets_no_cookie(), "a stranger's logout");
    }
}

#[actix_web::test]
async fn the_debug_output_of_a_response_holds_no_token() {
    let fixture = Fixture::new().await;
    fixture.account(1).await;
    let app = version!(fixture.auth);
    let mut jar = Jar::default();
    for request in ["POST /app/add/1", "POST /app/login/1", "POST /app/confirm", "POST /app/logout"]
    {
        let reply = ask!(app, jar, request);
        let shown = format!("{:?}", reply.headers);
        assert!(!reply.all_set_cookies().is_empty(), "{request}");
        for cookie in reply.headers.get_all("Set-Cookie") {
            assert!(cookie.is_sensitive(), "{request}");
        }
        for token in jar.0.values() {
            assert!(!shown.contains(token), "{request}: {shown}");
        }
    }
}
