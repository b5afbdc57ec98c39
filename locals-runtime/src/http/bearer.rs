//! Reads a bearer token from `Authorization`. Pure functions.

/// The bearer token of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bearer<'a> {
    /// There is no bearer token. Other schemes are left to the app.
    None,
    /// The text that should be a token.
    One(&'a [u8]),
    /// A bearer token and other credentials. Which of them counts is ambiguous, and a proxy in
    /// front of the app may choose another one.
    Several,
}

/// Reads all `Authorization` headers of a request. RFC 9110 §11.6.2 allows one. Several headers, or
/// several credentials that a proxy has joined by commas (§5.3), are a bearer token only if all of
/// them are equal.
pub(crate) fn read<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Bearer<'a> {
    let mut headers = headers.peekable();
    let Some(first) = headers.peek().copied() else { return Bearer::None };
    let (mut is_bearer, mut is_one) = (false, true);
    for header in headers {
        let mut credentials = elements(header).filter(|element| is_credential(element));
        is_bearer |= credentials.clone().any(|credential| bearer_token(credential).is_some());
        is_one &= bearer_token(header) == bearer_token(first);
        is_one &= credentials.nth(1).is_none();
    }
    match (is_bearer, is_one, bearer_token(first)) {
        (false, ..) => Bearer::None,
        (true, true, Some(token)) => Bearer::One(token),
        (true, ..) => Bearer::Several,
    }
}

/// Whether an element of a list is a credential, and not a parameter of the previous one.
fn is_credential(element: &[u8]) -> bool {
    element.contains(&b' ') || bearer_token(element).is_some()
}

/// Returns the text after the scheme, if that is `Bearer`.
fn bearer_token(credential: &[u8]) -> Option<&[u8]> {
    let scheme_ends = credential.iter().position(|byte| *byte == b' ').unwrap_or(credential.len());
    let (scheme, token) = credential.split_at(scheme_ends);
    scheme.eq_ignore_ascii_case(b"Bearer").then(|| token.trim_ascii())
}

/// Returns the elements of a list (RFC 9110 §5.6.1). A comma in quotes does not separate elements.
fn elements(header: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_comma = move |byte: &u8| {
        let is_comma = *byte == b',' && !is_quoted;
        is_quoted ^= *byte == b'"' && !is_escaped;
        is_escaped = is_quoted && *byte == b'\\' && !is_escaped;
        is_comma
    };
    header.split(is_comma).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests;
