//! No token leaves the server but in its cookie, whatever is done.

use std::{collections::BTreeSet, env, fmt::Write, fs, process::Command};

use aho_corasick::AhoCorasick;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tempfile::TempDir;

use crate::record::{PARTS, TOKENS, VARIABLE};

/// How a secret might be spelled: as in the cookie, in hexadecimal, as bytes, or as `Debug` shows
/// bytes. The beginning of each will do, so that one cut short is found too.
fn spellings(token: &str) -> [Vec<u8>; 5] {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    // The id is public: it fills 16 bytes, and reaches into the 22nd character.
    let (text, secret) = (&token[22..46], &bytes[16..32]);
    let mut hex = String::new();
    for byte in secret {
        write!(hex, "{byte:02x}").unwrap();
    }
    let debug = format!("{:?}", &secret[..8]);
    [
        text.into(),
        hex.to_uppercase().into(),
        hex.into(),
        secret.into(),
        debug.trim_matches(['[', ']']).into(),
    ]
}

/// The tokens that stand in a text, in any spelling.
fn found<'a>(tokens: &BTreeSet<&'a str>, text: &[u8]) -> BTreeSet<&'a str> {
    let spelled: Vec<_> = tokens.iter().flat_map(|token| spellings(token)).collect();
    let tokens: Vec<_> = tokens.iter().collect();
    let searcher = AhoCorasick::new(&spelled).unwrap();
    searcher.find_iter(text).map(|hit| *tokens[hit.pattern().as_usize() / 5]).collect()
}

#[test]
fn a_token_is_found_in_every_spelling() {
    let tokens: Vec<_> = [1_u8, 200].map(|first| URL_SAFE_NO_PAD.encode([first; 48])).into();
    let tokens: BTreeSet<_> = tokens.iter().map(String::as_str).collect();
    for token in &tokens {
        for spelling in spellings(token) {
            let text = [b"before", &*spelling, b"after"].concat();
            assert_eq!(found(&tokens, &text), BTreeSet::from([*token]), "{spelling:?}");
        }
        assert!(found(&tokens, &token.as_bytes()[..22]).is_empty(), "the id is public");
    }
}

#[test]
fn no_token_issued_in_these_tests_appears_in_a_log_a_response_or_a_database() {
    let record = TempDir::new().unwrap();
    let others = Command::new(env::current_exe().unwrap())
        // What is done a thousand times over would fill the log with the same lines.
        .args(["--skip", "leaks::", "--skip", "interleavings::", "--test-threads", "4"])
        .env(VARIABLE, record.path())
        .output()
        .unwrap();
    let [said, complained] = [&others.stdout, &others.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(others.status.success(), "{}: {said}{complained}", others.status);

    let tokens = fs::read_to_string(record.path().join(TOKENS)).unwrap();
    let tokens: BTreeSet<_> = tokens.lines().collect();
    println!("{} tokens were issued", tokens.len());
    assert!(tokens.len() > 500, "{}", tokens.len());
    for part in PARTS {
        let text = fs::read(record.path().join(part)).unwrap();
        println!("{part}: {} bytes", text.len());
        assert!(text.len() > 50_000, "{part} has but {} bytes", text.len());
        assert_eq!(found(&tokens, &text), BTreeSet::new(), "in the {part}");
    }
}
