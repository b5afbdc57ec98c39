//! Checks string literals at compile time.

/// Checks that a redirect to the path stays in this app, and that the path has no `next` in its query.
pub fn check_path(text: &str) -> Result<(), &'static str> {
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
            "not a valid URL path: percent-encode spaces, quotes, `<`, `>`, `\\`, `#` and \
                    non-ASCII characters",
        );
    }
    let query = text.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').filter_map(|pair| pair.split('=').next());
    if names.any(|name| percent_decode(name) == b"next") {
        return Err("no parameter `next` is allowed here: the library adds the requested page as \
                    `next`");
    }
    Ok(())
}

/// Decodes the percent-encoding of a parameter's name.
fn percent_decode(name: &str) -> Vec<u8> {
    let mut rest = name.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after.split_first_chunk().filter(|_| byte == b'%');
        let escaped = escape.and_then(|(digits, after)| Some((hex_byte(*digits)?, after)));
        let (byte, after) = escaped.unwrap_or((byte, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// The byte of two hexadecimal digits.
fn hex_byte(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

/// Parses a duration such as `10m` or `1h30m` into seconds.
pub fn parse_duration(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str =
        "not a time: write a number and `s`, `m`, `h` or `d`, such as `\"10m\"` or `\"1h30m\"`";
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let end = rest.find(|character: char| !character.is_ascii_digit());
        let (number, after) = end.and_then(|end| rest.split_at_checked(end)).ok_or(EXPECTED)?;
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let mut after = after.chars();
        let unit = match after.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            _ => return Err(EXPECTED),
        };
        total =
            number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or(EXPECTED)?;
        rest = after.as_str();
    }
    if total == 0 {
        Err("a time of zero lets nobody in: write one such as `\"10m\"`")
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_into_seconds() {
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("1h30m", 5_400), ("2d", 172_800), ("1h1h", 7_200)]
        {
            assert_eq!(parse_duration(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "0m", "10", "m", "10 m", "-1m", "1.5h", "10min", "ä", "99999999999999999999d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_paths_of_this_app_are_accepted() {
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
            assert_eq!(check_path(text), Ok(()), "{text}");
        }
        for text in ["", "login", "https://a.b", "//a.b", "/\\a.b", "/a b", "/a#b", "/\t/a", "/ä"]
        {
            assert!(check_path(text).is_err(), "{text}");
        }
        for text in [
            "/a?next=/b",
            "/a?next",
            "/a?b=1&next=",
            "/a?n%65xt=/b",
            "/a?%6E%65%78%74&b",
            "/?&next",
        ] {
            assert!(check_path(text).is_err_and(|reason| reason.contains("`next`")), "{text}");
        }
    }
}
