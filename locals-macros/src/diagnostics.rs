//! Collects mistakes, so that all are reported at once, each at its own place.

use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    Error, Result, Token,
    parse::{Parse, Parser},
    punctuated::Punctuated,
};

#[derive(Default)]
pub struct Diagnostics(Option<Error>);

impl Diagnostics {
    /// Reports a mistake at the place of `tokens`.
    pub fn error(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    pub fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    /// The value of a result, or its error reported.
    pub fn ok<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// A list with commas; what cannot be read as one is reported, and the list is empty.
    pub fn list<T: Parse>(&mut self, tokens: TokenStream) -> Punctuated<T, Token![,]> {
        self.ok(Punctuated::parse_terminated.parse2(tokens)).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The reports, as tokens that make the compiler print them.
    pub fn into_tokens(self) -> TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// What to say of a word that is not among the known ones.
pub fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, word), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2);
    match nearest {
        Some((_, nearest)) => format!("unknown {what} `{word}`: did you mean `{nearest}`?"),
        None => format!("unknown {what} `{word}`: there is `{}`", known.join("`, `")),
    }
}
