//! Golden files: `tests/expansions/*.rs` are inputs, with the expansion of each in `*.expanded.rs`.
//!
//! An input is one item with the attribute or the derive to expand.

use std::{env, fs};

use similar::TextDiff;
use syn::{
    Attribute, DeriveInput, Error, Meta, Token,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

use super::*;

const HINT: &str = "If the change is intended, run `EXPANSIONS=overwrite cargo test -p \
    locals-macros` and read the diff of `tests/expansions` as code.";

#[test]
fn expansions_match_their_golden_files() {
    let overwrite = env::var_os("EXPANSIONS").is_some_and(|value| value == "overwrite");
    let mut differences = String::new();
    for (input, source) in inputs() {
        let golden = input.with_extension("expanded.rs");
        let expanded = syn::parse2(expand(source).expect("an item to expand"));
        let expanded = prettyplease::unparse(&expanded.expect("an expansion of items"));
        if overwrite {
            fs::write(&golden, expanded).expect("a writable file");
            continue;
        }
        // If the file is missing, every line differs.
        let recorded = fs::read_to_string(&golden).unwrap_or_default();
        if recorded != expanded {
            let name = golden.display().to_string();
            let diff = TextDiff::from_lines(&recorded, &expanded);
            differences += &diff.unified_diff().header(&name, "current expansion").to_string();
        }
    }
    assert!(differences.is_empty(), "the expansions have changed:\n\n{differences}\n{HINT}");
}

#[test]
fn each_golden_file_has_an_input() {
    let inputs: Vec<_> = inputs().map(|(path, _)| path.with_extension("expanded.rs")).collect();
    let goldens = files().filter(|path| is_golden(path));
    let orphans: Vec<_> = goldens.filter(|path| !inputs.contains(path)).collect();
    assert!(orphans.is_empty(), "these files have no input, remove them: {orphans:#?}");
}

/// The input files and their tokens.
pub fn inputs() -> impl Iterator<Item = (PathBuf, TokenStream2)> {
    files().filter(|path| !is_golden(path)).map(|path| {
        let source = fs::read_to_string(&path).expect("a readable file");
        let tokens = source.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, tokens)
    })
}

fn files() -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path("tests/expansions")).expect("the folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.into_iter()
}

fn is_golden(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".expanded.rs"))
}

/// Expands `#[with_session]` or `#[require_user]` above an item, or else its derives of this crate.
pub fn expand(item: TokenStream2) -> syn::Result<TokenStream2> {
    let split = |input: ParseStream| {
        let attributes = input.call(Attribute::parse_outer)?;
        Ok((attributes, input.parse::<TokenStream2>()?))
    };
    let (mut attributes, rest) = split.parse2(item.clone())?;
    for attribute in [HandlerAttribute::WithSession, HandlerAttribute::RequireUser] {
        let is_it = |other: &Attribute| other.path().is_ident(attribute.name());
        if let Some(index) = attributes.iter().position(is_it) {
            let args = match attributes.remove(index).meta {
                Meta::List(list) => list.tokens,
                _ => TokenStream2::new(),
            };
            return Ok(expand_handler(args, &quote!(#(#attributes)* #rest), attribute));
        }
    }
    let input: DeriveInput = syn::parse2(item)?;
    let derives = attributes.iter().find(|attribute| attribute.path().is_ident("derive"));
    let derives = derives.ok_or_else(|| Error::new_spanned(&input, "nothing to expand"))?;
    let derives = derives.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
    let expand = |derive: &Meta| match derive.path().get_ident()?.to_string().as_str() {
        "AuthUser" => Some(auth_user::derive(&input)),
        "UserKey" => Some(user_key::derive(&input)),
        _ => None,
    };
    Ok(derives.iter().filter_map(expand).collect())
}
