//! The other scopes in which a browser may hold the cookie of a response. Pure functions.
//!
//! A browser keeps cookies of one name apart by domain, path and partition (RFC 6265bis §5.7;
//! CHIPS). So after an app is deployed with another [`CookieConfig`], the browser still holds the
//! old cookie, and presents both. The response that writes the new cookie removes it in the scopes
//! listed here.
//!
//! [`CookieConfig`]: crate::CookieConfig

use std::net::IpAddr;

/// The maximum number of paths and of domains that are considered.
const MAX_SCOPES: usize = 8;

/// What distinguishes a cookie from others of its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CookieScope {
    /// In lower case and without a leading dot. `None`: only the host that has set it.
    pub domain: Option<String>,
    pub path: String,
    pub is_partitioned: bool,
}

/// Returns the other scopes in which a browser that requests `path` from `host` may hold a cookie
/// of this name, the likeliest first. Scopes that differ from `own` in one respect come before
/// those that differ in two, and paths that few apps would choose come later.
///
/// `has_host_prefix`: whether the name begins with `__Host-`, so that domain and path cannot
/// differ.
pub(crate) fn other_scopes(
    own: &CookieScope,
    has_host_prefix: bool,
    host: Option<&str>,
    path: &str,
) -> Vec<CookieScope> {
    let (mut domains, mut paths) = (vec![own.domain.clone()], vec![own.path.clone()]);
    let mut likely_paths = 1;
    if !has_host_prefix {
        add(&mut domains, None);
        for domain in domains_of(host) {
            add(&mut domains, Some(domain));
        }
        let [likely, odd] = paths_of(path);
        for path in likely {
            add(&mut paths, path);
        }
        likely_paths = paths.len();
        for path in odd {
            add(&mut paths, path);
        }
    }
    let mut ranked = Vec::with_capacity(2 * domains.len() * paths.len());
    for (domain_rank, domain) in domains.iter().enumerate() {
        for (path_rank, path) in paths.iter().enumerate() {
            for is_partitioned in [own.is_partitioned, !own.is_partitioned] {
                let (domain, path) = (domain.clone(), path.clone());
                let scope = CookieScope { domain, path, is_partitioned };
                let is_other =
                    [domain_rank > 0, path_rank > 0, is_partitioned != own.is_partitioned];
                let differences = is_other.into_iter().filter(|differs| *differs).count();
                let is_odd = path_rank >= likely_paths;
                // An odd path counts as one more difference.
                let differences = differences + usize::from(is_odd);
                ranked.push(((differences, is_odd, domain_rank + path_rank), scope));
            }
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().skip(1).map(|(_, scope)| scope).collect()
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Returns the domains for which a host may set a cookie: itself and its parents, down to two
/// labels. Only browsers know which of them are public suffixes. None for an address, and for a
/// name of one label.
fn domains_of(host: Option<&str>) -> Vec<String> {
    let Some(name) = host.map(without_port).map(str::to_ascii_lowercase) else { return Vec::new() };
    if domain_fault(&name).is_some() {
        return Vec::new();
    }
    let starts = name.match_indices('.').map(|(dot, _)| dot + 1);
    let mut domains: Vec<_> =
        [0].into_iter().chain(starts).map(|start| name[start..].to_owned()).collect();
    domains.pop();
    domains.drain(..domains.len().saturating_sub(MAX_SCOPES));
    domains
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns the paths whose cookies are sent with a request for `path` (RFC 6265bis §5.1.4), from
/// the root: first its parents, such as `/`, `/a` and `/a/b` for `/a/b/c`; then the path itself,
/// and the parents with a trailing slash.
fn paths_of(path: &str) -> [Vec<String>; 2] {
    let ends: Vec<_> = path.match_indices('/').map(|(slash, _)| slash).take(MAX_SCOPES).collect();
    let above = ends.iter().map(|end| &path[..*end]);
    let with_slash = ends.iter().map(|end| &path[..=*end]);
    let named = |paths: &mut dyn Iterator<Item = &str>| {
        paths.filter(|path| path_fault(path).is_none()).map(str::to_owned).collect()
    };
    [named(&mut ["/"].into_iter().chain(above)), named(&mut [path].into_iter().chain(with_slash))]
}

/// Returns why browsers refuse this `Domain` of a cookie: it must be a host name of at least two
/// labels, in ASCII (RFC 6265bis §5.7; RFC 1123 §2.1). Only browsers know whether it is a public
/// suffix.
pub(crate) fn domain_fault(domain: &str) -> Option<&'static str> {
    if !domain.is_ascii() {
        return Some("a domain must be in ASCII: use the form with `xn--`");
    }
    if domain.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || ends_in_number(domain) {
        return Some("a cookie for an IP address has no domain; leave it out");
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if domain.len() > 253 || !domain.split('.').all(is_label) {
        return Some(
            "a domain is a host name such as `example.com`, without scheme, port, path or `*`",
        );
    }
    (!domain.contains('.')).then_some(
        "browsers refuse a domain of one label; leave it out for a cookie of this host only",
    )
}

/// Whether browsers parse a host as an IPv4 address, valid or not (WHATWG URL, "ends in a number").
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns why no request of a browser matches this `Path` of a cookie, or why browsers ignore it.
pub(crate) fn path_fault(path: &str) -> Option<&'static str> {
    /// Browsers ignore a longer path (RFC 6265bis §5.6).
    const MAX_LENGTH: usize = 1024;

    let is_dots = |segment: &str| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    };
    if !path.starts_with('/') || !path.bytes().all(is_path_char) {
        Some("a path starts with `/` and contains only characters of a URL path, without `;`")
    } else if path.split('/').any(is_dots) {
        Some(
            "a path has no segments `.` and `..`: browsers resolve them before they send a request",
        )
    } else if path.len() > MAX_LENGTH {
        Some("a path has at most 1024 bytes: browsers ignore a longer one")
    } else {
        None
    }
}

/// RFC 3986 §3.3, without `;`, which ends an attribute of a cookie.
fn is_path_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@%".contains(&byte)
}

#[cfg(test)]
mod tests {
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
        for right in [
            "example.com",
            "a-b.1x.example",
            "xn--bcher-kva.example",
            &long_label,
            &longest,
            "0x.dev",
        ] {
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
}
