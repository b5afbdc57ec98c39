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
mod tests {
    use actix_web::{test::TestRequest, web};
    use proptest::prelude::*;

    use super::*;

    const GOOD: &[&str] = &[
        "/",
        "/orders",
        "/orders/",
        "/orders/7?page=2&sort=name%20asc",
        "/?",
        "/?page=2",
        "/?next=/a",
        "/caf%C3%A9/%E6%97%A5%E6%9C%AC?q=%F0%9F%8D%8E",
        "/x?u=https%3A%2F%2Fa.b",
        "/x?u=https://a.b//c",
        "/x?path=..%2F..%2Fa",
        "/x?q=//evil.example",
        "/x?text=two%0D%0Alines",
        "/projects/group%2Fproject",
        "/files/a%20b.txt",
        "/@user",
        "/user@host.example",
        "/a//b",
        "/a/...",
        "/.well-known/change-password",
        "/..a/.b/c..",
        "/a:b/c;d=e,f",
        "/~user/!$&'()*+,;=",
        "/100%",
        "/50%25",
        "/a?b?c",
        "/a%3Fb%23c",
        "/search?q[]=1&q[]=2&r={a|b}",
        "/xn--bcher-kva.example",
    ];

    const BAD: &[&str] = &[
        // Empty, or without a leading slash.
        "",
        " ",
        "?",
        "?page=2",
        "orders",
        "./orders",
        "../orders",
        "#top",
        // Other schemes and hosts.
        "https://evil.example",
        "HTTPS://evil.example/",
        "http:evil.example",
        "http:/evil.example",
        "http:///evil.example",
        "https:\\\\evil.example",
        "https://app.example",
        "https://app.example@evil.example/",
        "https://app.example.evil.example/",
        "https://app.example:443@evil.example",
        "ftp://evil.example",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:https://evil.example/x",
        "view-source:https://evil.example",
        "://evil.example",
        ":evil.example",
        "@evil.example",
        "evil.example",
        "www.evil.example/orders",
        // Django CVE-2015-2317, CVE-2016-2512, CVE-2017-7233, CVE-2018-14574 and their tests.
        "\u{8}//evil.example",
        "http://app.example\\@evil.example",
        "http:999999999",
        "http:\\app.example@evil.example",
        "//evil.example",
        "///evil.example",
        "////evil.example",
        "http:///\\evil.example",
        "\\\\evil.example",
        "\\/evil.example",
        "/\\evil.example",
        "/\\/evil.example",
        "/\\\\evil.example",
        "\\/\\evil.example",
        "//app.example",
        "//user@evil.example",
        "//evil.example:80",
        "//[::1]/",
        "//0x7f000001/",
        "//evil.example/..",
        "//evil%2Eexample",
        "//\u{435}vil.example",
        // Characters that browsers remove before parsing: tabs, newlines, spaces at the ends.
        "\t//evil.example",
        "\n//evil.example",
        " //evil.example",
        " /orders",
        "/orders ",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r/evil.example",
        "/\r\n/evil.example",
        "/\u{b}/evil.example",
        "\0//evil.example",
        "/\0/evil.example",
        "/\u{7f}/evil.example",
        "/\t\\evil.example",
        // Headers and markup.
        "/orders\r\nSet-Cookie: a=b",
        "/orders?a=b\r\nSet-Cookie: a=b",
        "/%0d%0aSet-Cookie:%20a=b",
        "/orders%0aLocation:%20//evil.example",
        "/%250d%250aSet-Cookie:%20a=b",
        "/\"onmouseover=alert(1)",
        "/<script>",
        // Hostile after being decoded once or twice.
        "/%2f/evil.example",
        "/%2Fevil.example",
        "/%2f%2fevil.example",
        "/%5cevil.example",
        "/%5C/evil.example",
        "/%09/evil.example",
        "/%0A/evil.example",
        "/%00/evil.example",
        "/%7f/evil.example",
        "/%c2%85/evil.example",
        "/%252f/evil.example",
        "/%252fevil.example",
        "/%255cevil.example",
        "/%2509/evil.example",
        "/%%32fevil.example",
        "/%25%32%66evil.example",
        "/%25%35%63evil.example",
        "%2f%2fevil.example",
        "%68ttps://evil.example",
        "/a%5cb",
        // Slashes in overlong UTF-8, and other invalid UTF-8.
        "/%c0%afevil.example",
        "/%e0%80%afevil.example",
        "/%ff/evil.example",
        // Dot segments.
        "/.",
        "/..",
        "/.//evil.example",
        "/..//evil.example",
        "/../evil.example",
        "/a/..//evil.example",
        "/a/../..//evil.example",
        "/a/b/../..//evil.example",
        "/././/evil.example",
        "/%2e//evil.example",
        "/%2e%2e//evil.example",
        "/.%2e//evil.example",
        "/%252e%252e//evil.example",
        "/a/..%2f/evil.example",
        "/a%2f..%2f%2fevil.example",
        "/a/%2e%2e%2f%2fevil.example",
        "/..\\evil.example",
        // Characters that only look like a slash, and everything else that is not ASCII.
        "/\u{ff0f}evil.example",
        "\u{ff0f}\u{ff0f}evil.example",
        "\u{2215}/evil.example",
        "/\u{ff3c}evil.example",
        "/\u{feff}/evil.example",
        "\u{200b}//evil.example",
        "/\u{a0}/evil.example",
        "/caf\u{e9}",
        "/\u{202e}elpmaxe.live//",
        // Fragments.
        "/orders#top",
        "/#//evil.example",
    ];

