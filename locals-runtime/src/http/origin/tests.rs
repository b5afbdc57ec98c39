use actix_web::http::header::HeaderValue;

use super::*;

const HOST: &str = "app.example";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn passes(policy: &OriginPolicy, method: &str, pairs: &[(&'static str, &str)]) -> bool {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    policy.check(&method, &headers(pairs), Some(HOST)).is_ok()
}

fn trusting(origin: &str) -> OriginPolicy {
    OriginPolicy::build(vec![], vec![origin.to_owned()], false).unwrap()
}

#[test]
fn sec_fetch_site_decides_if_it_is_sent() {
    let policy = OriginPolicy::default();
    for (site, expected) in [
        ("same-origin", true),
        ("none", true),
        ("same-site", false),
        ("cross-site", false),
        ("Same-Origin", false),
        ("", false),
        ("nonsense", false),
    ] {
        let origin = ("origin", "https://app.example");
        assert_eq!(
            passes(&policy, "POST", &[("sec-fetch-site", site), origin]),
            expected,
            "{site}"
        );
    }
    let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
    assert!(!passes(&policy, "POST", &twice));
}

#[test]
fn without_sec_fetch_site_the_origin_must_match_the_host() {
    let policy = OriginPolicy::default();
    for (origin, expected) in [
        ("https://app.example", true),
        ("https://APP.example", true),
        ("https://evil.example", false),
        ("https://app.example.evil.example", false),
        ("https://app.example:444", false),
        ("https://evil.example/https://app.example", false),
        ("app.example", false),
        ("null", false),
        ("", false),
    ] {
        assert_eq!(passes(&policy, "POST", &[("origin", origin)]), expected, "{origin}");
    }
}

#[test]
fn a_configured_origin_replaces_the_host() {
    let own = vec!["https://public.example".to_owned()];
    let policy = OriginPolicy::build(own, vec![], false).unwrap();
    assert!(passes(&policy, "POST", &[("origin", "https://public.example")]));
    assert!(!passes(&policy, "POST", &[("origin", "http://public.example")]));
    assert!(!passes(&policy, "POST", &[("origin", "https://app.example")]));
}

#[test]
fn a_trusted_origin_passes_with_and_without_sec_fetch_site() {
    let policy = trusting("https://sso.example");
    let origin = ("origin", "https://sso.example");
    assert!(passes(&policy, "POST", &[origin]));
    assert!(passes(&policy, "POST", &[("sec-fetch-site", "cross-site"), origin]));
    assert!(!passes(&policy, "POST", &[("sec-fetch-site", "cross-site")]));
    let other = ("origin", "https://other.example");
    assert!(!passes(&policy, "POST", &[("sec-fetch-site", "same-site"), other]));
}

#[test]
fn a_request_that_names_no_origin_passes_unless_strict() {
    assert!(passes(&OriginPolicy::default(), "POST", &[]));
    let strict = OriginPolicy::build(vec![], vec![], true).unwrap();
    assert!(!passes(&strict, "POST", &[]));
    assert!(passes(&strict, "GET", &[]));
}

#[test]
fn only_get_head_and_options_are_safe() {
    let policy = OriginPolicy::default();
    let cross = [("sec-fetch-site", "cross-site"), ("x-http-method-override", "POST")];
    for safe in ["GET", "HEAD", "OPTIONS"] {
        assert!(passes(&policy, safe, &cross), "{safe}");
    }
    for unsafe_method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "FOO"] {
        assert!(!passes(&policy, unsafe_method, &cross), "{unsafe_method}");
    }
}

#[test]
fn a_request_that_actix_opens_as_a_websocket_is_not_safe() {
    let policy = OriginPolicy::default();
    for upgrade in ["websocket", "WebSocket", "h2c, websocket", "websocket/13", "xWebSocket"] {
        let evil = [("upgrade", upgrade), ("origin", "https://evil.example")];
        assert!(!passes(&policy, "GET", &evil), "{upgrade}");
        let own = [("upgrade", upgrade), ("origin", "https://app.example")];
        assert!(passes(&policy, "GET", &own), "{upgrade}");
    }
}

#[test]
fn a_text_that_is_not_exactly_an_origin_is_refused() {
    for origin in [
        "https://app.example",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:3000",
        "http://[::1]",
        "tauri://localhost",
    ] {
        assert!(check_origin(origin).is_ok(), "{origin}");
    }
    for origin in [
        "",
        "*",
        "null",
        "example.com",
        "https://",
        "https://x/",
        "https://x/p",
        "https://x?q",
        "https://x#f",
        "https://user@x",
        "https://*.x",
        "https://X",
        "HTTPS://x",
        "https://x:443",
        "http://x:80",
        "https://x:",
        "https://x:0",
        "https://x:99999",
        "https://x:y",
        "https://[::1",
        "https://[zz]",
        " https://x",
        "https://x ",
        "://x",
    ] {
        assert!(check_origin(origin).is_err(), "{origin}");
    }
}
