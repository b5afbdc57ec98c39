//! Editors expand items while they are half written.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::{Group, TokenTree};

use super::*;

#[test]
fn no_half_written_item_makes_a_macro_panic() {
    for (path, tokens) in golden::inputs() {
        for edit in edits(tokens) {
            let text = edit.to_string();
            // An edit may leave nothing to expand.
            let expanded = catch_unwind(AssertUnwindSafe(|| drop(golden::expand(edit))));
            assert!(expanded.is_ok(), "panics at this edit of {}:\n{text}", path.display());
        }
    }
}

/// The tokens with one missing, or cut off before one, at any depth. Groups stay closed.
fn edits(tokens: TokenStream2) -> Vec<TokenStream2> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut edits = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let (before, after) = (&tokens[..index], &tokens[index + 1..]);
        edits.push(quote!(#(#before)*));
        edits.push(quote!(#(#before)* #(#after)*));
        if let TokenTree::Group(group) = token {
            for edit in self::edits(group.stream()) {
                let group = Group::new(group.delimiter(), edit);
                edits.push(quote!(#(#before)* #group #(#after)*));
            }
        }
    }
    edits
}
