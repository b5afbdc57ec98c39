//! `SafeRedirect`: a local path to which a browser can be redirected.
//!
//! Prevents open redirects (OWASP ASVS 5.0 §3.7.2). The tests cover the cheat sheet "Unvalidated
//! Redirects and Forwards" and the six known bypasses of Django's helper.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, Responder, body::BoxBody, dev::Payload, http::header,
};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

use crate::model::error::ConfigError;

/// The maximum length. No page has a longer path, and some servers would not accept it in a header.
const MAX_LENGTH: usize = 2_048;

/// How often a path is checked after decoding: once for an app that decodes it once, and again for
/// one that decodes it twice.
const ROUNDS: u8 = 2;

/// A path of this app that a browser can safely be sent to, such as `/orders/7?page=2`.
///
/// Whoever writes a link to a login page chooses its `next`. If the app redirected to any address,
/// an attacker could send users through the app's own login page to a copy of it (an *open
/// redirect*, OWASP ASVS 5.0 §3.7.2). A value of this type always stays in the app: it never leads
/// to another host, however disguised, not even after being decoded once or twice.
///
/// A missing or unsafe value becomes the default, `/`, and is never an error, so a hostile link
/// does not break the login. Use it as a field of a form or query, without an attribute; as a
/// parameter of a handler, which is the `next` of the query string; and as the return value of a
/// handler, which responds with 303 See Other.
///
/// ```
/// use actix_web::{HttpResponse, Responder, post, web};
/// use locals::SafeRedirect;
///
/// #[derive(serde::Deserialize)]
/// struct LogIn {
///     password: String,
///     next: SafeRedirect,
/// }
///
/// /// Shows the form, with `next` in a hidden field.
/// async fn form(next: SafeRedirect) -> impl Responder {
///     format!("<input type=hidden name=next value=\"{}\"> ..", escape(next.as_str()))
/// }
///
/// #[post("/login")]
/// async fn log_in(form: web::Form<LogIn>) -> impl Responder {
///     // .. check the password ..
///     form.into_inner().next.or("/orders")
/// }
/// # fn escape(text: &str) -> String { text.replace('&', "&amp;") }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct SafeRedirect(String);

/// The error for a text that is not a [`SafeRedirect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a local path: write one that starts with a single `/`, such as `/orders/7?page=2`")]
#[non_exhaustive]
pub struct UnsafeRedirect;

impl SafeRedirect {
    /// Parses a local path, with or without a query, as browsers write it. Returns `None` for
    /// anything else.
    ///
    /// It refuses absolute URLs, `//host`, backslashes, fragments, spaces and other characters that
    /// must be percent-encoded, dot segments, and more than 2,048 bytes. It also refuses a path
    /// that is any of these after decoding.
    ///
    /// ```
    /// use locals::SafeRedirect;
    ///
    /// assert!(SafeRedirect::parse("/orders/7?sort=name%20asc").is_some());
    /// assert!(SafeRedirect::parse("https://evil.example/").is_none());
    /// assert!(SafeRedirect::parse("//evil.example").is_none());
    /// assert!(SafeRedirect::parse("/%2Fevil.example").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        is_local(text).then(|| Self(text.to_owned()))
    }

    /// Returns the path and query, as they were given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Replaces the default, `/`, by `path`.
    ///
    /// So a browser that was redirected to the login page returns to the page it wanted, and any
    /// other goes to `path`. If `path` is not a local path, the result is `/`.
    ///
    /// ```
    /// use locals::SafeRedirect;
    ///
    /// let given = SafeRedirect::parse("/orders/7").unwrap();
    /// assert_eq!(given.or("/start").as_str(), "/orders/7");
    /// assert_eq!(SafeRedirect::default().or("/start").as_str(), "/start");
    /// ```
    pub fn or(self, path: &str) -> Self {
        if self != Self::default() {
            return self;
        }
        Self::parse(path).unwrap_or_else(|| {
            tracing::debug!(
                path,
                "the argument of `SafeRedirect::or` is not a local path; `/` is used"
            );
            self
        })
    }

    /// Returns the `next` of a query string. Two of them count as none, because other parsers may
    /// choose a different one.
    pub(crate) fn from_query(query: &str) -> Self {
        let mut given = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "next");
        match (given.next(), given.next()) {
            (Some((_, path)), None) => Self::parse(&path).unwrap_or_default(),
            _ => Self::default(),
        }
    }
}