    #[test]
    fn a_local_path_is_kept_unchanged() {
        assert!(GOOD.len() >= 20);
        for text in GOOD {
            assert_eq!(SafeRedirect::parse(text).as_ref().map(SafeRedirect::as_str), Some(*text));
        }
    }

    #[test]
    fn a_path_that_may_lead_to_another_host_is_refused() {
        assert!(BAD.len() >= 80);
        for text in BAD {
            assert_eq!(SafeRedirect::parse(text), None, "{text:?}");
            assert_eq!(text.parse::<SafeRedirect>(), Err(UnsafeRedirect), "{text:?}");
        }
    }

    #[test]
    fn a_dot_that_only_browsers_decode_counts_as_a_dot() {
        for dots in [".", "..", "%2e", "%2E", ".%2e", "%2e.", "%2E%2e"] {
            // Decoded twice, it is as above.
            let dots = dots.replace('%', "%2525");
            let hostile = format!("/a/{dots}//evil.example");
            assert_eq!(SafeRedirect::parse(&hostile), None, "{hostile}");
        }
        assert!(SafeRedirect::parse("/a/...%25252e").is_some(), "three dots are not a dot segment");
    }

    #[test]
    fn a_hostile_path_is_refused_in_any_case_and_with_a_query() {
        for text in BAD.iter().filter(|text| !text.contains('?')) {
            for text in [format!("{text}?page=2"), text.to_uppercase(), text.to_lowercase()] {
                assert_eq!(SafeRedirect::parse(&text), None, "{text:?}");
            }
        }
    }

    #[test]
    fn an_address_of_more_than_2048_bytes_is_refused() {
        assert!(SafeRedirect::parse(&format!("/{}", "a".repeat(2_047))).is_some());
        assert!(SafeRedirect::parse(&format!("/{}", "a".repeat(2_048))).is_none());
        assert!(SafeRedirect::parse(&format!("/?{}", "a".repeat(1_000_000))).is_none());
    }

    #[test]
    fn the_path_of_the_app_replaces_the_default() {
        let or = |next: SafeRedirect, path| next.or(path).to_string();
        assert_eq!(or(SafeRedirect("/orders".to_owned()), "/start"), "/orders");
        assert_eq!(or(SafeRedirect::default(), "/start?new"), "/start?new");
        // A form without a `next` has `/` in its hidden field, and sends that.
        assert_eq!(or(SafeRedirect::from_query("next=%2F"), "/start"), "/start");
        assert_eq!(or(SafeRedirect::default(), "https://elsewhere.example"), "/");
        assert_eq!(or(SafeRedirect::default(), ""), "/");
    }

    #[test]
    fn a_query_must_have_exactly_one_next() {
        for (query, expected) in [
            ("", "/"),
            ("next", "/"),
            ("next=", "/"),
            ("next=/orders", "/orders"),
            ("a=1&next=%2Forders%3Fpage%3D2%26q%3Da%2520b&b=2", "/orders?page=2&q=a%20b"),
            ("n%65xt=/orders", "/orders"),
            ("Next=/orders", "/"),
            ("next[]=/orders", "/"),
            ("next=/a&next=/b", "/"),
            ("next=/a&n%65xt=//evil.example", "/"),
            ("next=//evil.example", "/"),
            ("next=%2F%2Fevil.example", "/"),
            ("next=%2F%252Fevil.example", "/"),
            ("next=/a+b", "/"),
            ("next=/%FF", "/"),
            ("next=%ff", "/"),
        ] {
            assert_eq!(SafeRedirect::from_query(query).as_str(), expected, "{query}");
        }
    }

