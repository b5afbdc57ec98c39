//! What is wrong with one response. Pure functions.

use actix_web::{
    cookie::Cookie,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderMap, LOCATION, SET_COOKIE, VARY},
    },
    web::Bytes,
};

use super::report::{Fault, Rule};
use crate::testing::jar::is_removal;

/// The minimum length of a token to search for. A shorter one may be in a page by chance.
const SHORTEST_TOKEN: usize = 16;

/// A complete response.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// The request, in words.
    pub sent: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the app has begun to read the request's body.
    pub has_read: bool,
}

impl Reply {
    pub(super) fn is_allowed(&self) -> bool {
        self.status.is_success()
    }

    /// Whether this refuses a request without a session: by an error or a redirect to a login page.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
            || self.status.is_redirection()
    }

    pub(super) fn location(&self) -> Option<&str> {
        self.headers.get(LOCATION)?.to_str().ok()
    }

    /// Returns the cookies of this name that the response sets or removes.
    pub(super) fn cookies(&self, name: &str) -> Vec<Cookie<'static>> {
        let texts = self.headers.get_all(SET_COOKIE).filter_map(|header| header.to_str().ok());
        let cookies = texts.filter_map(|text| Cookie::parse(text.to_owned()).ok());
        cookies.filter(|cookie| cookie.name() == name).collect()
    }

    /// Whether the response sets a cookie of this name twice, or has two headers for one scope. A
    /// removal in another scope is allowed.
    fn repeats(&self, name: &str) -> bool {
        let texts = self.headers.get_all(SET_COOKIE).filter_map(|header| header.to_str().ok());
        let mut seen = Vec::new();
        let mut sets = 0;
        for text in texts {
            let Ok(cookie) = Cookie::parse(text) else { continue };
            if cookie.name() != name {
                continue;
            }
            let attributes = text.split(';').map(str::trim);
            let is_partitioned =
                attributes.skip(1).any(|it| it.eq_ignore_ascii_case("Partitioned"));
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let scope = (owned(cookie.domain()), owned(cookie.path()), is_partitioned);
            sets += usize::from(!is_removal(&cookie));
            if sets > 1 || seen.contains(&scope) {
                return true;
            }
            seen.push(scope);
        }
        false
    }

    /// Returns the token that the response sets.
    pub(super) fn token(&self, name: &str) -> Option<String> {
        let cookie = self.cookies(name).pop()?;
        (!is_removal(&cookie) && !cookie.value().is_empty()).then(|| cookie.value().to_owned())
    }

    /// Returns all values of a list header, in lower case.
    fn list(&self, name: impl actix_web::http::header::AsHeaderName) -> Vec<String> {
        let values = self.headers.get_all(name).filter_map(|value| value.to_str().ok());
        let words = values.flat_map(|value| value.split(','));
        words.map(|word| word.trim().to_ascii_lowercase()).collect()
    }

    fn is_no_store(&self) -> bool {
        self.list(CACHE_CONTROL).iter().any(|word| word == "no-store")
    }

    fn is_private(&self) -> bool {
        let words = self.list(CACHE_CONTROL);
        let is_public = words.iter().any(|word| word == "public" || word.starts_with("s-maxage"));
        !is_public && words.iter().any(|word| word == "no-store" || word == "private")
    }

    fn varies_by_cookie(&self) -> bool {
        self.list(VARY).iter().any(|name| name == "cookie" || name == "*")
    }

    fn header_in_words(&self, name: &str) -> String {
        let values: Vec<_> = self
            .headers
            .get_all(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        match &*values {
            [] => format!("no `{name}`"),
            values => format!("`{name}: {}`", values.join(", ")),
        }
    }
}

/// Returns what is wrong with a cookie that a login has set.
pub(super) fn cookie_faults(reply: &Reply, name: &str, secure: bool) -> Vec<Fault> {
    let cookies = reply.cookies(name);
    let Some(cookie) = cookies.last() else { return Vec::new() };
    let wrong = |is_wrong: bool, came: &str, remedy: &str| {
        let came = format!("the cookie `{name}`, {came}");
        is_wrong.then(|| Fault::new(Rule::Cookie, &reply.sent, came, remedy))
    };
    let faults = [
        wrong(
            reply.repeats(name),
            "more than once",
            "set it once per response; browsers keep only one",
        ),
        wrong(
            cookie.http_only() != Some(true),
            "without `HttpOnly`",
            "add `HttpOnly`, so that scripts cannot read it",
        ),
        wrong(
            secure && cookie.secure() != Some(true),
            "without `Secure`",
            "add `Secure`, so that it is sent over HTTPS only; for a test of an app that is \
             configured for plain HTTP, set `secure: false` in the `Hygiene`, or use `Hygiene::of`",
        ),
        wrong(
            cookie.same_site().is_none(),
            "without `SameSite`",
            "add `SameSite=Lax`, so that no browser sends it with requests of other sites",
        ),
        wrong(
            cookie.path().is_none(),
            "without `Path`",
            "add `Path=/`; without it browsers send the cookie only under the path of the login",
        ),
    ];
    let faults: Vec<_> = faults.into_iter().flatten().collect();
    match ignored_by_browsers(cookie) {
        Some(reason) if faults.is_empty() => {
            let remedy = format!("fix what contradicts its name: {reason}");
            wrong(true, "which browsers silently drop", &remedy).into_iter().collect()
        }
        _ => faults,
    }
}

