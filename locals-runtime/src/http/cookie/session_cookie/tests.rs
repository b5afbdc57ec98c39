use super::*;

const TOKEN: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";

fn cookie() -> SessionCookie {
    SessionCookie::build(CookieConfig::default()).unwrap()
}

fn read(headers: &[&[u8]]) -> Presented {
    let mut map = HeaderMap::new();
    for header in headers {
        map.append(COOKIE, HeaderValue::from_bytes(header).unwrap());
    }
    cookie().read(&map)
}

fn token() -> Presented {
    Presented::Token(TOKEN.parse().unwrap())
}

fn with(pair: &str) -> Vec<u8> {
    pair.replace("TOKEN", TOKEN).into_bytes()
}

#[test]
fn the_token_is_found_among_other_cookies_and_headers() {
    assert_eq!(read(&[&with("__Host-session=TOKEN")]), token());
    assert_eq!(read(&[&with("a=1; \t__Host-session \t=\t TOKEN ; b=2")]), token());
    assert_eq!(read(&[b"a=1", &with("__Host-session=TOKEN")]), token());
    assert_eq!(read(&[b"a; =; ;;=b=", &with("__Host-session=TOKEN")]), token());
}

#[test]
fn another_cookie_that_is_not_utf8_does_not_matter() {
    let mut header = b"x=\xFF; ".to_vec();
    header.extend(with("__Host-session=TOKEN"));
    assert_eq!(read(&[&header]), token());
}

#[test]
fn a_name_that_only_resembles_ours_is_another_cookie() {
    for name in [
        "__%48ost-session",
        "__Host-session\u{a0}",
        "\u{2000}__Host-session",
        "\u{85}__Host-session",
        "__host-session",
        "__Host-Session",
        "=__Host-session",
        "session",
        "x__Host-session",
    ] {
        assert_eq!(read(&[&with(&format!("{name}=TOKEN"))]), Presented::Nothing, "{name:?}");
    }
}

#[test]
fn a_value_of_any_other_form_is_malformed() {
    for value in [
        "",
        "\"TOKEN\"",
        "TOKENA",
        "TOKEN=",
        "TOKE",
        &TOKEN[..63],
        &TOKEN.replace('A', "%41"),
        &TOKEN.replace('A', "+"),
        &TOKEN.replacen('A', " ", 1),
        &"A".repeat(5_000),
    ] {
        let header = with(&format!("__Host-session={value}"));
        let found = read(&[&header]);
        // A leading space is trimmed, which leaves 63 characters.
        assert_eq!(found, Presented::Malformed, "{value:?}");
    }
}

#[test]
fn two_different_values_count_as_none_and_two_equal_ones_as_one() {
    let other = TOKEN.replace("AAEC", "BBBB");
    let differing = with(&format!("__Host-session=TOKEN; __Host-session={other}"));
    assert_eq!(read(&[&differing]), Presented::Conflicting);
    assert_eq!(
        read(&[&with("__Host-session=TOKEN"), b"__Host-session=junk"]),
        Presented::Conflicting
    );
    assert_eq!(read(&[&with("__Host-session=TOKEN; __Host-session=TOKEN")]), token());
}

fn attributes(header: &HeaderValue) -> Vec<String> {
    let mut attributes: Vec<String> =
        header.to_str().unwrap().split("; ").map(str::to_owned).collect();
    attributes[1..].sort();
    attributes
}

#[test]
fn the_cookie_has_exactly_its_attributes() {
    let header = cookie().store(&TOKEN.parse().unwrap(), Some(Duration::from_millis(90_999)));
    assert_eq!(
        attributes(&header),
        [
            &*format!("__Host-session={TOKEN}"),
            "HttpOnly",
            "Max-Age=90",
            "Path=/",
            "SameSite=Lax",
            "Secure"
        ]
    );
}

