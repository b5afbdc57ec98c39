//! The session cookie: reads and writes it as configured. Pure functions of headers.

use std::time::Duration;

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use cookie::Cookie;

use crate::{
    http::cookie::{
        AllPresented, CookieConfig, Presented, SameSite,
        scopes::{CookieScope, other_scopes},
    },
    model::{error::ConfigError, token::SessionToken},
};

/// The maximum number of different tokens that are read from one request when all of them count, as
/// at a logout.
const MAX_TOKENS: usize = 8;

/// The maximum lifetime that browsers allow for a cookie, 400 days (RFC 6265bis §5.5).
const MAX_AGE_LIMIT: Duration = Duration::from_hours(400 * 24);

/// How many bytes of a response's headers the removals of cookies in other scopes may take in
/// total, and how many of these are reserved for the guest cookie if that is written too. Proxies
/// accept at least 4 KiB of headers (nginx: `proxy_buffer_size`), and respond with 502 to more.
pub(crate) const MAX_REMOVAL_BYTES: usize = 3072;
pub(crate) const REMOVAL_BYTES_LEFT_TO_GUEST: usize = 1536;

/// The parts of a request that show which cookies its browser holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CookieContext<'a> {
    pub headers: &'a HeaderMap,
    /// With the port, if there is one.
    pub host: Option<&'a str>,
    pub path: &'a str,
    /// Whether the browser may hold cookies that it has not sent with this request.
    pub may_withhold: bool,
}

/// The session cookie, as configured and checked.
#[derive(Debug, Clone)]
pub(crate) struct SessionCookie {
    name: String,
    config: CookieConfig,
}

impl SessionCookie {
    pub(crate) fn build(config: CookieConfig) -> Result<Self, ConfigError> {
        let (name, config) = config.checked()?;
        Ok(Self { name, config })
    }

    /// Returns the guest cookie: the same cookie with another name.
    pub(crate) fn of_guests(&self) -> Self {
        Self { name: format!("{}-guest", self.name), config: self.config.clone() }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    #[cfg(feature = "testing")]
    pub(crate) fn is_secure(&self) -> bool {
        self.config.secure
    }

    /// Whether browsers never send it with a request that another site has caused.
    pub(crate) fn is_strict(&self) -> bool {
        self.config.same_site == SameSite::Strict
    }

    /// Reads the cookie from the raw bytes of the headers.
    ///
    /// Names are compared byte for byte, and nothing is decoded: a name that only decodes to
    /// `__Host-session` may have been set by a sibling domain (as in CVE-2020-8184). The bytes of
    /// other cookies do not matter.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Presented {
        let mut values = self.values(headers);
        let Some(value) = values.next() else {
            return Presented::Nothing;
        };
        if values.any(|other| other != value) {
            return Presented::Conflicting;
        }
        SessionToken::parse(value).map_or(Presented::Malformed, Presented::Token)
    }

    /// Reads all tokens, for cases in which several are allowed.
    pub(crate) fn read_all(&self, headers: &HeaderMap) -> AllPresented {
        let mut all = AllPresented::default();
        for token in self.values(headers).filter_map(|value| SessionToken::parse(value).ok()) {
            if all.tokens.contains(&token) {
                continue;
            }
            if all.tokens.len() < MAX_TOKENS {
                all.tokens.push(token);
            } else {
                all.ignored += 1;
            }
        }
        all
    }

    fn values<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> + Clone {
        headers
            .get_all(COOKIE)
            .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
            .filter_map(move |pair| value_of(pair, self.name.as_bytes()))
    }

    /// Returns the header that stores the token in the browser for `life`, or until the browser is
    /// closed.
    pub(crate) fn store(&self, token: &SessionToken, life: Option<Duration>) -> HeaderValue {
        self.header(token.expose_secret(), life.map(|life| life.min(MAX_AGE_LIMIT)))
    }

