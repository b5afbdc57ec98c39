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
mod tests;