#[test]
fn a_removal_has_every_attribute_that_identifies_the_cookie() {
    let config = CookieConfig::default()
        .name("__Secure-id")
        .domain("example.com")
        .path("/app")
        .same_site(SameSite::None)
        .partitioned(true);
    assert_eq!(
        attributes(&SessionCookie::build(config).unwrap().remove()),
        [
            "__Secure-id=",
            "Domain=example.com",
            "HttpOnly",
            "Max-Age=0",
            "Partitioned",
            "Path=/app",
            "SameSite=None",
            "Secure"
        ]
    );
}

fn cookies(values: &[&str]) -> HeaderMap {
    let pairs: Vec<_> = values.iter().map(|value| format!("__Host-session={value}")).collect();
    let mut map = HeaderMap::new();
    map.append(COOKIE, HeaderValue::from_str(&pairs.join("; ")).unwrap());
    map
}

fn tokens(count: u8) -> Vec<String> {
    (0..count).map(|number| format!("{}{number:02}", &TOKEN[..62])).collect()
}

#[test]
fn read_all_returns_each_token_once_and_a_limited_number() {
    let tokens = tokens(10);
    let all: Vec<_> = tokens.iter().map(String::as_str).collect();
    let read = |values: &[&str]| cookie().read_all(&cookies(values));
    let texts = |read: AllPresented| {
        let texts = read.tokens.iter().map(|token| token.expose_secret().to_owned());
        (texts.collect::<Vec<_>>(), read.ignored)
    };
    assert_eq!(texts(read(&[])), (vec![], 0));
    let mixed = [all[1], "", all[0], "malformed", all[1]];
    assert_eq!(texts(read(&mixed)), (vec![tokens[1].clone(), tokens[0].clone()], 0));
    assert_eq!(texts(read(&all)), (tokens[..MAX_TOKENS].to_vec(), 2));
}

