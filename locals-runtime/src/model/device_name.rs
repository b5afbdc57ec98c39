//! Readable names of devices, from `User-Agent` headers.

use woothee::parser::{Parser, WootheeResult};

/// How many bytes of a user agent are parsed. Those of browsers are shorter.
const MAX_PARSED: usize = 512;

/// The maximum length of a name that a client gives itself.
const MAX_PRODUCT: usize = 30;

/// Returns a readable name for the device behind a `User-Agent` header, such as "Firefox on Windows",
/// for a page on which users see their sessions.
///
/// Do not base decisions on it: it is a guess, and clients can send any header. It has at most 60
/// characters, without control characters and without characters that are special in HTML. Versions are
/// left out, because they change while the device stays the same. Safari on an iPad that requests
/// desktop pages cannot be distinguished from Safari on a Mac.
///
/// ```
/// use locals::device_name;
///
/// let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 \
///               (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";
/// assert_eq!(device_name(iphone), "Safari on iPhone");
/// assert_eq!(device_name("curl/8.14.1"), "curl");
/// assert_eq!(device_name(""), "Unknown device");
/// ```
pub fn device_name(user_agent: &str) -> String {
    let user_agent = &user_agent[..user_agent.floor_char_boundary(MAX_PARSED)];
    let parsed = Parser::new().parse(user_agent).unwrap_or_default();
    match (program(&parsed, user_agent), system(parsed.os)) {
        (Some(program), Some(system)) if program != system => format!("{program} on {system}"),
        (Some(name), _) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

/// Returns the parser's name for a browser; for other programs, the name that they give themselves.
fn program<'a>(parsed: &WootheeResult<'a>, user_agent: &'a str) -> Option<&'a str> {
    match parsed.name {
        "" | "UNKNOWN" | "HTTP Library" => product(user_agent),
        "misc crawler" => product(user_agent).or(Some("Crawler")),
        name if parsed.category == "crawler" => product(user_agent).or(Some(name)),
        "SamsungBrowser" => Some("Samsung Internet"),
        // A web view of some other app, whose name is not sent.
        "Webview" => Some("App"),
        name => Some(name),
    }
}

/// Returns the product that a user agent begins with (RFC 9110 §10.1.5), such as `curl` in
/// `curl/8.14.1`. `Mozilla` does not count: all browsers begin with it.
fn product(user_agent: &str) -> Option<&str> {
    let name = user_agent.split(['/', ' ']).next()?;
    let is_name_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(is_name_char)
        && name.len() <= MAX_PRODUCT
        && name != "Mozilla";
    is_name.then_some(name)
}

fn system(name: &str) -> Option<&str> {
    match name {
        "" | "UNKNOWN" => None,
        "Mac OSX" => Some("macOS"),
        "Mac OS Classic" => Some("Mac OS"),
        "Windows Phone OS" => Some("Windows Phone"),
        // Browsers on Windows 11 send Windows 10.
        name if name.starts_with("Windows ") => Some("Windows"),
        name => Some(name),
    }
}

#[cfg(test)]
mod tests;
