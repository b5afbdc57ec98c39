//! Where a browser goes when it is redirected to an address. Pure functions.

/// Hostile values of `next`. Each leads to `evil.example` or to a script if it is followed as it
/// is, or after being decoded.
pub(super) const HOSTILE: &[&str] = &[
    "https://evil.example",
    "HTTPS://evil.example/",
    "http:evil.example",
    "http:///evil.example",
    "https:\\\\evil.example",
    "https://app.example@evil.example/",
    "//evil.example",
    "///evil.example",
    "////evil.example/..",
    "//app.example@evil.example",
    "//evil%2Eexample",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    " //evil.example",
    "\t//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/%2Fevil.example",
    "%2F%2Fevil.example",
    "/%5Cevil.example",
    "/%09/evil.example",
    "%68ttps://evil.example",
    "/%252Fevil.example",
    "/a/..//evil.example",
    "javascript:alert(1)",
    "data:text/html,hello",
];

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// To the host of the app.
    Here,
    /// To the host of this name.
    Host(String),
    /// To a URL of this scheme that has no host.
    Scheme(String),
}

impl Destination {
    /// Reads an address as browsers do (WHATWG URL): they remove tabs and newlines, and treat `\`
    /// as `/` and any number of slashes as two.
    pub(super) fn of(address: &str) -> Self {
        let address = address.trim_matches(|c: char| c <= ' ').replace(['\t', '\n', '\r'], "");
        let address = address.replace('\\', "/");
        match scheme(&address) {
            Some((scheme, rest)) if has_host(&scheme) => Self::Host(host(rest)),
            Some((scheme, _)) => Self::Scheme(scheme),
            None if address.starts_with("//") => Self::Host(host(&address)),
            None => Self::Here,
        }
    }
}

fn scheme(address: &str) -> Option<(String, &str)> {
    let (scheme, rest) = address.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

fn has_host(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

/// Returns the host from the part of an address after its scheme.
fn host(rest: &str) -> String {
    let rest = rest.trim_start_matches('/');
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use url::Url;

    use super::*;

    fn host(name: &str) -> Destination {
        Destination::Host(name.to_owned())
    }

    #[test]
    fn an_address_is_read_as_browsers_read_it() {
        for address in ["", "/", "/me?next=//x", "me", "?a", "#b", "/a:b", "/%2Fevil.example"] {
            assert_eq!(Destination::of(address), Destination::Here, "{address}");
        }
        for address in [
            "//evil.example",
            "/\\evil.example/a",
            " \t//evil.example",
            "/\n/EVIL.example?a",
            "https:evil.example",
            "HTTP:///me@evil.example#b",
        ] {
            assert_eq!(Destination::of(address), host("evil.example"), "{address}");
        }
        assert_eq!(Destination::of("JavaScript:x"), Destination::Scheme("javascript".to_owned()));
        assert_eq!(Destination::of("//app.example:8080/"), host("app.example:8080"));
    }

    /// Returns `None` for `///host`, which `url` refuses and browsers read as `//host`.
    fn per_whatwg(address: &str) -> Option<Destination> {
        let page = Url::parse("https://app.example/login").unwrap();
        let url = page.join(address).ok()?;
        Some(match (url.scheme(), url.host_str()) {
            ("https", Some("app.example")) => Destination::Here,
            (_, Some(name)) => host(name),
            (scheme, None) => Destination::Scheme(scheme.to_owned()),
        })
    }

    #[test]
    fn hostile_addresses_are_read_as_the_url_standard_says() {
        for address in HOSTILE.iter().filter(|address| !address.contains("%2E")) {
            match per_whatwg(address) {
                Some(destination) => assert_eq!(Destination::of(address), destination),
                None => assert!(address.starts_with("///"), "{address:?}"),
            }
        }
    }

    #[test]
    fn hostile_addresses_lead_to_another_host_as_they_are_or_decoded() {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        for address in HOSTILE.iter().filter(|address| !address.contains("/..")) {
            let readings = [(*address).to_owned(), decode(address), decode(&decode(address))];
            let leads_away = |reading: &String| Destination::of(reading) != Destination::Here;
            assert!(readings.iter().any(leads_away), "{address:?}");
        }
    }
}