    #[test]
    fn the_login_page_gets_the_requested_page_as_next() {
        assert_eq!(with_next("/login", "/orders"), "/login?next=%2Forders");
        assert_eq!(with_next("/login", "/a?b=c d"), "/login", "an unsafe path is not passed on");
        assert_eq!(
            with_next("/login?lang=en", "/a?b=c+d&e=%20"),
            "/login?lang=en&next=%2Fa%3Fb%3Dc%2Bd%26e%3D%2520"
        );
        for text in BAD {
            assert_eq!(with_next("/login", text), "/login", "{text:?}");
        }
    }

    #[test]
    fn a_page_may_have_a_query_without_next_and_no_fragment() {
        for page in [
            "/",
            "/login",
            "/login?",
            "/login?lang=en",
            "/login?next_page=1&a=next",
            "/login?Next=/a",
            "/login?next[]=/a",
            "/login?a=%26next=1",
            "/next?a",
            "/login?a?next=1",
        ] {
            assert!(check_page(page).is_ok(), "{page}");
        }
        for page in [
            "/login?next=/a",
            "/login?next=",
            "/login?next",
            "/login?a=1&next=",
            "/login?a=1&next",
            "/login?&next=/a&b",
            "/login?n%65xt=/a",
            "/login?%6E%65%78%74",
            "/login?next=/a&next=/b",
        ] {
            let error = check_page(page).unwrap_err().to_string();
            assert!(error.contains(page) && error.contains("has a `next`"), "{error}");
        }
        for page in ["/login#top", "/login?a#b", "/#", "login", "//a.b"] {
            let error = check_page(page).unwrap_err().to_string();
            assert!(error.contains("is not a page of this app"), "{error}");
        }
    }

    #[test]
    fn a_redirect_loop_is_found_whatever_the_query_and_encoding() {
        for (page, wanted, expected) in [
            ("/login", "/login", true),
            ("/login", "/login?next=%2F", true),
            ("/login?lang=en", "/login", true),
            ("/l%6Fgin", "/login?a", true),
            ("/login", "/l%6fgin", true),
            ("/", "/", true),
            ("/", "/?next=/", true),
            ("/login", "/orders", false),
            ("/login", "/login/x", false),
            ("/login", "/Login", false),
            ("/login", "/orders?next=/login", false),
            ("/login/", "/login", false),
            ("/login", "/login/?a", false),
            ("/login/", "/login?next=/login", true),
            ("/login", "/login/?next=/login/", true),
        ] {
            assert_eq!(leads_back(page, wanted), expected, "{page} {wanted}");
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Form {
        next: SafeRedirect,
    }

    #[test]
    fn a_field_of_a_form_is_never_an_error() {
        let from = |query: &str| web::Query::<Form>::from_query(query).unwrap().into_inner().next;
        assert_eq!(from("next=%2Forders%3Fa%3D1").as_str(), "/orders?a=1");
        for query in ["", "next", "next=", "next=//evil.example", "next=%FF", "other=1"] {
            assert_eq!(from(query), SafeRedirect::default(), "{query}");
        }
    }

    #[test]
    fn a_field_of_json_is_never_an_error() {
        let from = |json: &str| serde_json::from_str::<Form>(json).unwrap().next;
        assert_eq!(from(r#"{"next":"\/orders"}"#).as_str(), "/orders");
        for json in ["null", "5", "-0.5", "true", "[\"/a\"]", "{\"a\":[]}", "\"//evil.example\""] {
            assert_eq!(from(&format!(r#"{{"next":{json}}}"#)), SafeRedirect::default(), "{json}");
        }
        assert_eq!(from("{}"), SafeRedirect::default());
        assert_eq!(serde_json::to_string(&from(r#"{"next":"/a?b"}"#)).unwrap(), r#""/a?b""#);
    }

    #[actix_web::test]
    async fn a_handler_takes_next_from_the_query_and_redirects_to_it() {
        let request = TestRequest::post().uri("/login?next=%2Forders%3Fpage%3D2").to_http_request();
        let next = SafeRedirect::extract(&request).await.unwrap();
        let response = next.respond_to(&request);
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers().get("location").unwrap(), "/orders?page=2");
        assert_eq!(
            actix_web::body::to_bytes(response.into_body()).await.unwrap(),
            web::Bytes::new()
        );
    }

    #[test]
    fn the_fuzzed_properties_hold_for_all_examples() {
        for text in GOOD.iter().chain(BAD) {
            crate::fuzzing::next(text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_plain_path_is_accepted(
            text in "(/[a-zA-Z0-9_~-]{1,8}){1,5}/?(\\?[a-z0-9=&/:%+-]{0,20})?",
        ) {
            prop_assert!(SafeRedirect::parse(&text).is_some());
        }
    }
}
