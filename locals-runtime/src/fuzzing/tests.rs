use std::{fs, path::PathBuf};

use proptest::{
    prelude::*,
    sample,
    test_runner::{Config, TestRunner},
};

type Property = fn(&[u8]);

const TARGETS: [(&str, Property); 4] = [
    ("cookie", super::cookie),
    ("token", super::token),
    ("origin", super::origin),
    ("next", super::next),
];

fn fuzz(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(path)
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(fuzz(&format!("seeds/{target}"))).unwrap();
    let seed = |path: PathBuf| (path.display().to_string(), fs::read(&path).unwrap());
    files.map(|file| seed(file.unwrap().path())).collect()
}

/// Returns the words of a libFuzzer dictionary: one in quotation marks on each line.
fn words(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz(&format!("dictionaries/{target}.dict"))).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(word).collect()
}

fn word(line: &str) -> Vec<u8> {
    let quoted = line.strip_prefix('"').and_then(|line| line.strip_suffix('"'));
    let mut parts = quoted.unwrap_or_else(|| panic!("not a word: {line}")).split('\\');
    let mut word = parts.next().unwrap_or_default().as_bytes().to_vec();
    while let Some(part) = parts.next() {
        if let Some(hex) = part.strip_prefix('x') {
            word.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            word.extend(&hex.as_bytes()[2..]);
        } else if part.is_empty() {
            // `\\` is one backslash; the next part is text.
            word.push(b'\\');
            word.extend(parts.next().unwrap_or_default().as_bytes());
        } else {
            panic!("not an escape: {line}");
        }
    }
    word
}

#[test]
fn every_property_holds_for_each_seed() {
    for (target, holds) in TARGETS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 8, "{target}");
        for (path, data) in seeds {
            // Shows which seed panics.
            println!("{path}");
            holds(&data);
        }
    }
}

#[test]
fn every_property_holds_for_random_combinations_of_words() {
    for (target, holds) in TARGETS {
        let seeds = seeds(target).into_iter().map(|(_, data)| data).collect::<Vec<_>>();
        let piece = prop_oneof![
            6 => sample::select(words(target)),
            1 => sample::select(seeds),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        let input = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
        let config = Config { failure_persistence: None, ..Config::default() };
        let run = TestRunner::new(config).run(&input, |data| {
            holds(&data);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{target}: {error}"));
    }
}