/// Returns the URL of the login page, with `wanted` as its `next` if that is safe. `login` has
/// neither a `next` nor a fragment.
pub(crate) fn with_next(login: &str, wanted: &str) -> String {
    let Some(next) = SafeRedirect::parse(wanted) else {
        return login.to_owned();
    };
    let separator = if login.contains('?') { '&' } else { '?' };
    let next: String = form_urlencoded::byte_serialize(next.0.as_bytes()).collect();
    format!("{login}{separator}next={next}")
}

fn is_local(text: &str) -> bool {
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    text.len() <= MAX_LENGTH && text.bytes().all(is_unencoded) && stays_local(path, ROUNDS)
}

/// Browsers percent-encode all other bytes (WHATWG URL, the path and query percent-encode sets),
/// and treat `\` as `/`. They never send a fragment.
fn is_unencoded(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>\\".contains(&byte)
}

/// Whether a path never leads to another host, neither as it is nor after decoding.
///
/// Dot segments are refused everywhere (`/.//evil`, `/a/..//evil`), because browsers resolve them
/// before they send the request. Control characters are refused too, because browsers remove some
/// of them (`/%09/evil`).
fn stays_local(path: &str, rounds: u8) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(|c: char| c == '\\' || c.is_control())
        && !path.split('/').any(is_dot_segment)
        && (rounds == 0
            || percent_decode_str(path)
                .decode_utf8()
                .is_ok_and(|decoded| stays_local(&decoded, rounds - 1)))
}

/// As browsers define them: they treat `%2e` as a dot, even in a path that has already been
/// decoded.
fn is_dot_segment(segment: &str) -> bool {
    matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

impl Default for SafeRedirect {
    /// `/`.
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for SafeRedirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SafeRedirect {
    type Err = UnsafeRedirect;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(UnsafeRedirect)
    }
}

impl<'de> Deserialize<'de> for SafeRedirect {
    /// Accepts any value: if it is not a safe path, the result is `/`. Deserializing an `Option`
    /// allows a missing field without an attribute.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Text(String),
            Other(IgnoredAny),
        }
        Ok(match Option::<Given>::deserialize(deserializer)? {
            Some(Given::Text(text)) => Self::parse(&text).unwrap_or_default(),
            Some(Given::Other(_)) | None => Self::default(),
        })
    }
}

impl FromRequest for SafeRedirect {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    /// The `next` of the query string.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::from_query(request.query_string())))
    }
}

/// Responds with 303 See Other, so that the browser continues with GET, whatever the method was.
///
/// For a handler that returns a redirect in one case and a page in another.
impl From<SafeRedirect> for HttpResponse {
    fn from(redirect: SafeRedirect) -> Self {
        see_other(&redirect.0)
    }
}

/// 303 to a page of this app.
pub(crate) fn see_other(page: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, page)).finish()
}

/// Refuses a page that is not one of this app, or that has a `next` in its query: the `next` that
/// is added would be a second one, and be ignored.
pub(crate) fn check_page(page: &str) -> Result<(), ConfigError> {
    let reason = if !is_local(page) {
        "is not a page of this app: write a path such as `/login`"
    } else if has_next(page) {
        "has a `next` in its query, but `next` is added to it for the page the user wanted: remove \
         it"
    } else {
        return Ok(());
    };
    Err(ConfigError(format!("`{page}` {reason}")))
}

/// Whether the query of a page has a `next`, however it is written.
fn has_next(page: &str) -> bool {
    let query = page.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "next")
}

/// Whether a browser that requests `wanted` and is redirected to `page` would request the same
/// again.
/// `page` and `wanted` are paths with or without a query.
pub(crate) fn leads_back(page: &str, wanted: &str) -> bool {
    let path = |text: &str| {
        let path = text.split_once('?').map_or(text, |(path, _)| path);
        percent_decode_str(path).collect::<Vec<_>>()
    };
    let (page, requested) = (path(page), path(wanted));
    // Middleware may remove or add a trailing slash. A browser that was redirected before has a
    // `next`.
    let without_slash = |path: &[u8]| path.strip_suffix(b"/").unwrap_or(path).to_vec();
    page == requested || (has_next(wanted) && without_slash(&page) == without_slash(&requested))
}

impl Responder for SafeRedirect {
    type Body = BoxBody;

    /// Responds with 303 See Other, so that the browser continues with GET, whatever the method was.
    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.into()
    }
}

#[cfg(test)]
mod tests;
