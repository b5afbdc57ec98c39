//! What stands in the parentheses of `#[with_session(..)]` and `#[require_user(..)]`.

use proc_macro2::TokenStream;
use syn::{
    Lit, Meta, Result,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

use crate::{
    diagnostics::{Diagnostics, unknown},
    handler::Attribute,
};

const CROSS_ORIGIN: &str = "cross_origin";

#[derive(Debug, Default)]
pub struct Args {
    pub cross_origin: bool,
}

/// One argument: a word with or without a value, or a value where a word should be.
enum Argument {
    Word(Meta),
    Value(Lit),
}

impl Parse for Argument {
    fn parse(input: ParseStream) -> Result<Self> {
        if input.peek(Lit) { input.parse().map(Self::Value) } else { input.parse().map(Self::Word) }
    }
}

impl Args {
    /// Reads the arguments; what is wrong is reported, and left out.
    pub fn parse(tokens: TokenStream, attribute: Attribute, diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        for argument in diagnostics.list::<Argument>(tokens) {
            match argument {
                Argument::Word(argument) => args.set(&argument, attribute, diagnostics),
                Argument::Value(value) => diagnostics.error(
                    value,
                    format!("an argument is a word, as in `#[with_session({CROSS_ORIGIN})]`"),
                ),
            }
        }
        args
    }

    fn set(&mut self, argument: &Meta, attribute: Attribute, diagnostics: &mut Diagnostics) {
        let word = argument.path().get_ident().map(|word| word.unraw().to_string());
        match (attribute, word.as_deref().unwrap_or_default()) {
            (Attribute::WithSession, CROSS_ORIGIN) => self.set_cross_origin(argument, diagnostics),
            (Attribute::RequireUser, CROSS_ORIGIN) => diagnostics.error(
                argument,
                "a cross-origin request runs without a session, so `#[require_user]` would refuse \
                 it always: write `#[with_session(cross_origin)]`",
            ),
            (Attribute::WithSession, word) => {
                diagnostics.error(argument, unknown("argument", word, &[CROSS_ORIGIN]));
            }
            (Attribute::RequireUser, _) => {
                diagnostics.error(argument, "`#[require_user]` takes no arguments");
            }
        }
    }

    fn set_cross_origin(&mut self, argument: &Meta, diagnostics: &mut Diagnostics) {
        if argument.require_path_only().is_err() {
            diagnostics.error(
                argument,
                "`cross_origin` takes no value: write `#[with_session(cross_origin)]`",
            );
        } else if self.cross_origin {
            diagnostics.error(argument, "`cross_origin` stands here twice");
        }
        self.cross_origin = true;
    }
}
