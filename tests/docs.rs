//! What the documentation claims of itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

use std::{
    fs,
    path::{Path, PathBuf},
};

#[path = "docs/errors.rs"]
mod errors;
#[path = "docs/links.rs"]
mod links;

/// The most lines that a task may take.
const MOST: [(&str, usize); 7] = [
    ("a protected JSON route", 3),
    ("a protected page, with the way to the login and back", 3),
    ("login", 3),
    ("logout", 2),
    ("logout everywhere", 2),
    ("a guard for a role", 3),
    ("a test as a logged-in user", 3),
];

#[test]
fn each_task_takes_the_lines_that_the_page_says_and_no_more_than_it_may() {
    let page = include_str!("../docs/lines.md");
    let (table, sections) = page.split_once("\n## ").expect("sections after the table");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let claimed: Vec<(&str, usize)> = rows
        .filter_map(|(task, lines)| Some((task, lines.trim_end_matches(" |").parse().ok()?)))
        .collect();
    let counted: Vec<(String, usize)> = sections
        .split("\n## ")
        .map(|section| {
            let task = section.lines().next().unwrap_or_default().replacen('A', "a", 1);
            let task = task.replacen('L', "l", 1);
            (task, section.lines().filter(|line| line.ends_with("// *")).count())
        })
        .collect();
    assert_eq!(counted.len(), MOST.len());
    for (((task, lines), (claimed, claimed_lines)), (named, most)) in
        counted.iter().zip(claimed).zip(MOST)
    {
        assert_eq!((task.as_str(), *lines), (claimed, claimed_lines));
        assert_eq!(task, named);
        assert!(*lines <= most, "{task} takes {lines} lines");
    }
}

/// The text of every source of the repository below a folder, but what was built.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// Whether there is a test of this name: a function that is marked as one, or an entry in a list of
/// which tests are made.
fn is_test(name: &str, sources: &str) -> bool {
    let is_marked = sources.match_indices(&format!("fn {name}(")).any(|(place, _)| {
        let (above, _) = sources[..place].rsplit_once('\n').unwrap();
        let above = above.lines().rev();
        let mut attributes = above.take_while(|line| line.trim_start().starts_with("#["));
        attributes.any(|line| line.trim_end().ends_with("test]"))
    });
    let entries = [
        format!(" {name}: Case {{"),
        format!(" {name},\n"),
        format!("[{name}]"),
        format!(" {name}, "),
        format!("[{name}, "),
        format!(" {name}]"),
    ];
    is_marked || entries.iter().any(|entry| sources.contains(entry))
}

#[test]
fn each_demand_and_each_fault_has_an_answer_and_a_test_that_exists() {
    let page = include_str!("../docs/security.md");
    let sources = sources(Path::new(env!("CARGO_MANIFEST_DIR")));
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .filter(|row| row.starts_with("S-") || row.starts_with("F-"))
        .map(|row| row.split(" | ").collect())
        .collect();
    let numbers: Vec<&str> = rows.iter().map(|cells| &cells[0][..4]).collect();
    let demands = (1..=60).map(|number| format!("S-{number:02}"));
    let faults = (1..=21).map(|number| format!("F-{number:02}"));
    assert_eq!(numbers, demands.chain(faults).collect::<Vec<_>>());

    for cells in rows {
        let [demand, answer, shown] = cells[..] else { panic!("not three cells: {cells:?}") };
        assert!(demand.len() > 5 && answer.len() > 5 && shown.len() > 5, "{cells:?}");
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty() || answer.starts_with("for the app"), "{demand}: no test");
        for name in named {
            let is_file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name).is_file();
            // What is only to be read is no test.
            let is_test = shown.ends_with("to be read") || is_test(name, &sources);
            assert!(is_file || is_test, "{demand}: there is no test {name}");
        }
    }
}

/// The files below a folder, but what was built.
fn files(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| !path.ends_with("target"));
    entries.flat_map(|path| files(&path)).collect()
}

#[test]
fn no_app_shown_on_sqlite_gives_the_id_of_a_deleted_user_again() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shown = ["README.md", "DESIGN.md", "docs", "examples", "src", "locals-runtime/src"];
    // What stands for an app in the tests over HTTP.
    let apps = ["tests/http", "tests/model", "tests/wire", "tests/testing", "tests/hardening/src"];
    let mut declared = 0;
    for file in shown.iter().chain(&apps).flat_map(|folder| files(&root.join(folder))) {
        // The plans of statements are about the plainest table.
        if file.ends_with("locals-runtime/src/store/sql/tests.rs") {
            continue;
        }
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (place, _) in text.match_indices("id INTEGER PRIMARY KEY") {
            let column = &text[place..];
            let is_safe = column.starts_with("id INTEGER PRIMARY KEY AUTOINCREMENT");
            assert!(is_safe, "{}: {}", file.display(), column.lines().next().unwrap());
            declared += 1;
        }
    }
    assert!(declared > 10, "only {declared} tables are shown");
}

/// The pages whose code is that of examples, which have tests of their own.
const SHOWN: [&str; 3] = [
    include_str!("../docs/recipes.md"),
    include_str!("../docs/moving.md"),
    include_str!("../docs/users_by_another_crate.md"),
];

#[test]
fn what_these_pages_show_is_the_code_that_is_tested() {
    for page in SHOWN {
        let mut blocks = page.split("```rust\n");
        let mut above = blocks.next().unwrap();
        for block in blocks {
            let (code, below) = block.split_once("\n```").unwrap();
            let (_, marker) = above.trim_end().rsplit_once('\n').unwrap();
            let file = marker.strip_prefix("<!-- ").and_then(|marker| marker.strip_suffix(" -->"));
            let file = file.unwrap_or_else(|| panic!("no file is named above:\n{code}"));
            let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
            assert!(source.unwrap().contains(code), "{file} has not:\n{code}");
            above = below;
        }
        assert!(!page.contains("```\n#") && !page.contains("```no_run"), "code without a file");
    }
}
