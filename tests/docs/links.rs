//! Relative links lead to what is there. Those into the crate are checked by rustdoc.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is read in the repository, and not only by rustdoc.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let at_root = ["README.md", "DESIGN.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    let folders = ["docs", "examples", "fuzz"].map(|folder| root.join(folder));
    let below = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let below = below.map(|entry| entry.unwrap().path());
    let below = below.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    at_root.map(|name| root.join(name)).into_iter().chain(below).collect()
}

/// The lines that are no code, without what stands between back quotes.
fn prose(page: &str) -> String {
    let mut is_code = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.map(|line| line.split('`').step_by(2).collect::<String>() + "\n").collect()
}

/// The targets of links and of pictures.
fn targets(page: &str) -> Vec<String> {
    let prose = prose(page);
    let of = |before: &str, end: char| {
        let parts = prose.split(before).skip(1);
        parts.filter_map(|part| Some(part.split_once(end)?.0.to_owned())).collect::<Vec<_>>()
    };
    [of("](", ')'), of("src=\"", '"'), of("href=\"", '"')].concat()
}

/// A heading as it stands in an address.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

fn has_heading(page: &str, wanted: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|found| found == wanted)
}

/// Why a link of a page is dead.
fn complaint(page: &Path, text: &str, target: &str) -> Option<String> {
    if ["https://", "http://", "crate::", "crate#"].iter().any(|begin| target.starts_with(begin)) {
        return None;
    }
    let complain = |what: &str| Some(format!("{}: `{target}` {what}", page.display()));
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    if !path.exists() {
        return complain("leads nowhere");
    }
    let text = if file.is_empty() {
        text.to_owned()
    } else {
        fs::read_to_string(path).unwrap_or_default()
    };
    if heading.is_empty() || has_heading(&text, heading) {
        None
    } else {
        complain("has no heading")
    }
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading_that_are_there() {
    let (mut dead, mut checked) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            checked += 1;
            dead.extend(complaint(&page, &text, &target));
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(checked > 50, "only {checked} links were found");
}

#[test]
fn every_page_of_the_guide_stands_in_its_two_indexes() {
    let (guide, index) = (include_str!("../../src/lib.rs"), include_str!("../../docs/README.md"));
    for page in pages() {
        let Some(name) = page.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(module) = name.strip_suffix(".md") else { continue };
        if page.parent().unwrap().ends_with("docs") && name != "README.md" {
            assert!(index.contains(&format!("({name})")), "docs/README.md lacks {name}");
            assert!(guide.contains(&format!("[`guide::{module}`]")), "src/lib.rs lacks {name}");
        }
    }
}

#[test]
fn a_dead_link_is_found_and_one_in_code_is_none() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = "# One `two` three\n[a](README.md#limits) [b](gone.md) [c](README.md#gone)\n\
                `[d](gone)` [e](#one-two-three) <img src=\"gone.svg\">\n```\n[f](gone)\n```\n";
    let found = targets(text);
    let dead: Vec<_> = found.iter().filter(|it| complaint(&page, text, it).is_some()).collect();
    assert_eq!(dead, ["gone.md", "README.md#gone", "gone.svg"]);
}
