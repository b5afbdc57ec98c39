use super::*;

fn read<'a>(headers: &'a [&str]) -> Bearer<'a> {
    super::read(headers.iter().map(|header| header.as_bytes()))
}

#[test]
fn a_token_is_read_even_if_it_is_repeated() {
    for headers in [
        &["Bearer a"][..],
        &["bearer   a "],
        &["Bearer a", "Bearer a"],
        &["Bearer a", "bearer  a", "BEARER a"],
    ] {
        assert_eq!(read(headers), Bearer::One(b"a"), "{headers:?}");
    }
}

#[test]
fn a_malformed_token_is_returned_unchanged() {
    for (header, token) in [
        ("Bearer", &b""[..]),
        ("Bearer ", b""),
        ("Bearer a b", b"a b"),
        ("Bearer a,", b"a,"),
        ("Bearer a,b", b"a,b"),
        ("Bearer =;", b"=;"),
    ] {
        assert_eq!(read(&[header]), Bearer::One(token), "{header:?}");
    }
}

#[test]
fn a_token_with_another_credential_is_ambiguous() {
    for headers in [
        &["Bearer a", "Bearer b"][..],
        &["Bearer a", "Bearer"],
        &["Bearer", "Bearer a"],
        &["Bearer a", "Basic YTpi"],
        &["Basic YTpi", "Bearer a"],
        &["Bearer a", ""],
        &["", "Bearer a"],
        &["Bearer a", "Bearer a", "Bearer b"],
        &["Bearer a, Bearer b"],
        &["Bearer a,Bearer a"],
        &["Bearer a, Basic YTpi"],
        &["Basic YTpi, Bearer a"],
        &["Basic YTpi,bearer a"],
        &["Negotiate, Bearer a"],
        &["Bearer a, Bearer"],
        &["Digest qop=\"a, b\", Bearer a"],
        &["Digest a=\"\\\"\", Bearer a"],
        &["Bearer a, Bearer b", "Bearer a, Bearer b"],
        &[", Bearer a"],
    ] {
        assert_eq!(read(headers), Bearer::Several, "{headers:?}");
    }
}

#[test]
fn other_schemes_are_ignored() {
    for headers in [
        &[][..],
        &[""],
        &["Basic YTpi"],
        &["Basic YTpi", "Token a"],
        &["Bearers a"],
        &["Digest realm=\"a, Bearer b\", nonce=c"],
        &["Digest realm=\"a\\\", Bearer b\", nonce=c"],
    ] {
        assert_eq!(read(headers), Bearer::None, "{headers:?}");
    }
}
