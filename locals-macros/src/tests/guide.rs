//! The guide shows an expansion.

use std::fs;

use super::*;

/// The first block of code below a heading, without the lines that rustdoc hides.
fn code(page: &str, heading: &str) -> TokenStream2 {
    let (_, section) = page.split_once(heading).expect("the heading");
    let block = section.split("```").nth(1).expect("a block of code");
    let (_, code) = block.split_once('\n').expect("more than the fence");
    let shown = code.lines().filter(|line| *line != "#" && !line.starts_with("# "));
    shown.collect::<Vec<_>>().join("\n").parse().expect("Rust")
}

#[test]
fn the_expansion_that_the_guide_shows_is_the_real_one() {
    let page = fs::read_to_string(path("../docs/handlers.md")).expect("the page");
    let source = code(&page, "What stands in the source");
    let expanded = golden::expand(source).expect("a handler").to_string();
    let shown = code(&page, "What the compiler sees").to_string();
    // Spacing differs between parsed and generated tokens.
    let same = shown.replace(' ', "") == expanded.replace(' ', "");
    assert!(same, "`docs/handlers.md` shows\n{shown}\nand the macro expands to\n{expanded}\n");
}
