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
    assert_eq!(actix_web::body::to_bytes(response.into_body()).await.unwrap(), web::Bytes::new());
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