    /// Returns the header that removes the cookie from the browser.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.header("", Some(Duration::ZERO))
    }

    /// Returns the headers that remove the cookie in the other scopes in which this browser may
    /// hold it, such as those of an earlier configuration. They come before the header that stores
    /// the new one: a browser without support for partitions applies a removal in another partition
    /// to this cookie.
    ///
    /// Returns none if the browser has presented only `written`, or nothing. Returns no more than
    /// fit in `max_bytes` of the headers.
    pub(crate) fn remove_elsewhere(
        &self,
        context: CookieContext<'_>,
        written: Option<&SessionToken>,
        max_bytes: usize,
    ) -> Vec<HeaderValue> {
        let written = written.map(|token| token.expose_secret().as_bytes());
        let mut values = self.values(context.headers);
        if !context.may_withhold && values.all(|value| Some(value) == written) {
            return Vec::new();
        }
        let others =
            other_scopes(&self.scope(), self.has_host_prefix(), context.host, context.path);
        let removals = others.iter().filter_map(|scope| self.removal_in(scope));
        let mut bytes = 0;
        removals
            .take_while(|removal| {
                bytes += header_bytes(removal);
                bytes <= max_bytes
            })
            .collect()
    }

    fn scope(&self) -> CookieScope {
        CookieScope {
            domain: self.config.domain.clone(),
            path: self.config.path.clone(),
            is_partitioned: self.config.partitioned,
        }
    }

    /// Whether its name begins with `__Host-`, which allows no domain and no other path.
    fn has_host_prefix(&self) -> bool {
        const PREFIX: &str = "__Host-";
        let start = self.name.get(..PREFIX.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// Returns the header that removes it in another scope. It has only the attributes that
    /// browsers need for that, since there may be many such headers.
    fn removal_in(&self, scope: &CookieScope) -> Option<HeaderValue> {
        let mut cookie = Cookie::build((self.name.as_str(), ""))
            .path(scope.path.as_str())
            // Browsers require it with `Partitioned`.
            .secure(self.config.secure || scope.is_partitioned)
            .partitioned(scope.is_partitioned)
            .max_age(cookie::time::Duration::ZERO);
        if self.config.same_site == SameSite::None {
            // In a frame of another site browsers accept nothing else.
            cookie = cookie.same_site(cookie::SameSite::None);
        }
        if let Some(domain) = &scope.domain {
            cookie = cookie.domain(domain.as_str());
        }
        secret(&cookie.to_string())
    }

    fn header(&self, value: &str, max_age: Option<Duration>) -> HeaderValue {
        let mut cookie = Cookie::build((self.name.as_str(), value))
            .path(self.config.path.as_str())
            .http_only(true)
            .secure(self.config.secure)
            .partitioned(self.config.partitioned)
            .same_site(match self.config.same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            });
        if let Some(max_age) = max_age {
            let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
            cookie = cookie.max_age(cookie::time::Duration::seconds(seconds));
        }
        if let Some(domain) = &self.config.domain {
            cookie = cookie.domain(domain.as_str());
        }
        // `build` has refused every character that a header cannot hold.
        secret(&cookie.to_string()).unwrap_or_else(|| HeaderValue::from_static(""))
    }
}

/// Returns the size of a `Set-Cookie` in the headers of a response.
pub(crate) fn header_bytes(value: &HeaderValue) -> usize {
    "set-cookie: \r\n".len() + value.len()
}

