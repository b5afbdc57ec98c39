//! The input is the path of a redirect, or the query that contains it.

use percent_encoding::{percent_decode, percent_decode_str};
use url::Url;

use crate::http::redirect::{SafeRedirect, with_next};

const LOGINS: [&str; 3] = ["/login", "/login?lang=en", "/a/login?a=%20&b"];

/// A path that is accepted is kept unchanged, resolves to the app's own origin on every page, and is
/// read back from the address of the login page. A query with several `next` has none.
pub fn next(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let accepted = SafeRedirect::parse(&text);
    if let Some(next) = &accepted {
        assert_eq!(next.as_str(), text);
        assert_same_origin(&text);
    }
    for login in LOGINS {
        let address = with_next(login, &text);
        assert!(address.starts_with(login));
        let (_, query) = address.split_once('?').unwrap_or_default();
        assert_eq!(SafeRedirect::from_query(query), accepted.clone().unwrap_or_default());
        assert!(address.len() > 2_048 || SafeRedirect::parse(&address).is_some(), "{address}");
    }
    assert_eq!(SafeRedirect::from_query(&text), one_next(&text), "{text}");
}

/// Asserts that a path stays on the app's origin, resolved as browsers do, on two pages of the app: as it
/// is, after one or two decodings, and with backslashes taken as slashes.
fn assert_same_origin(text: &str) {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let once = decode(text);
    for reading in [text.to_owned(), decode(&once), once] {
        for reading in [reading.replace('\\', "/"), reading] {
            for page in ["https://app.example/", "http://app.example:8080/log/in"] {
                let page = Url::parse(page).expect("a page of the app");
                let url =
                    page.join(&reading).unwrap_or_else(|_| panic!("{text} cannot be resolved"));
                assert_eq!(url.origin(), page.origin(), "{text} leaves the app");
                assert_eq!(
                    (url.username(), url.password()),
                    ("", None),
                    "{text} contains credentials"
                );
                assert!(!url.path().starts_with("//"), "{text} leaves the app when resolved again");
            }
        }
    }
}

/// Reads `next` with a simple parser: pairs are separated by `&`, `+` is a space, and several `next` count
/// as none.
fn one_next(query: &str) -> SafeRedirect {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode(text.as_bytes()).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let given: Vec<_> = pairs.filter(|(name, _)| decode(name) == "next").collect();
    match given[..] {
        [(_, path)] => SafeRedirect::parse(&decode(path)).unwrap_or_default(),
        _ => SafeRedirect::default(),
    }
}
