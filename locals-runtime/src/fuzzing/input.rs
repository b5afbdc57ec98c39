//! Splits an input into the parts of a request.

/// Returns the lines of an input. Each is one header field, because header fields contain no line breaks.
pub(super) fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

/// Trims the white space of RFC 9110 at both ends: SP and HTAB.
pub(super) fn stripped(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| *byte != b' ' && *byte != b'\t';
    match (text.iter().position(is_text), text.iter().rposition(is_text)) {
        (Some(first), Some(last)) => &text[first..=last],
        _ => &[],
    }
}
