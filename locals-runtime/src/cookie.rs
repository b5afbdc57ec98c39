//! The session cookie: how it is configured, read and written. Pure: headers in, headers out.

use std::time::Duration;

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use cookie::Cookie;

use crate::{error::ConfigError, token::SessionToken};

/// Browsers cap a cookie's life at 400 days (RFC 6265bis §5.5).
const LONGEST_MAX_AGE: Duration = Duration::from_hours(400 * 24);

/// When a browser sends the cookie with requests that start on other sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// Never, not even when somebody follows a link to the app.
    Strict,
    /// Only when somebody follows a link or types the address.
    Lax,
    /// Always. For apps that live in other sites' frames; browsers demand `Secure` with it.
    None,
}

/// The session cookie's name and attributes.
///
/// The default is `__Host-session`, with `HttpOnly; Secure; SameSite=Lax; Path=/`: no script
/// reads it, no plain connection carries it, no sibling domain can set it (RFC 6265bis
/// §4.1.3.2; OWASP ASVS 5.0 §3.3). Settings that contradict each other, which browsers punish
/// by dropping the cookie in silence, are an error of
/// [`AuthBuilder::build`](crate::AuthBuilder::build).
///
/// ```
/// use locals::CookieConfig;
///
/// // A cookie for all of example.com. `__Host-` allows no domain, so it needs another name.
/// let cookie = CookieConfig::default().name("__Secure-session").domain("example.com");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieConfig {
    name: Option<String>,
    domain: Option<String>,
    path: String,
    same_site: SameSite,
    secure: bool,
    partitioned: bool,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self {
            name: None,
            domain: None,
            path: "/".to_owned(),
            same_site: SameSite::Lax,
            secure: true,
            partitioned: false,
        }
    }
}

impl CookieConfig {
    /// The name. `__Host-session` by default, or `session` without `Secure`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sends the cookie to all hosts below this domain too. None by default.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sends the cookie only below this path. `/` by default.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// [`SameSite::Lax`] by default.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// `secure(false)` lets the cookie travel over plain HTTP, for development, and drops the
    /// prefix of the default name, which demands `Secure`.
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Keeps one cookie for each site that embeds the app (CHIPS). Off by default.
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    pub(crate) fn build(self) -> Result<SessionCookie, ConfigError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None if self.secure => "__Host-session".to_owned(),
            None => "session".to_owned(),
        };
        if let Some(reason) = self.contradiction(&name) {
            return Err(ConfigError(format!("CookieConfig for `{name}`: {reason}")));
        }
        Ok(SessionCookie { name, config: self })
    }

    fn contradiction(&self, name: &str) -> Option<&'static str> {
        // Browsers compare the prefixes without regard to case (RFC 6265bis §5.7).
        let prefixed = |prefix: &str| {
            name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let host = prefixed("__Host-");
        if name.is_empty() || !name.bytes().all(is_token_char) {
            Some("a name is made of letters, digits and !#$%&'*+-.^_`|~")
        } else if !self.path.starts_with('/') || !is_attribute_value(&self.path) {
            Some("a path starts with `/` and holds no `;`, space or control character")
        } else if self.domain.as_deref().is_some_and(|it| it.is_empty() || !is_attribute_value(it))
        {
            Some("a domain is not empty and holds no `;`, space or control character")
        } else if (host || prefixed("__Secure-") || prefixed("__Http-")) && !self.secure {
            Some("this prefix demands `secure(true)`; without it use a name without prefix")
        } else if host && self.domain.is_some() {
            Some("`__Host-` allows no domain; give a name such as `__Secure-session`")
        } else if host && self.path != "/" {
            Some("`__Host-` demands the path `/`; give a name such as `__Secure-session`")
        } else if self.same_site == SameSite::None && !self.secure {
            Some("`SameSite::None` demands `secure(true)`")
        } else if self.partitioned && !self.secure {
            Some("`partitioned(true)` demands `secure(true)`")
        } else {
            None
        }
    }
}

/// RFC 9110 §5.6.2, `tchar`.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_attribute_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
}

/// What a request brought as its session cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presented {
    /// No cookie of this name.
    Nothing,
    /// A cookie of this name that cannot be a session's; treated as none.
    Malformed,
    /// Cookies of this name with different values; treated as none.
    Conflicting,
    /// A well-formed token. Whether it opens a session, the store knows.
    Token(SessionToken),
}

/// The session cookie, as configured and checked.
#[derive(Debug, Clone)]
pub(crate) struct SessionCookie {
    name: String,
    config: CookieConfig,
}

impl SessionCookie {
    /// The cookie of guests: the same, by another name.
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

    /// Reads the cookie from the raw bytes of the headers.
    ///
    /// Names are compared byte for byte and nothing is decoded: a name that only *reads* as
    /// `__Host-session` may have been set by a sibling domain (as in CVE-2020-8184). Bytes of
    /// other cookies do not matter, whatever they are.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Presented {
        let mut values = headers
            .get_all(COOKIE)
            .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| value_of(pair, self.name.as_bytes()));
        let Some(value) = values.next() else {
            return Presented::Nothing;
        };
        if values.any(|other| other != value) {
            return Presented::Conflicting;
        }
        SessionToken::parse(value).map_or(Presented::Malformed, Presented::Token)
    }

    /// The header that stores the token in the browser for `life`, or until it is closed.
    pub(crate) fn store(&self, token: &SessionToken, life: Option<Duration>) -> HeaderValue {
        self.header(token.expose_secret(), life.map(|life| life.min(LONGEST_MAX_AGE)))
    }

    /// The header that removes the cookie from the browser.
    pub(crate) fn remove(&self) -> HeaderValue {
        self.header("", Some(Duration::ZERO))
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
        HeaderValue::try_from(cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// The value of one `name=value` pair if the name is exactly `name`. Only SP and HTAB are
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
        CookieConfig::default().build().unwrap()
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
    fn a_foreign_cookie_that_is_not_utf8_hides_nothing() {
        let mut header = b"x=\xFF; ".to_vec();
        header.extend(with("__Host-session=TOKEN"));
        assert_eq!(read(&[&header]), token());
    }

    #[test]
    fn a_name_that_only_reads_like_ours_is_another_cookie() {
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
    fn removal_repeats_every_attribute_that_names_the_cookie() {
        let config = CookieConfig::default()
            .name("__Secure-id")
            .domain("example.com")
            .path("/app")
            .same_site(SameSite::None)
            .partitioned(true);
        assert_eq!(
            attributes(&config.build().unwrap().remove()),
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

    #[test]
    fn a_cookie_that_ends_with_the_browser_names_no_age() {
        let header = cookie().store(&TOKEN.parse().unwrap(), None);
        assert!(!header.to_str().unwrap().contains("Max-Age"));
    }

    #[test]
    fn the_cookie_of_guests_is_named_after_that_of_sessions() {
        assert_eq!(cookie().of_guests().name, "__Host-session-guest");
    }

    #[test]
    fn no_cookie_outlives_what_a_browser_keeps() {
        let header = cookie().store(&TOKEN.parse().unwrap(), Some(Duration::MAX));
        assert!(attributes(&header).contains(&"Max-Age=34560000".to_owned()));
    }

    #[test]
    fn without_secure_the_default_name_has_no_prefix() {
        let cookie = CookieConfig::default().secure(false).build().unwrap();
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
        ] {
            let error = contradiction.clone().build().expect_err(&format!("{contradiction:?}"));
            assert!(!error.to_string().contains('\n'));
        }
    }
}
