//! Collects errors, so that the compiler reports all of them at once, each at its own span.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Error, Result, Token,
    parse::{Parse, Parser},
    punctuated::Punctuated,
};

/// The errors found so far.
#[derive(Default)]
pub struct Diagnostics(Option<Error>);

impl Diagnostics {
    /// Adds an error that spans `tokens`.
    pub fn error(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// Returns the value of a result, or adds its error.
    pub fn ok_or_report<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Parses a comma-separated list. If that fails, adds the error and returns an empty list.
    pub fn parse_list<T: Parse>(&mut self, tokens: TokenStream) -> Punctuated<T, Token![,]> {
        self.ok_or_report(Punctuated::parse_terminated.parse2(tokens)).unwrap_or_default()
    }

    /// Whether no error was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns a `compile_error!` for each error.
    pub fn into_tokens(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// The message for a name that is not one of the known names. `kind` is what the name stands for.
pub fn unknown_name(kind: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2);
    match nearest {
        Some((_, nearest)) => format!("unknown {kind} `{name}`: did you mean `{nearest}`?"),
        None => format!("unknown {kind} `{name}`: expected one of `{}`", known.join("`, `")),
    }
}