/// The removals in other scopes, as text.
fn elsewhere(
    config: CookieConfig,
    presented: &[&str],
    written: Option<&str>,
    may_withhold: bool,
) -> Vec<String> {
    let headers = cookies(presented);
    let host = Some("app.example.com:8443");
    let context = CookieContext { headers: &headers, host, path: "/in", may_withhold };
    let written = written.map(|token| token.parse().unwrap());
    let cookie = SessionCookie::build(config.name("__Host-session")).unwrap();
    let removals = cookie.remove_elsewhere(context, written.as_ref(), MAX_REMOVAL_BYTES);
    assert!(removals.iter().all(HeaderValue::is_sensitive));
    removals.iter().map(|removal| removal.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_cookie_is_removed_in_other_scopes_if_another_value_was_presented_or_may_be_held() {
    let removal = "__Host-session=; Partitioned; Secure; Path=/; Max-Age=0";
    let other = TOKEN.replace("AAEC", "BBBB");
    for (presented, written, may_withhold, is_removed) in [
        (&[][..], Some(TOKEN), false, false),
        (&[], Some(TOKEN), true, true),
        (&[], None, false, false),
        (&[TOKEN], Some(TOKEN), false, false),
        (&[TOKEN, TOKEN], Some(TOKEN), false, false),
        (&[TOKEN], Some(&*other), false, true),
        (&["malformed"], Some(TOKEN), false, true),
        (&[TOKEN, &other], Some(TOKEN), false, true),
        (&[TOKEN], None, false, true),
        (&[TOKEN, &other], None, false, true),
    ] {
        let found = elsewhere(CookieConfig::default(), presented, written, may_withhold);
        let expected = if is_removed { vec![removal] } else { vec![] };
        assert_eq!(found, expected, "{presented:?} {written:?} {may_withhold}");
    }
    let partitioned = CookieConfig::default().partitioned(true).same_site(SameSite::None);
    assert_eq!(
        elsewhere(partitioned, &[TOKEN], None, false),
        ["__Host-session=; SameSite=None; Secure; Path=/; Max-Age=0"]
    );
}

#[test]
fn the_removals_fit_the_limit_and_include_those_of_a_single_change() {
    let host = Some("shop.eu.app.example.com");
    let path = "/accounts/users/sessions/new";
    let cookie = SessionCookie::build(CookieConfig::default().name("__Secure-session")).unwrap();
    let mut headers = HeaderMap::new();
    let pair = format!("__Secure-session={TOKEN}");
    headers.append(COOKIE, HeaderValue::from_str(&pair).unwrap());
    let context = CookieContext { headers: &headers, host, path, may_withhold: false };
    for max_bytes in [MAX_REMOVAL_BYTES, REMOVAL_BYTES_LEFT_TO_GUEST] {
        let removals = cookie.remove_elsewhere(context, None, max_bytes);
        let bytes: usize = removals.iter().map(header_bytes).sum();
        assert!((max_bytes - 150..=max_bytes).contains(&bytes), "{bytes}");
        for scope in [
            "Partitioned; Secure; Path=/; Max",
            "Path=/; Domain=shop.eu.app.example.com;",
            "Path=/; Domain=example.com;",
            "Path=/accounts; Max",
            "Path=/accounts/users/sessions; Max",
        ] {
            let has = |removal: &HeaderValue| removal.to_str().unwrap().contains(scope);
            assert!(removals.iter().any(has), "{scope}: {removals:?}");
        }
    }
}

#[test]
fn written_headers_are_marked_as_sensitive() {
    let token = TOKEN.parse().unwrap();
    for cookie in [cookie(), cookie().of_guests()] {
        for header in [cookie.store(&token, None), cookie.remove()] {
            assert!(header.is_sensitive());
            assert_eq!(format!("{header:?}"), "Sensitive");
        }
    }
}

#[test]
fn a_domain_is_normalized_as_in_browsers() {
    let config = CookieConfig::default().name("__Secure-id").domain(".Example.COM");
    let header = SessionCookie::build(config).unwrap().remove();
    assert!(attributes(&header).contains(&"Domain=example.com".to_owned()));
}

#[test]
fn a_cookie_until_the_browser_is_closed_has_no_max_age() {
    let header = cookie().store(&TOKEN.parse().unwrap(), None);
    assert!(!header.to_str().unwrap().contains("Max-Age"));
}

#[test]
fn the_guest_cookie_has_the_name_of_the_session_cookie_with_a_suffix() {
    assert_eq!(cookie().of_guests().name, "__Host-session-guest");
}

#[test]
fn max_age_is_limited_to_400_days() {
    let header = cookie().store(&TOKEN.parse().unwrap(), Some(Duration::MAX));
    assert!(attributes(&header).contains(&"Max-Age=34560000".to_owned()));
}

#[test]
fn without_secure_the_default_name_has_no_prefix() {
    let cookie = SessionCookie::build(CookieConfig::default().secure(false)).unwrap();
    assert_eq!(cookie.name, "session");
}

#[test]
fn contradictions_are_refused() {
    let config = CookieConfig::default;
    for contradiction in [
        config().domain("example.com"),
        config().path("/app"),
        config().name("__Host-x").secure(false),
        config().name("__SECURE-x").secure(false),
        config().name("__Http-x").secure(false),
        config().same_site(SameSite::None).secure(false),
        config().partitioned(true).secure(false),
        config().name(""),
        config().name("a b"),
        config().name("a=b"),
        config().path("app"),
        config().name("a").domain("x; Secure"),
        config().name("a").path("/\r\n"),
        config().name("a").path("/app?tab=1"),
        config().name("a").path("/app/../admin"),
        config().name("a").domain(""),
        config().name("a").domain("/"),
        config().name("a").domain("example.com:8443"),
        config().name("a").domain("https://example.com"),
        config().name("a").domain("*.example.com"),
        config().name("a").domain("bücher.example"),
        config().name("a").domain("127.0.0.1"),
        config().name("a").domain("localhost"),
        config().name("a".repeat(4_027)),
    ] {
        let error =
            SessionCookie::build(contradiction.clone()).expect_err(&format!("{contradiction:?}"));
        assert!(!error.to_string().contains('\n'));
    }
}
