use actix_web::http::header::HeaderValue;
use proptest::prelude::*;

use super::*;

fn proxies(entries: &[&str]) -> TrustedProxies {
    TrustedProxies::build(entries.iter().map(ToString::to_string).collect()).unwrap()
}

fn headers(name: &HeaderName, fields: &[&str]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for field in fields {
        map.append(name.clone(), HeaderValue::from_bytes(field.as_bytes()).unwrap());
    }
    map
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The client that a proxy reports to a server that trusts these ranges.
fn client(headers: &HeaderMap) -> String {
    let proxies = proxies(&["10.0.0.0/8", "fd00::/8"]);
    proxies.client(Some(ip("10.0.0.1")), headers).unwrap().to_string()
}

fn by_x_forwarded_for(fields: &[&str]) -> String {
    client(&headers(&X_FORWARDED_FOR, fields))
}

fn by_forwarded(fields: &[&str]) -> String {
    client(&headers(&FORWARDED, fields))
}

#[test]
fn without_trusted_proxies_the_peer_is_the_client() {
    let forged = headers(&X_FORWARDED_FOR, &["192.0.2.7"]);
    let nobody = TrustedProxies::default();
    assert_eq!(nobody.client(Some(ip("10.0.0.1")), &forged), Some(ip("10.0.0.1")));
    assert_eq!(nobody.client(Some(ip("::ffff:10.0.0.1")), &forged), Some(ip("10.0.0.1")));
    assert_eq!(nobody.client(None, &forged), None);
    let others = proxies(&["10.0.0.2", "127.0.0.0/8", "fd00::/8"]);
    assert_eq!(others.client(Some(ip("10.0.0.1")), &forged), Some(ip("10.0.0.1")));
    assert_eq!(others.client(None, &forged), None);
}

#[test]
fn a_trusted_peer_without_headers_is_the_client() {
    assert_eq!(client(&HeaderMap::new()), "10.0.0.1");
}

#[test]
fn the_last_address_that_is_not_a_proxy_is_the_client() {
    for (fields, expected) in [
        (&["192.0.2.7"][..], "192.0.2.7"),
        (&["192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        (&["192.0.2.7,10.0.0.2 ,\t10.9.9.9"], "192.0.2.7"),
        (&["203.0.113.9, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        (&["10.0.0.3, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        // The order of the headers counts.
        (&["203.0.113.9", "192.0.2.7", "10.0.0.2"], "192.0.2.7"),
        (&["203.0.113.9, 192.0.2.7", "10.0.0.3, 10.0.0.2"], "192.0.2.7"),
        // IPv6, in brackets or not, with a port or not.
        (&["2001:db8::7"], "2001:db8::7"),
        (&["[2001:DB8:0::7]"], "2001:db8::7"),
        (&["[2001:db8::7]:4711, fd00::2"], "2001:db8::7"),
        (&["192.0.2.7:4711"], "192.0.2.7"),
        (&["::ffff:192.0.2.7, ::ffff:10.0.0.2"], "192.0.2.7"),
        (&["[::ffff:192.0.2.7]:80"], "192.0.2.7"),
    ] {
        assert_eq!(by_x_forwarded_for(fields), expected, "{fields:?}");
    }
}

#[test]
fn the_first_address_is_the_client_if_all_are_trusted() {
    assert_eq!(by_x_forwarded_for(&["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    assert_eq!(by_x_forwarded_for(&["fd00::9", "10.0.0.2"]), "fd00::9");
}

#[test]
fn an_invalid_entry_hides_those_before_it() {
    for entry in [
        "",
        "unknown",
        "_hidden",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.07",
        "0xc0.0.2.7",
        "3221225991",
        "192.0.2.7:",
        "192.0.2.7:65536",
        "192.0.2.7:80:80",
        "192.0.2.7:_",
        "192.0.2.7 192.0.2.8",
        "192.0.2.7;",
        "192.0.2.0/24",
        "for=192.0.2.7",
        "\"192.0.2.7\"",
        "[192.0.2.7]",
        "[2001:db8::7",
        "2001:db8::7]",
        "[2001:db8::7]x",
        "[2001:db8::7]:",
        "[[2001:db8::7]]",
        "fe80::1%eth0",
        "2001:db8::7:::",
        "\u{661}\u{669}\u{662}.0.2.7",
        "192.0.2.7\u{a0}",
    ] {
        let field = format!("203.0.113.9, {entry}, 10.0.0.2");
        assert_eq!(by_x_forwarded_for(&[&field]), "10.0.0.2", "{entry:?}");
        let field = format!("203.0.113.9, {entry}");
        assert_eq!(by_x_forwarded_for(&[&field]), "10.0.0.1", "{entry:?}");
    }
    let mut bytes = headers(&X_FORWARDED_FOR, &["203.0.113.9"]);
    let field = HeaderValue::from_bytes(b"192.0.2.7, \xFF, 10.0.0.2").unwrap();
    bytes.append(X_FORWARDED_FOR, field);
    assert_eq!(client(&bytes), "10.0.0.2");
}

#[test]
fn forwarded_is_parsed_as_its_rfc_says() {
    for (fields, expected) in [
        (&["for=192.0.2.7"][..], "192.0.2.7"),
        (&["For=\"192.0.2.7:4711\""], "192.0.2.7"),
        (&["for=\"192.0.2.7:_obfuscated-1\""], "192.0.2.7"),
        (&["for=\"[2001:db8::7]\""], "2001:db8::7"),
        (&["FOR=\"[2001:db8::7]:4711\";proto=https;by=10.0.0.1"], "2001:db8::7"),
        (&["by=_gateway ; for=192.0.2.7; ;host=\"a;\""], "10.0.0.1"),
        (&["by=_gateway ; for=192.0.2.7; ;host=\"a\";"], "192.0.2.7"),
        (&["for=203.0.113.9, for=192.0.2.7, for=10.0.0.2"], "192.0.2.7"),
        (&["for=203.0.113.9,for=192.0.2.7", "for=\"[fd00::2]\""], "192.0.2.7"),
        (&["for=\"[::ffff:192.0.2.7]\""], "192.0.2.7"),
        // Not allowed by the RFC, but used in practice: an IPv6 address without quotation
        // marks.
        (&["for=[2001:db8::7]:80"], "2001:db8::7"),
        (&["for=2001:db8::7"], "2001:db8::7"),
    ] {
        assert_eq!(by_forwarded(fields), expected, "{fields:?}");
    }
}

#[test]
fn an_element_of_forwarded_without_an_address_hides_those_before_it() {
    for element in [
        "",
        "for",
        "for=",
        "for=\"\"",
        "for=unknown",
        "for=\"unknown\"",
        "for=_hidden",
        "for=\"_SEVKISEK\"",
        "by=192.0.2.7",
        "proto=https",
        "for=192.0.2.7;for=192.0.2.8",
        "for=192.0.2.7;by",
        "for = 192.0.2.7",
        "for=\"192.0.2.7",
        "for=192.0.2.7\"",
        "for=\"",
        "for=\"192.0.2.7\"x",
        "for=\"192.0.2\\.7\"",
        "192.0.2.7",
    ] {
        let field = format!("for=203.0.113.9, {element}, for=10.0.0.2");
        assert_eq!(by_forwarded(&[&field]), "10.0.0.2", "{element:?}");
    }
}

#[test]
fn quotation_marks_of_a_client_neither_hide_nor_forge_an_entry() {
    // The client's part comes before the part that the proxy has added.
    for part in ["for=\"", "for=203.0.113.9;by=\"", "x=\"\\", "\"", "for=1.2.3.4, x=\"a"] {
        for added in ["for=192.0.2.7", "for=\"[2001:db8::7]\";proto=https"] {
            let field = format!("{part}, {added}");
            let expected = if added.contains("2001") { "2001:db8::7" } else { "192.0.2.7" };
            assert_eq!(by_forwarded(&[&field]), expected, "{field}");
        }
    }
    // The proxy quotes the host that the client has sent.
    for host in [
        "a, for=203.0.113.9",
        "a, for=203.0.113.9;x=",
        "a, for=203.0.113.9;x=b",
        "a, for=203.0.113.9;x=\\\"b",
        "a;for=203.0.113.9",
        "a, for=203.0.113.9, ",
    ] {
        for rest in ["", ";proto=https"] {
            let field = format!("for=192.0.2.7;host=\"{host}\"{rest}");
            assert_ne!(by_forwarded(&[&field]), "203.0.113.9", "{field}");
        }
    }
}

#[test]
fn forwarded_counts_only_without_x_forwarded_for() {
    for (field, expected) in [("192.0.2.7", "192.0.2.7"), ("unknown", "10.0.0.1")] {
        let mut both = headers(&FORWARDED, &["for=203.0.113.9"]);
        both.append(X_FORWARDED_FOR, HeaderValue::from_static(field));
        assert_eq!(client(&both), expected, "{field:?}");
    }
}

#[test]
fn an_address_is_trusted_in_every_notation() {
    for (entry, trusted, other) in [
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", "11.0.0.1"),
        ("172.16.0.0/12", "172.31.255.255", "172.32.0.0"),
        ("::1", "::1", "::2"),
        ("fd00::/8", "fdff::1", "fe80::1"),
        ("2001:DB8::/32", "2001:db8::7", "2001:db9::7"),
        ("10.0.0.1/32", "10.0.0.1", "10.0.0.2"),
    ] {
        assert!(proxies(&[entry]).trusts(ip(trusted).to_canonical()), "{entry} {trusted}");
        assert!(!proxies(&[entry]).trusts(ip(other).to_canonical()), "{entry} {other}");
    }
}

#[test]
fn the_error_for_an_invalid_address_or_range_says_how_to_write_one() {
    for entry in [
        "",
        "*",
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "/8",
        "10.0.0.0/255.0.0.0",
        "10.0.0/8",
        "10.*",
        "10.0.0.1:80",
        "[::1]",
        "fe80::1%eth0",
        "fd00::/129",
        " 10.0.0.1",
        "10.0.0.1, 10.0.0.2",
        "0.0.0.0/0",
        "::/0",
    ] {
        let error = TrustedProxies::build(vec!["::1".to_owned(), entry.to_owned()]);
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with(&format!("`{entry}` is not")), "{message}");
        assert!(message.contains("such as `10.0.0.0/8`"), "{message}");
    }
    let message = TrustedProxies::build(vec!["10.1.2.3/8".to_owned()]).unwrap_err().to_string();
    assert!(message.contains("the range that contains it is `10.0.0.0/8`"), "{message}");
}

/// Bytes that resemble the headers, so that random ones reach deep into the parsers.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "192.0.2.7",
        "10.0.0.2",
        "2001:db8::7",
        "fd00::2",
        "for=",
        "by=",
        "\"",
        "\\",
        "[",
        "]",
        ":",
        ":80",
        ":_a",
        ",",
        ", ",
        ";",
        "=",
        " ",
        "\t",
        "unknown",
        "_a",
        "\u{e9}",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
        any::<Vec<u8>>(),
    ]
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let name = prop::sample::select(vec![X_FORWARDED_FOR, FORWARDED]);
    prop::collection::vec((name, field()), 0..4).prop_map(|fields| {
        let mut map = HeaderMap::new();
        for (name, bytes) in fields {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                map.append(name, value);
            }
        }
        map
    })
}

proptest! {
    #[test]
    fn headers_of_an_untrusted_peer_are_ignored(
        peer in any::<IpAddr>(),
        headers in any_headers(),
    ) {
        let proxies = proxies(&["10.0.0.0/8", "fd00::/8"]);
        let peer = peer.to_canonical();
        prop_assume!(!proxies.trusts(peer));
        prop_assert_eq!(proxies.client(Some(peer), &headers), Some(peer));
        prop_assert_eq!(proxies.client(None, &headers), None);
    }

    #[test]
    fn entries_before_the_client_are_ignored(forged in any_headers()) {
        for (name, added) in [
            (X_FORWARDED_FOR, "192.0.2.7, 10.0.0.2"),
            (FORWARDED, "for=192.0.2.7;proto=https, for=10.0.0.2"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forged.get_all(&name) {
                let field = [value.as_bytes(), b", ", added.as_bytes()].concat();
                headers.insert(name.clone(), HeaderValue::from_bytes(&field).unwrap());
                prop_assert_eq!(client(&headers), "192.0.2.7");
            }
            let mut headers = forged.clone();
            headers.append(name.clone(), HeaderValue::from_static(added));
            if name == FORWARDED {
                headers.remove(X_FORWARDED_FOR);
            }
            prop_assert_eq!(client(&headers), "192.0.2.7");
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(headers in any_headers(), entry in any::<String>()) {
        client(&headers);
        let _ = TrustedProxies::build(vec![entry]);
    }
}
