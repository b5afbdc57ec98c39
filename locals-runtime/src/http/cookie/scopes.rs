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
mod tests;
