//! Each line of the input is one `Cookie` header field.

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};

use super::{
    input::{lines, stripped},
    token::is_token,
};
use crate::http::cookie::{CookieConfig, Presented, SessionCookie};

/// The cookie is found exactly where a simple parser of the pairs finds it, and a token that is read
/// occurs in the header after the name of the cookie, byte for byte.
pub fn cookie(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for value in lines(data).filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(COOKIE, value);
    }
    let build = |secure| SessionCookie::build(CookieConfig::default().secure(secure));
    let (host, plain) = (build(true).expect("the default"), build(false).expect("for HTTP"));
    check("__Host-session", &host, &headers);
    check("__Host-session-guest", &host.of_guests(), &headers);
    check("session", &plain, &headers);
}

fn check(name: &str, cookie: &SessionCookie, headers: &HeaderMap) {
    let fields: Vec<&[u8]> = headers.get_all(COOKIE).map(HeaderValue::as_bytes).collect();
    let mut values: Vec<Vec<u8>> = fields.iter().flat_map(|field| values(field, name)).collect();
    values.sort();
    values.dedup();
    match (cookie.read(headers), &values[..]) {
        (Presented::Nothing, []) | (Presented::Conflicting, [_, _, ..]) => {}
        (Presented::Malformed, [value]) => assert!(!is_token(value), "a token was refused"),
        (Presented::Token(token), [value]) => {
            let text = token.expose_secret().as_bytes();
            assert!(is_token(value) && text == value, "{text:?} was read from {value:?}");
            assert!(
                fields.iter().any(|field| is_pair_in(field, name, text)),
                "{text:?} is not in the header"
            );
        }
        (found, values) => panic!("`{name}` was read as {found:?}, and not as {values:?}"),
    }
}

/// Returns the values of all cookies of this name, parsed as by RFC 6265bis §5.6: pairs are separated by
/// `;`, the name ends at the first `=`, SP and HTAB are trimmed, and nothing is decoded.
fn values(field: &[u8], name: &str) -> Vec<Vec<u8>> {
    let mut values = vec![];
    let mut before = vec![];
    let mut after: Option<Vec<u8>> = None;
    for byte in field.iter().copied().chain([b';']) {
        match (byte, after.as_mut()) {
            (b';', _) => {
                if let Some(value) = after.take()
                    && stripped(&before) == name.as_bytes()
                {
                    values.push(stripped(&value).to_vec());
                }
                before.clear();
            }
            (b'=', None) => after = Some(vec![]),
            (_, None) => before.push(byte),
            (_, Some(value)) => value.push(byte),
        }
    }
    values
}

/// Whether `name=text` is a complete pair of the field.
fn is_pair_in(field: &[u8], name: &str, text: &[u8]) -> bool {
    let is_end = |rest: &[u8]| rest.first().is_none_or(|byte| *byte == b';');
    let is_start = |rest: &[u8]| rest.last().is_none_or(|byte| *byte == b';');
    let follows_name = |left: &[u8]| {
        let left = stripped(left).strip_suffix(b"=").map(stripped);
        let left = left.and_then(|left| left.strip_suffix(name.as_bytes())).map(stripped);
        left.is_some_and(is_start)
    };
    let places = field.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    let mut places = places.map(|(start, _)| (&field[..start], &field[start + text.len()..]));
    places.any(|(left, right)| follows_name(left) && is_end(stripped(right)))
}