/// Returns a header that `Debug` does not show, and that HTTP/2 keeps out of its compression table
/// (RFC 7541 §7.1.3).
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns the value of a `name=value` pair if the name is exactly `name`. Only SP and HTAB are
/// trimmed (RFC 6265bis §5.6).
fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    (trim(&pair[..equals]) == name).then(|| trim(&pair[equals + 1..]))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";

    fn cookie() -> SessionCookie {
        SessionCookie::build(CookieConfig::default()).unwrap()
    }

    fn read(headers: &[&[u8]]) -> Presented {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(COOKIE, HeaderValue::from_bytes(header).unwrap());
        }
        cookie().read(&map)
    }

    fn token() -> Presented {
        Presented::Token(TOKEN.parse().unwrap())
    }

    fn with(pair: &str) -> Vec<u8> {
        pair.replace("TOKEN", TOKEN).into_bytes()
    }

    #[test]
    fn the_token_is_found_among_other_cookies_and_headers() {
        assert_eq!(read(&[&with("__Host-session=TOKEN")]), token());
        assert_eq!(read(&[&with("a=1; \t__Host-session \t=\t TOKEN ; b=2")]), token());
        assert_eq!(read(&[b"a=1", &with("__Host-session=TOKEN")]), token());
        assert_eq!(read(&[b"a; =; ;;=b=", &with("__Host-session=TOKEN")]), token());
    }

    #[test]
    fn another_cookie_that_is_not_utf8_does_not_matter() {
        let mut header = b"x=\xFF; ".to_vec();
        header.extend(with("__Host-session=TOKEN"));
        assert_eq!(read(&[&header]), token());
    }

    #[test]
    fn a_name_that_only_resembles_ours_is_another_cookie() {
        for name in [
            "__%48ost-session",
            "__Host-session\u{a0}",
            "\u{2000}__Host-session",
            "\u{85}__Host-session",
            "__host-session",
            "__Host-Session",
            "=__Host-session",
            "session",
            "x__Host-session",
        ] {
            assert_eq!(read(&[&with(&format!("{name}=TOKEN"))]), Presented::Nothing, "{name:?}");
        }
    }

    #[test]
    fn a_value_of_any_other_form_is_malformed() {
        for value in [
            "",
            "\"TOKEN\"",
            "TOKENA",
            "TOKEN=",
            "TOKE",
            &TOKEN[..63],
            &TOKEN.replace('A', "%41"),
            &TOKEN.replace('A', "+"),
            &TOKEN.replacen('A', " ", 1),
            &"A".repeat(5_000),
        ] {
            let header = with(&format!("__Host-session={value}"));
            let found = read(&[&header]);
            // A leading space is trimmed, which leaves 63 characters.
            assert_eq!(found, Presented::Malformed, "{value:?}");
        }
    }

    #[test]
    fn two_different_values_count_as_none_and_two_equal_ones_as_one() {
        let other = TOKEN.replace("AAEC", "BBBB");
        let differing = with(&format!("__Host-session=TOKEN; __Host-session={other}"));
        assert_eq!(read(&[&differing]), Presented::Conflicting);
        assert_eq!(
            read(&[&with("__Host-session=TOKEN"), b"__Host-session=junk"]),
            Presented::Conflicting
        );
        assert_eq!(read(&[&with("__Host-session=TOKEN; __Host-session=TOKEN")]), token());
    }

    fn attributes(header: &HeaderValue) -> Vec<String> {
        let mut attributes: Vec<String> =
            header.to_str().unwrap().split("; ").map(str::to_owned).collect();
        attributes[1..].sort();
        attributes
    }

    #[test]
    fn the_cookie_has_exactly_its_attributes() {
        let header = cookie().store(&TOKEN.parse().unwrap(), Some(Duration::from_millis(90_999)));
        assert_eq!(
            attributes(&header),
            [
                &*format!("__Host-session={TOKEN}"),
                "HttpOnly",
                "Max-Age=90",
                "Path=/",
                "SameSite=Lax",
                "Secure"
            ]
        );
    }

    #[test]
    fn a_removal_has_every_attribute_that_identifies_the_cookie() {
        let config = CookieConfig::default()
            .name("__Secure-id")
            .domain("example.com")
            .path("/app")
            .same_site(SameSite::None)
            .partitioned(true);
        assert_eq!(
            attributes(&SessionCookie::build(config).unwrap().remove()),
            [
                "__Secure-id=",
                "Domain=example.com",
                "HttpOnly",
                "Max-Age=0",
                "Partitioned",
                "Path=/app",
                "SameSite=None",
                "Secure"
            ]
        );
    }

    fn cookies(values: &[&str]) -> HeaderMap {
        let pairs: Vec<_> = values.iter().map(|value| format!("__Host-session={value}")).collect();
        let mut map = HeaderMap::new();
        map.append(COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap());
        map
    }

    fn tokens(count: u8) -> Vec<String> {
        (0..count).map(|number| format!("{}{number:02}", &TOKEN[..62])).collect()
    }

    #[test]
    fn read_all_returns_each_token_once_and_a_limited_number() {
        let tokens = tokens(10);
        let all: Vec<_> = tokens.iter().map(String::as_str).collect();
        let read = |values: &[&str]| cookie().read_all(&cookies(values));
        let texts = |read: AllPresented| {
            let texts = read.tokens.iter().map(|token| token.expose_secret().to_owned());
            (texts.collect::<Vec<_>>(), read.ignored)
        };
        assert_eq!(texts(read(&[])), (vec![], 0));
        let mixed = [all[1], "", all[0], "malformed", all[1]];
        assert_eq!(texts(read(&mixed)), (vec![tokens[1].clone(), tokens[0].clone()], 0));
        assert_eq!(texts(read(&all)), (tokens[..MAX_TOKENS].to_vec(), 2));
    }

    /// The removals in other scopes, as text.
    fn elsewhere(
        config: CookieConfig,
        presented: &[&str],
        written: Option<&str>,
        may_withhold: bool,
    ) -> Vec<String> {
        let headers = cookies(presented);
        let host = Some("app.example.com:8443");
        let context = CookieContext { headers: &headers, host, path: "/in", may_withhold };
        let written = written.map(|token| token.parse().unwrap());
        let cookie = SessionCookie::build(config.name("__Host-session")).unwrap();
        let removals = cookie.remove_elsewhere(context, written.as_ref(), MAX_REMOVAL_BYTES);
        assert!(removals.iter().all(HeaderValue::is_sensitive));
        removals.iter().map(|removal| removal.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_cookie_is_removed_in_other_scopes_if_another_value_was_presented_or_may_be_held() {
        let removal = "__Host-session=; Partitioned; Secure; Path=/; Max-Age=0";
        let other = TOKEN.replace("AAEC", "BBBB");
        for (presented, written, may_withhold, is_removed) in [
            (&[][..], Some(TOKEN), false, false),
            (&[], Some(TOKEN), true, true),
            (&[], None, false, false),
            (&[TOKEN], Some(TOKEN), false, false),
            (&[TOKEN, TOKEN], Some(TOKEN), false, false),
            (&[TOKEN], Some(&*other), false, true),
            (&["malformed"], Some(TOKEN), false, true),
            (&[TOKEN, &other], Some(TOKEN), false, true),
            (&[TOKEN], None, false, true),
            (&[TOKEN, &other], None, false, true),
        ] {
            let found = elsewhere(CookieConfig::default(), presented, written, may_withhold);
            let expected = if is_removed { vec![removal] } else { vec![] };
            assert_eq!(found, expected, "{presented:?} {written:?} {may_withhold}");
        }
        let partitioned = CookieConfig::default().partitioned(true).same_site(SameSite::None);
        assert_eq!(
            elsewhere(partitioned, &[TOKEN], None, false),
            ["__Host-session=; SameSite=None; Secure; Path=/; Max-Age=0"]
        );
    }

    #[test]
    fn the_removals_fit_the_limit_and_include_those_of_a_single_change() {
        let host = Some("shop.eu.app.example.com");
        let path = "/accounts/users/sessions/new";
        let cookie =
            SessionCookie::build(CookieConfig::default().name("__Secure-session")).unwrap();
        let mut headers = HeaderMap::new();
        let pair = format!("__Secure-session={TOKEN}");
        headers.append(COOKIE, HeaderValue::from_str(&pair).unwrap());
        let context = CookieContext { headers: &headers, host, path, may_withhold: false };
        for max_bytes in [MAX_REMOVAL_BYTES, REMOVAL_BYTES_LEFT_TO_GUEST] {
            let removals = cookie.remove_elsewhere(context, None, max_bytes);
            let bytes: usize = removals.iter().map(header_bytes).sum();
            assert!((max_bytes - 150..=max_bytes).contains(&bytes), "{bytes}");
            for scope in [
                "Partitioned; Secure; Path=/; Max",
                "Path=/; Domain=shop.eu.app.example.com;",
                "Path=/; Domain=example.com;",
                "Path=/accounts; Max",
                "Path=/accounts/users/sessions; Max",
            ] {
                let has = |removal: &HeaderValue| removal.to_str().unwrap().contains(scope);
                assert!(removals.iter().any(has), "{scope}: {removals:?}");
            }
        }
    }

    #[test]
    fn written_headers_are_marked_as_sensitive() {
        let token = TOKEN.parse().unwrap();
        for cookie in [cookie(), cookie().of_guests()] {
            for header in [cookie.store(&token, None), cookie.remove()] {
                assert!(header.is_sensitive());
                assert_eq!(format!("{header:?}"), "Sensitive");
            }
        }
    }

    #[test]
    fn a_domain_is_normalized_as_in_browsers() {
        let config = CookieConfig::default().name("__Secure-id").domain(".Example.COM");
        let header = SessionCookie::build(config).unwrap().remove();
        assert!(attributes(&header).contains(&"Domain=example.com".to_owned()));
    }

    #[test]
    fn a_cookie_until_the_browser_is_closed_has_no_max_age() {
        let header = cookie().store(&TOKEN.parse().unwrap(), None);
        assert!(!header.to_str().unwrap().contains("Max-Age"));
    }

    #[test]
    fn the_guest_cookie_has_the_name_of_the_session_cookie_with_a_suffix() {
        assert_eq!(cookie().of_guests().name, "__Host-session-guest");
    }

    #[test]
    fn max_age_is_limited_to_400_days() {
        let header = cookie().store(&TOKEN.parse().unwrap(), Some(Duration::MAX));
        assert!(attributes(&header).contains(&"Max-Age=34560000".to_owned()));
    }

    #[test]
    fn without_secure_the_default_name_has_no_prefix() {
        let cookie = SessionCookie::build(CookieConfig::default().secure(false)).unwrap();
        assert_eq!(cookie.name, "session");
    }

    #[test]
    fn contradictions_are_refused() {
        let config = CookieConfig::default;
        for contradiction in [
            config().domain("example.com"),
            config().path("/app"),
            config().name("__Host-x").secure(false),
            config().name("__SECURE-x").secure(false),
            config().name("__Http-x").secure(false),
            config().same_site(SameSite::None).secure(false),
            config().partitioned(true).secure(false),
            config().name(""),
            config().name("a b"),
            config().name("a=b"),
            config().path("app"),
            config().name("a").domain("x; Secure"),
            config().name("a").path("/\r\n"),
            config().name("a").path("/app?tab=1"),
            config().name("a").path("/app/../admin"),
            config().name("a").domain(""),
            config().name("a").domain("/"),
            config().name("a").domain("example.com:8443"),
            config().name("a").domain("https://example.com"),
            config().name("a").domain("*.example.com"),
            config().name("a").domain("bücher.example"),
            config().name("a").domain("127.0.0.1"),
            config().name("a").domain("localhost"),
            config().name("a".repeat(4_027)),
        ] {
            let error = SessionCookie::build(contradiction.clone())
                .expect_err(&format!("{contradiction:?}"));
            assert!(!error.to_string().contains('\n'));
        }
    }
}
