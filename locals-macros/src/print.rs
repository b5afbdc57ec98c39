//! Prints expansions on request.

use std::{
    env,
    io::{Write, stderr},
};

use proc_macro2::{Ident, TokenStream};

/// Prints the expansion to stderr if `LOCALS_EXPAND` is the name of the handler or the type.
pub fn print_if_requested(name: &Ident, expansion: TokenStream) -> TokenStream {
    if env::var_os("LOCALS_EXPAND").is_some_and(|requested| requested == *name.to_string()) {
        // Unlike `eprintln!`, this does not panic where stderr is closed.
        let _ = writeln!(stderr(), "// The expansion of `{name}`:\n{expansion}");
    }
    expansion
}