/// Returns why browsers ignore a cookie of this name (RFC 6265bis §5.7).
fn ignored_by_browsers(cookie: &Cookie<'_>) -> Option<&'static str> {
    let is = |prefix: &str| {
        let start = cookie.name().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let is_secure = cookie.secure() == Some(true);
    if (is("__Host-") || is("__Secure-")) && !is_secure {
        Some("this prefix requires `Secure`")
    } else if is("__Host-") && cookie.path() != Some("/") {
        Some("`__Host-` requires `Path=/`")
    } else if is("__Host-") && cookie.domain().is_some() {
        Some("`__Host-` does not allow `Domain`")
    } else {
        None
    }
}

/// Returns what is wrong with how a logout removes the cookie that a login has set.
pub(super) fn removal_fault(set: &Reply, reply: &Reply, name: &str) -> Option<Fault> {
    let (set, removal) = (set.cookies(name).pop()?, reply.cookies(name).pop());
    let came = match removal {
        None => format!("{}, and no removal of `{name}`", reply.status),
        Some(cookie) if !is_removal(&cookie) => {
            format!("the cookie `{name}`, without `Max-Age=0`")
        }
        Some(cookie) if !is_same_cookie(&set, &cookie) => {
            format!("a removal of `{name}` with another `Path` or `Domain`, which removes nothing")
        }
        Some(cookie) if ignored_by_browsers(&set).is_none() => {
            let reason = ignored_by_browsers(&cookie)?;
            format!("a removal of `{name}` that browsers silently drop: {reason}")
        }
        Some(_) => return None,
    };
    let remedy = "send the cookie again with an empty value, with `Max-Age=0`, and the `Path`, `Domain` \
                  and `Secure` with which it was set";
    Some(Fault::new(Rule::LogOutRemovesCookie, &reply.sent, came, remedy))
}

fn is_same_cookie(one: &Cookie<'_>, other: &Cookie<'_>) -> bool {
    (one.path(), one.domain()) == (other.path(), other.domain())
}

/// Returns a fault if a cache may store the cookie of a response.
pub(super) fn stored_cookie_fault(reply: &Reply, name: &str) -> Option<Fault> {
    if reply.cookies(name).is_empty() || reply.is_no_store() {
        return None;
    }
    let came = format!("the cookie `{name}` with {}", reply.header_in_words("Cache-Control"));
    let remedy = "add `Cache-Control: no-store`: a shared cache may store `Set-Cookie` and send it \
                  to others (RFC 9111 §7.3)";
    Some(Fault::new(Rule::Caching, &reply.sent, came, remedy))
}

/// Returns the faults if a cache may send the page of one user to another.
pub(super) fn shared_page_faults(reply: &Reply) -> Vec<Fault> {
    let fault =
        |name, remedy| Fault::new(Rule::Caching, &reply.sent, reply.header_in_words(name), remedy);
    let mut faults = Vec::new();
    if !reply.is_private() {
        faults.push(fault(
            "Cache-Control",
            "send `private, no-store`, or at least `private`, and never `public`",
        ));
    }
    if !reply.varies_by_cookie() {
        faults.push(fault("Vary", "add `Vary: Cookie`, because the page depends on the cookie"));
    }
    faults
}

/// Returns where a token is outside of its cookie.
pub(super) fn leak_faults(reply: &Reply, tokens: &[String]) -> Vec<Fault> {
    let fault = |place: String| {
        let remedy = "remove the token: pages, URLs and headers are stored and passed on";
        Fault::new(Rule::Secrecy, &reply.sent, format!("the token {place}"), remedy)
    };
    let holds_token = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let mut long = tokens.iter().filter(|token| token.len() >= SHORTEST_TOKEN);
        long.any(|token| text.contains(token))
    };
    let headers = reply.headers.iter().filter(|(name, _)| *name != SET_COOKIE);
    let in_headers = headers
        .filter(|(_, value)| holds_token(value.as_bytes()))
        .map(|(name, _)| fault(format!("in the header `{name}`")));
    let in_body = holds_token(&reply.body).then(|| fault("in the body".to_owned()));
    in_headers.chain(in_body).collect()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn reply(headers: &[(&'static str, &'static str)]) -> Reply {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Reply {
            sent: "`POST /x`".to_owned(),
            status: StatusCode::OK,
            headers: map,
            body: Bytes::new(),
            has_read: false,
        }
    }

    fn came(faults: impl IntoIterator<Item = Fault>) -> Vec<String> {
        faults.into_iter().map(|fault| fault.came).collect()
    }

    fn of_cookie(header: &'static str, name: &str, secure: bool) -> Vec<String> {
        came(cookie_faults(&reply(&[("set-cookie", header)]), name, secure))
    }

    #[test]
    fn a_good_cookie_has_no_fault() {
        for header in [
            "__Host-a=1; HttpOnly; Secure; SameSite=Lax; Path=/",
            "__Host-a=1; path=/; samesite=strict; secure; httponly; Max-Age=60; Partitioned",
        ] {
            assert!(of_cookie(header, "__Host-a", true).is_empty(), "{header}");
        }
        assert!(of_cookie("a=1; HttpOnly; SameSite=Lax; Path=/", "a", false).is_empty());
        assert!(of_cookie("b=1", "a", true).is_empty(), "another cookie");
    }

    #[test]
    fn every_missing_attribute_is_reported() {
        assert_eq!(
            of_cookie("a=1", "a", true),
            ["HttpOnly", "Secure", "SameSite", "Path"]
                .map(|attribute| format!("the cookie `a`, without `{attribute}`"))
        );
    }

    #[test]
    fn a_cookie_that_browsers_drop_is_a_fault() {
        for (header, name) in [
            ("__Host-a=1; HttpOnly; Secure; SameSite=Lax; Path=/app", "__Host-a"),
            ("__host-a=1; HttpOnly; Secure; SameSite=Lax; Path=/; Domain=app.example", "__host-a"),
            ("__Host-a=1; HttpOnly; SameSite=Lax; Path=/", "__Host-a"),
            ("__Secure-a=1; HttpOnly; SameSite=Lax; Path=/", "__Secure-a"),
        ] {
            let faults = of_cookie(header, name, false);
            assert_eq!(faults, [format!("the cookie `{name}`, which browsers silently drop")]);
        }
    }

    fn of_removal(set: &'static str, removal: &'static str) -> Option<String> {
        let replies = [set, removal].map(|header| reply(&[("set-cookie", header)]));
        removal_fault(&replies[0], &replies[1], "a").map(|fault| fault.came)
    }

    #[test]
    fn a_removal_must_have_the_path_and_domain_of_the_cookie() {
        let set = "a=1; Path=/; Domain=app.example";
        for removal in ["a=; Max-Age=0", "a=; Max-Age=0; Path=/", "a=; Max-Age=0; Path=/app"] {
            let came = of_removal(set, removal).unwrap();
            assert!(came.contains("another `Path` or `Domain`"), "{came}");
        }
        assert!(of_removal(set, "a=; Path=/; Domain=app.example").is_some());
        assert_eq!(of_removal(set, "a=; Max-Age=0; Path=/; Domain=app.example"), None);
    }

    #[test]
    fn a_page_of_a_user_is_private_and_varies_by_the_cookie() {
        for (cache, vary, faults) in [
            ("private, no-store", "Cookie", 0),
            ("no-store", "accept, COOKIE", 0),
            ("Private, max-age=60", "*", 0),
            ("public", "Cookie", 1),
            ("private, s-maxage=60", "Cookie", 1),
            ("no-cache", "Cookie", 1),
            ("max-age=60", "Accept", 2),
        ] {
            let reply = reply(&[("cache-control", cache), ("vary", vary)]);
            assert_eq!(shared_page_faults(&reply).len(), faults, "{cache} {vary}");
        }
        assert_eq!(came(shared_page_faults(&reply(&[]))), ["no `Cache-Control`", "no `Vary`"]);
    }

    #[test]
    fn a_response_with_a_cookie_must_be_no_store() {
        let fault = |cache| {
            stored_cookie_fault(&reply(&[("set-cookie", "a=1"), ("cache-control", cache)]), "a")
        };
        assert!(fault("no-store").is_none());
        assert!(fault("private").is_some());
        assert!(stored_cookie_fault(&reply(&[("set-cookie", "a=1")]), "b").is_none());
    }

    #[test]
    fn a_token_is_found_in_headers_and_body() {
        let tokens = [TOKEN.to_owned(), "7".to_owned()];
        let location = reply(&[("location", "/?t=0123456789abcdef"), ("x-user", "7")]);
        assert_eq!(came(leak_faults(&location, &tokens)), ["the token in the header `location`"]);
        let cookie = reply(&[("set-cookie", "a=0123456789abcdef")]);
        assert!(leak_faults(&cookie, &tokens).is_empty());
        let body = Reply { body: Bytes::from("{\"t\":\"0123456789abcdef\"}"), ..cookie };
        assert_eq!(came(leak_faults(&body, &tokens)), ["the token in the body"]);
    }

    #[test]
    fn a_removal_gives_no_token() {
        let token = |header| reply(&[("set-cookie", header)]).token("a");
        assert_eq!(token("a=1; Path=/").as_deref(), Some("1"));
        for header in ["a=; Max-Age=0", "a=1; Max-Age=0", "a=", "b=1"] {
            assert_eq!(token(header), None, "{header}");
        }
    }
}
