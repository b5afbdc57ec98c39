//! The first line of the input is a method, each other line a header. `Host` is the host.

use actix_web::http::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::input::{lines, stripped};
use crate::http::origin::OriginPolicy;

struct Rule {
    own: &'static [&'static str],
    trusted: &'static [&'static str],
    strict: bool,
}

const APP: &[&str] = &["https://app.example"];
const SSO: &[&str] = &["https://sso.example", "http://localhost:8080"];
const RULES: [Rule; 5] = [
    Rule { own: &[], trusted: &[], strict: false },
    Rule { own: &[], trusted: &[], strict: true },
    Rule { own: APP, trusted: &[], strict: false },
    Rule { own: &[], trusted: SSO, strict: false },
    Rule { own: APP, trusted: SSO, strict: true },
];

struct Request {
    method: String,
    headers: Vec<(String, Vec<u8>)>,
}

/// The decision equals that of a simple model, for all configurations. Independently of the model, a safe
/// request passes, and a request that the browser marks as cross-site does not.
pub fn origin(data: &[u8]) {
    let mut lines = lines(data);
    let method = lines.next().and_then(|line| Method::from_bytes(line).ok());
    let Some(method) = method else {
        return;
    };
    let mut request = Request { method: method.to_string(), headers: vec![] };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(header) {
        request.headers.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
        headers.append(name, value);
    }
    let host = request.values("host").first().and_then(|host| str::from_utf8(host).ok());
    for rule in &RULES {
        let owned = |origins: &[&str]| origins.iter().map(ToString::to_string).collect();
        let policy = OriginPolicy::build(owned(rule.own), owned(rule.trusted), rule.strict);
        let policy = policy.expect("the origins of the rules");
        let passes = policy.check(&method, &headers, host).is_ok();
        assert_eq!(passes, rule.allows(&request, host), "{}", String::from_utf8_lossy(data));
        rule.check(&request, passes);
    }
}

/// Parses a header as a server does: white space around the value is not part of it.
fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = HeaderValue::from_bytes(stripped(&line[colon + 1..])).ok()?;
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, value))
}

impl Request {
    fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.headers.iter().filter(|header| header.0 == name);
        named.map(|header| &header.1[..]).collect()
    }

    fn is_safe(&self) -> bool {
        let safe = ["GET", "HEAD", "OPTIONS"].contains(&&*self.method);
        // The same check with which Actix decides whether to open a WebSocket.
        let opens = |value: &[u8]| {
            String::from_utf8_lossy(value).to_ascii_lowercase().contains("websocket")
        };
        safe && !self.values("upgrade").into_iter().any(opens)
    }
}

impl Rule {
    fn lists(&self, origin: &[u8]) -> bool {
        self.own.iter().chain(self.trusted).any(|listed| listed.as_bytes() == origin)
    }

    /// The model: `CrossOriginProtection.Check` of Go's `net/http`, with these stricter rules: a WebSocket
    /// is not safe; a header occurs once and is text; an empty header is not a missing one; configured
    /// origins replace the host; and `strict` requires an origin.
    fn allows(&self, request: &Request, host: Option<&str>) -> bool {
        if request.is_safe() {
            return true;
        }
        let is_text = |value: &&[u8]| value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        let (sites, origins) = (request.values("sec-fetch-site"), request.values("origin"));
        if !sites.iter().chain(&origins).all(is_text) {
            return false;
        }
        match (&sites[..], &origins[..]) {
            ([b"same-origin" | b"none"], [] | [_]) => true,
            ([_], [origin]) => self.lists(origin),
            ([], [origin]) => self.lists(origin) || (self.own.is_empty() && is_of(origin, host)),
            ([], []) => !self.strict,
            _ => false,
        }
    }

    /// Checks the most important properties independently of the model.
    fn check(&self, request: &Request, passes: bool) {
        let (sites, origins) = (request.values("sec-fetch-site"), request.values("origin"));
        if request.is_safe() {
            assert!(passes, "a safe request was refused");
        } else if sites.len() > 1 || origins.len() > 1 {
            assert!(!passes, "a request with a duplicate header has passed");
        } else if sites == [b"cross-site"] || sites == [b"same-site"] {
            let trusted = origins.first().is_some_and(|origin| self.lists(origin));
            assert!(trusted || !passes, "a cross-site request has passed");
        } else if sites.is_empty() && origins == [b"null"] {
            assert!(!passes, "a request with the origin `null` has passed");
        }
    }
}

/// Whether an origin has this host: `scheme://host`.
fn is_of(origin: &[u8], host: Option<&str>) -> bool {
    let start = origin.windows(3).position(|window| window == b"://");
    let (Some(start), Some(host)) = (start, host) else {
        return false;
    };
    origin[start + 3..].eq_ignore_ascii_case(host.as_bytes())
}
