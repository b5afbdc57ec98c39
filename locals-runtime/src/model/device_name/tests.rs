use proptest::prelude::*;

use super::*;

const WEBKIT: &str = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
const BLINK: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";

const BROWSERS: &[(&str, &str)] = &[
    // Chrome.
    ("(Windows NT 10.0; Win64; x64) BLINK Chrome/142.0.0.0 Safari/537.36", "Chrome on Windows"),
    ("(Macintosh; Intel Mac OS X 10_15_7) BLINK Chrome/142.0.0.0 Safari/537.36", "Chrome on macOS"),
    ("(X11; Linux x86_64) BLINK Chrome/142.0.0.0 Safari/537.36", "Chrome on Linux"),
    ("(X11; CrOS x86_64 14541.0.0) BLINK Chrome/142.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
    ("(Linux; Android 10; K) BLINK Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
    ("(Linux; Android 10; K) BLINK Chrome/142.0.0.0 Safari/537.36", "Chrome on Android"),
    (
        "(iPhone; CPU iPhone OS 18_7 like Mac OS X) WEBKIT CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1",
        "Chrome on iPhone",
    ),
    (
        "(iPad; CPU OS 18_7 like Mac OS X) WEBKIT CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1",
        "Chrome on iPad",
    ),
    // Firefox.
    ("(Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"),
    (
        "(Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Firefox on macOS",
    ),
    ("(X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
    ("(X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"),
    ("(X11; FreeBSD amd64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on BSD"),
    ("(Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"),
    (
        "(iPhone; CPU iPhone OS 18_7 like Mac OS X) WEBKIT FxiOS/145.0 Mobile/15E148 Safari/605.1.15",
        "Firefox on iPhone",
    ),
    // Safari.
    ("(Macintosh; Intel Mac OS X 10_15_7) WEBKIT Version/26.0 Safari/605.1.15", "Safari on macOS"),
    (
        "(iPhone; CPU iPhone OS 18_6 like Mac OS X) WEBKIT Version/26.0 Mobile/15E148 Safari/604.1",
        "Safari on iPhone",
    ),
    (
        "(iPad; CPU OS 16_6 like Mac OS X) WEBKIT Version/16.6 Mobile/15E148 Safari/604.1",
        "Safari on iPad",
    ),
    (
        "(iPod touch; CPU iPhone OS 15_8 like Mac OS X) WEBKIT Version/15.6 Mobile/15E148 Safari/604.1",
        "Safari on iPod",
    ),
    // Edge, in its four forms.
    (
        "(Windows NT 10.0; Win64; x64) BLINK Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
        "Edge on Windows",
    ),
    (
        "(Macintosh; Intel Mac OS X 10_15_7) BLINK Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
        "Edge on macOS",
    ),
    (
        "(Linux; Android 10; K) BLINK Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0",
        "Edge on Android",
    ),
    (
        "(iPhone; CPU iPhone OS 18_7 like Mac OS X) WEBKIT Version/26.0 EdgiOS/142.0.0.0 Mobile/15E148 Safari/604.1",
        "Edge on iPhone",
    ),
    (
        "(Windows NT 10.0; Win64; x64) BLINK Chrome/64.0.3282.140 Safari/537.36 Edge/18.17763",
        "Edge on Windows",
    ),
    // Others.
    (
        "(Windows NT 10.0; Win64; x64) BLINK Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0",
        "Opera on Windows",
    ),
    (
        "(Linux; Android 10; K) BLINK Chrome/141.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0",
        "Opera on Android",
    ),
    (
        "(Linux; Android 10; K) BLINK SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36",
        "Samsung Internet on Android",
    ),
    (
        "(Windows NT 10.0; Win64; x64) BLINK Chrome/142.0.0.0 Safari/537.36 Vivaldi/7.6.3797.63",
        "Vivaldi on Windows",
    ),
    (
        "(Windows NT 10.0; Win64; x64) BLINK Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36",
        "Yandex Browser on Windows",
    ),
    ("(Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer on Windows"),
    // Web views of other apps.
    (
        "(Linux; Android 14; Pixel 8 Build/UQ1A; wv) BLINK Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36",
        "App on Android",
    ),
    ("(iPhone; CPU iPhone OS 18_7 like Mac OS X) WEBKIT Mobile/15E148", "App on iPhone"),
];

#[test]
fn a_browser_is_named_with_its_system() {
    for (user_agent, expected) in BROWSERS {
        let user_agent = user_agent.replace("WEBKIT", WEBKIT).replace("BLINK", BLINK);
        assert_eq!(device_name(&format!("Mozilla/5.0 {user_agent}")), *expected, "{user_agent}");
    }
}

#[test]
fn other_programs_have_the_name_that_they_send() {
    for (user_agent, expected) in [
        ("curl/8.14.1", "curl"),
        ("Wget/1.25.0", "Wget"),
        ("HTTPie/3.2.4", "HTTPie"),
        ("PostmanRuntime/7.49.1", "PostmanRuntime"),
        ("python-requests/2.32.5", "python-requests"),
        ("Python/3.13 aiohttp/3.12.15", "Python"),
        ("Go-http-client/2.0", "Go-http-client"),
        ("okhttp/5.1.0", "okhttp"),
        ("Apache-HttpClient/5.5 (Java/21)", "Apache-HttpClient"),
        ("Dart/3.9 (dart:io)", "Dart"),
        ("node", "node"),
        ("MyApp/1.0 CFNetwork/3826.500.131 Darwin/24.5.0", "MyApp on iOS"),
    ] {
        assert_eq!(device_name(user_agent), expected, "{user_agent}");
    }
}

#[test]
fn a_crawler_is_named_without_the_browser_that_it_imitates() {
    for (user_agent, expected) in [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
        (
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 \
             (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 (compatible; \
             Googlebot/2.1; +http://www.google.com/bot.html)",
            "Googlebot",
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; \
             +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36",
            "bingbot",
        ),
        (
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; \
             +https://openai.com/gptbot)",
            "Crawler",
        ),
        ("Twitterbot/1.0", "Twitterbot"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Slackbot-LinkExpanding"),
    ] {
        assert_eq!(device_name(user_agent), expected, "{user_agent}");
    }
}

#[test]
fn empty_and_unusual_user_agents_are_unknown_devices() {
    for user_agent in [
        "",
        " ",
        "-",
        "/",
        "Mozilla/5.0",
        "Mozilla/5.0 (compatible)",
        "<script>alert(1)</script>",
        "<b>/1.0",
        "a<b/1.0",
        "\"onload=x/1.0",
        "evil.example/1.0",
        "https://evil.example",
        "a\r\nb",
        "a\0b/1.0",
        "\u{1b}[31mred/1.0",
        "\u{202e}live/1.0",
        "\u{43c}\u{430}/1.0",
        "7zip/1.0",
        "a-name-that-is-longer-than-thirty/1.0",
    ] {
        assert_eq!(device_name(user_agent), "Unknown device", "{user_agent:?}");
    }
    assert_eq!(device_name(&"x".repeat(1_000_000)), "Unknown device");
    assert_eq!(device_name(&"\u{20ac}".repeat(1_000)), "Unknown device");
}

/// Words that the parser looks for, in any order.
fn user_agents() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "Mozilla/5.0",
        " ",
        "; ",
        "(",
        ")",
        "/",
        "1.0",
        "Windows NT 10.0",
        "Windows Phone OS 8",
        "Mac OS X 10_15",
        "iPhone",
        "iPad; ",
        "like Mac OS X",
        "Android",
        "Linux",
        "CrOS",
        "Chrome/1",
        "Safari/1",
        "Version/1",
        "Firefox/1",
        "Edg/1",
        "OPR/1",
        "Opera/1",
        "MSIE 7;",
        "Trident/7.0; ",
        "SamsungBrowser/1",
        "Googlebot",
        "bot",
        "compatible",
        "DoCoMo/2.0 N",
        "KDDI-X UP.Browser",
        "SoftBank/1.0/X",
        "jig browser; a",
        "PLAYSTATION 3; 1)",
        "PSP",
        "Nintendo Wii;",
        "BlackBerry",
        "BB10",
        "Darwin/1",
        "CFNetwork",
        "livedoor FeedFetcher",
        "rss",
        "HttpClient/",
        "PHP/",
        "<b>",
        "\n",
        "\0",
        "\u{20ac}",
        "UNKNOWN",
        "Xbox One",
    ]);
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn is_fit_to_show(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_.!".contains(c);
    (1..=60).contains(&name.len()) && name.chars().all(is_plain)
}

proptest! {
    #[test]
    fn any_user_agent_has_a_short_and_harmless_name(
        text in any::<String>(),
        bytes in any::<Vec<u8>>(),
        user_agent in user_agents(),
    ) {
        for text in [text, String::from_utf8_lossy(&bytes).into_owned(), user_agent] {
            let name = device_name(&text);
            prop_assert!(is_fit_to_show(&name), "{:?} of {:?}", name, text);
        }
    }
}
