use proptest::prelude::*;

use super::*;

fn scope(domain: Option<&str>, path: &str, is_partitioned: bool) -> CookieScope {
    CookieScope { domain: domain.map(str::to_owned), path: path.to_owned(), is_partitioned }
}

#[test]
fn a_cookie_with_the_host_prefix_differs_only_by_its_partition() {
    let own = scope(None, "/", false);
    let others = other_scopes(&own, true, Some("app.example.com"), "/a/b");
    assert_eq!(others, [scope(None, "/", true)]);
}

#[test]
fn the_likeliest_scopes_come_first() {
    let own = scope(None, "/", false);
    let others = other_scopes(&own, false, Some("App.Example.com:8443"), "/a/in");
    let one_difference = [
        scope(None, "/", true),
        scope(None, "/a", false),
        scope(Some("app.example.com"), "/", false),
        scope(Some("example.com"), "/", false),
    ];
    assert_eq!(others[..4], one_difference);
    assert!(others[4..].iter().all(|other| !one_difference.contains(other)));
    // Three domains, two partitions, four paths.
    assert_eq!(others.len(), 3 * 2 * 4 - 1);
    assert_eq!(others.last().unwrap(), &scope(Some("example.com"), "/a/", true));
}

#[test]
fn a_host_may_set_cookies_for_itself_and_parent_domains_of_two_labels_or_more() {
    for (host, expected) in [
        ("a.b.example.com", &["a.b.example.com", "b.example.com", "example.com"][..]),
        ("example.com:8443", &["example.com"]),
        ("localhost:8080", &[]),
        ("localhost", &[]),
        ("127.0.0.1:8080", &[]),
        ("[::1]:8080", &[]),
        ("[2001:db8::1]", &[]),
        ("user@example.com", &[]),
        ("example.com.", &[]),
        ("a..example.com", &[]),
        ("evil.com; Secure", &[]),
        ("", &[]),
    ] {
        assert_eq!(domains_of(Some(host)), expected, "{host}");
    }
    assert!(domains_of(None).is_empty());
}

#[test]
fn the_paths_are_those_whose_cookies_are_sent_with_the_request() {
    for (path, likely, odd) in [
        ("/", &["/"][..], &["/", "/"][..]),
        ("/in", &["/"], &["/in", "/"]),
        ("/a/b/in", &["/", "/a", "/a/b"], &["/a/b/in", "/", "/a/", "/a/b/"]),
        ("/a/", &["/", "/a"], &["/a/", "/", "/a/"]),
        ("/a;b/c", &["/"], &["/"]),
        ("*", &["/"], &[]),
        ("", &["/"], &[]),
    ] {
        let [found_likely, found_odd] = paths_of(path);
        assert_eq!((&*found_likely, &*found_odd), (&to_owned(likely)[..], &to_owned(odd)[..]));
    }
}

fn to_owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

#[test]
fn a_domain_is_a_host_name_of_two_labels_or_more_in_ascii() {
    let long_label = format!("{}.com", "a".repeat(63));
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
    for right in
        ["example.com", "a-b.1x.example", "xn--bcher-kva.example", &long_label, &longest, "0x.dev"]
    {
        assert_eq!(domain_fault(right), None, "{right}");
    }
    let (too_long_label, too_long) = (format!("a{long_label}"), format!("{longest}b"));
    for wrong in [
        "",
        ".",
        "/",
        "com",
        "localhost",
        "example.com.",
        "..example.com",
        "a..b",
        "*.example.com",
        "example.com:8443",
        "https://example.com",
        "example.com/",
        "user@example.com",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b.example",
        "example.com; Secure",
        "example.com\r\n",
        "bücher.example",
        "127.0.0.1",
        "127.1",
        "a.0x7f",
        "::1",
        "[::1]",
        "a%2eb.example",
        &too_long_label,
        &too_long,
    ] {
        assert!(domain_fault(wrong).is_some(), "{wrong}");
    }
}

#[test]
fn a_path_must_be_possible_in_the_url_of_a_request() {
    let longest = format!("/{}", "a".repeat(1023));
    for right in ["/", "/app", "/app/", "/a/b.c/~d", "/a%20b", "/.a/..b", "/a:b@c", &longest] {
        assert_eq!(path_fault(right), None, "{right}");
    }
    let too_long = format!("{longest}a");
    for wrong in [
        "",
        "app",
        "*",
        "https://example.com/",
        "/app?tab=1",
        "/app#top",
        "/a b",
        "/a;b",
        "/a\\b",
        "/a\"b",
        "/<a>",
        "/{id}",
        "/bücher",
        "/a\r\n",
        "/./a",
        "/a/..",
        "/a/%2E%2e/b",
        &too_long,
    ] {
        assert!(path_fault(wrong).is_some(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn the_scopes_are_different_distinct_few_and_valid_in_a_header(
        host in proptest::option::of("(([a-zA-Z0-9-]{1,9}[.]){0,12}[a-z]{1,5}(:[0-9]{1,5})?)|.{0,40}"),
        path in "(/[a-z]{0,3}){0,20}|/.{0,60}",
        is_partitioned: bool,
        has_host_prefix: bool,
    ) {
        let own = scope(None, "/", is_partitioned);
        let others = other_scopes(&own, has_host_prefix, host.as_deref(), &path);
        prop_assert!(!others.contains(&own));
        let distinct: std::collections::HashSet<_> = others.iter().collect();
        prop_assert_eq!(distinct.len(), others.len());
        prop_assert!(others.len() < 2 * (MAX_SCOPES + 1) * (2 * MAX_SCOPES + 2));
        for other in &others {
            prop_assert_eq!(path_fault(&other.path), None);
            prop_assert!(other.path == "/" || path.starts_with(&other.path));
            if let Some(domain) = &other.domain {
                prop_assert_eq!(domain_fault(domain), None);
                prop_assert!(host.as_ref().unwrap().to_ascii_lowercase().contains(domain));
            }
        }
    }
}
