//! Texts with a meaning, checked while the app compiles.

/// Whether a text is a path of this app: it begins with one `/`, and nothing in it leads a browser
/// elsewhere.
pub fn local_path(text: &str) -> Result<(), &'static str> {
    let mut characters = text.chars();
    if characters.next() != Some('/') {
        return Err("not a path of this app: it must begin with `/`");
    }
    if matches!(characters.next(), Some('/' | '\\')) {
        return Err("not a path of this app: a browser reads `//` as another host");
    }
    if !text.chars().all(|character| character.is_ascii_graphic())
        || text.contains(['\\', '#', '"', '<', '>'])
    {
        return Err(
            "not a path as it stands in a URL: no spaces, quotes, `<`, `>`, `\\`, `#` or other scripts",
        );
    }
    let query = text.split_once('?').map_or("", |(_, query)| query);
    if query.split('&').any(|pair| decoded(pair.split('=').next().unwrap_or_default()) == b"next") {
        return Err(
            "no page with a `next` of its own: the page that the browser wanted is added as \
                    `next`",
        );
    }
    Ok(())
}

/// A name in a query without its percent-encoding.
fn decoded(name: &str) -> Vec<u8> {
    let mut rest = name.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        let encoded = after.get(..2).filter(|_| *byte == b'%');
        let encoded = encoded.and_then(|digits| std::str::from_utf8(digits).ok());
        // `from_str_radix` takes a sign, too.
        let encoded = encoded.filter(|digits| !digits.starts_with('+'));
        if let Some(byte) = encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(byte);
            rest = &after[2..];
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    decoded
}

/// The seconds of a text such as `10m` or `1h30m`.
pub fn duration(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str =
        "not a time: write a number and `s`, `m`, `h` or `d`, such as `\"10m\"` or `\"1h30m\"`";
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit()).ok_or(WRONG)?;
        let number: u64 = rest[..end].parse().map_err(|_| WRONG)?;
        let (unit, after) = match rest.as_bytes()[end] {
            b's' => (1, &rest[end + 1..]),
            b'm' => (60, &rest[end + 1..]),
            b'h' => (60 * 60, &rest[end + 1..]),
            b'd' => (24 * 60 * 60, &rest[end + 1..]),
            _ => return Err(WRONG),
        };
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or(WRONG)?;
        rest = after;
    }
    if total == 0 {
        Err("a time of nothing lets nobody in: write one such as `\"10m\"`")
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_seconds() {
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("1h30m", 5_400), ("2d", 172_800), ("1h1h", 7_200)]
        {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "0m", "10", "m", "10 m", "-1m", "1.5h", "10min", "ä", "99999999999999999999d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_paths_of_this_app_are_paths() {
        for text in [
            "/",
            "/login",
            "/a/b?c=d&e=%20",
            "/next",
            "/a?nexts=1&b=next",
            "/a?b=%26next=1",
            "/a?n%+5xt=1",
            "/a?next%",
        ] {
            assert_eq!(local_path(text), Ok(()), "{text}");
        }
        for text in ["", "login", "https://a.b", "//a.b", "/\\a.b", "/a b", "/a#b", "/\t/a", "/ä"]
        {
            assert!(local_path(text).is_err(), "{text}");
        }
        for text in [
            "/a?next=/b",
            "/a?next",
            "/a?b=1&next=",
            "/a?n%65xt=/b",
            "/a?%6E%65%78%74&b",
            "/?&next",
        ] {
            assert!(local_path(text).is_err_and(|reason| reason.contains("`next`")), "{text}");
        }
    }
}
