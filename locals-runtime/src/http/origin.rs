//! The check of cross-origin requests: a pure function of (method, headers, policy).
//!
//! It follows Go's `net/http.CrossOriginProtection`: `Sec-Fetch-Site` decides if the browser sent
//! it, otherwise `Origin`.

use actix_web::http::{
    Method,
    header::{self, HeaderMap, HeaderName},
};

use crate::model::error::ConfigError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Which origins may send state-changing requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct OriginPolicy {
    /// The app's own public origins. If there are none, `Host` is used instead.
    own: Vec<String>,
    /// Other origins that are allowed.
    trusted: Vec<String>,
    /// Whether a request that names no origin is refused.
    strict: bool,
}

impl OriginPolicy {
    pub(crate) fn build(
        own: Vec<String>,
        trusted: Vec<String>,
        strict: bool,
    ) -> Result<Self, ConfigError> {
        own.iter().chain(&trusted).try_for_each(|origin| check_origin(origin))?;
        Ok(Self { own, trusted, strict })
    }

    /// Whether a request may use its session; if not, which header decided.
    pub(crate) fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        host: Option<&str>,
    ) -> Result<(), &'static str> {
        let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if safe && !is_websocket(headers) {
            return Ok(());
        }
        let origin = single(headers, &header::ORIGIN)?;
        match single(headers, &SEC_FETCH_SITE)? {
            Some("same-origin" | "none") => Ok(()),
            Some(_) if origin.is_some_and(|origin| self.is_trusted(origin)) => Ok(()),
            Some(_) => Err("Sec-Fetch-Site"),
            None => match origin {
                Some(origin) if self.is_own(origin, host) || self.is_trusted(origin) => Ok(()),
                Some(_) => Err("Origin"),
                None if self.strict => Err("neither Sec-Fetch-Site nor Origin"),
                None => Ok(()),
            },
        }
    }

    fn is_trusted(&self, origin: &str) -> bool {
        self.trusted.iter().chain(&self.own).any(|trusted| trusted == origin)
    }

    fn is_own(&self, origin: &str, host: Option<&str>) -> bool {
        if !self.own.is_empty() {
            return self.own.iter().any(|own| own == origin);
        }
        let origin_host = origin.split_once("://").map(|(_, host)| host);
        matches!((origin_host, host), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
    }
}

/// Returns the only value of a header; an error if there are several, or if it is not text.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| "a header that is not text"),
        (Some(_), Some(_)) => Err("a header that is sent twice"),
    }
}

/// A WebSocket is opened by GET, and browsers let any page open one. Actix opens one if the header
/// contains the word anywhere (`websocket/13`, `xwebsocket`), so this does the same.
fn is_websocket(headers: &HeaderMap) -> bool {
    const WORD: &[u8] = b"websocket";
    headers.get_all(header::UPGRADE).any(|value| {
        value.as_bytes().windows(WORD.len()).any(|part| part.eq_ignore_ascii_case(WORD))
    })
}

/// An origin must be written exactly as browsers do: `scheme://host` or `scheme://host:port`.
fn check_origin(origin: &str) -> Result<(), ConfigError> {
    let refuse = |reason| {
        Err(ConfigError(format!(
            "`{origin}` is not an origin: {reason}; write it as browsers do, such as \
             `https://app.example` or `http://localhost:8080`"
        )))
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return refuse("it has no scheme");
    };
    let is_scheme_char =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.chars().all(is_scheme_char)
    {
        return refuse("its scheme is not valid");
    }
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_name_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    if !is_ipv6 && (host.is_empty() || !host.chars().all(is_name_char)) {
        return refuse("its host is not valid, or not in lower case, or followed by more");
    }
    match (port, scheme) {
        (Some("443"), "https") | (Some("80"), "http") => {
            refuse("browsers omit the default port of the scheme")
        }
        (Some(port), _) if port.starts_with('0') || port.parse::<u16>().is_err() => {
            refuse("its port is not valid")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
