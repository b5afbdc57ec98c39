//! What stands in the parentheses of `#[with_session(..)]` and `#[require_user(..)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::{
    Expr, ExprLit, Lit, LitStr, Meta, Result,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::{
    diagnostics::{Diagnostics, unknown},
    handler::Attribute,
    literals,
};

/// An argument that an attribute takes.
struct Known {
    word: &'static str,
    attribute: Attribute,
    /// How it is written.
    example: &'static str,
    /// What to say where it stands on the other attribute.
    elsewhere: &'static str,
}

const KNOWN: [Known; 5] = [
    Known {
        word: "cross_origin",
        attribute: Attribute::WithSession,
        example: "#[with_session(cross_origin)]",
        elsewhere: "a cross-origin request runs without a session, so `#[require_user]` would \
                    refuse it always",
    },
    Known {
        word: "guest_only",
        attribute: Attribute::WithSession,
        example: "#[with_session(guest_only = \"/\")]",
        elsewhere: "`guest_only` sends logged-in users on, so nobody would be let in",
    },
    Known {
        word: "redirect",
        attribute: Attribute::RequireUser,
        example: "#[require_user(redirect = \"/login\")]",
        elsewhere: "`redirect` says where strangers are sent, but `#[with_session]` lets them in",
    },
    Known {
        word: "check",
        attribute: Attribute::RequireUser,
        example: "#[require_user(check = Account::is_admin)]",
        elsewhere: "`check` looks at the user, but under `#[with_session]` there may be none",
    },
    Known {
        word: "recent",
        attribute: Attribute::RequireUser,
        example: "#[require_user(recent = \"10m\")]",
        elsewhere: "`recent` looks at the login, but under `#[with_session]` there may be none",
    },
];

/// The arguments of one attribute, each with the call that it becomes on the attribute's value.
#[derive(Default)]
pub struct Args {
    words: Vec<&'static str>,
    calls: Vec<TokenStream>,
    check: Option<Expr>,
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
                Argument::Word(argument) => args.read(&argument, attribute, diagnostics),
                Argument::Value(value) => {
                    let examples = examples(attribute);
                    diagnostics.error(value, format!("an argument has a name, as in {examples}"));
                }
            }
        }
        args
    }

    /// The calls on the attribute's value. `user` is the type of the handler's user, where the
    /// signature names it; without it, the check's own signature does.
    pub fn calls(&self, user: Option<&syn::Type>) -> TokenStream {
        let calls = &self.calls;
        let check = self.check.as_ref().map(|check| {
            let user = user.map_or_else(|| quote::quote!(_), ToTokens::to_token_stream);
            quote_spanned!(check.span()=> .check::<#user>(#check))
        });
        quote::quote!(#(#calls)* #check)
    }

    fn read(&mut self, argument: &Meta, attribute: Attribute, diagnostics: &mut Diagnostics) {
        let word = argument.path().get_ident().map(|word| word.unraw().to_string());
        let word = word.unwrap_or_default();
        let Some(known) = KNOWN.iter().find(|known| known.word == word) else {
            let words: Vec<_> = of(attribute).map(|known| known.word).collect();
            diagnostics.error(argument, unknown("argument", &word, &words));
            return;
        };
        if known.attribute != attribute {
            let Known { elsewhere, example, .. } = known;
            diagnostics.error(argument, format!("{elsewhere}: write `{example}`"));
        } else if self.words.contains(&known.word) {
            diagnostics.error(argument, format!("`{word}` stands here twice"));
        } else {
            self.words.push(known.word);
            self.take(known, argument, diagnostics);
        }
    }

    fn take(&mut self, known: &Known, argument: &Meta, diagnostics: &mut Diagnostics) {
        let value = match argument {
            Meta::Path(_) => None,
            Meta::NameValue(pair) => Some(&pair.value),
            Meta::List(_) => {
                let Known { word, example, .. } = known;
                let message = format!("`{word}` takes no parentheses: write `{example}`");
                diagnostics.error(argument, message);
                return;
            }
        };
        let call = match (known.word, value) {
            ("cross_origin", None) => quote::quote!(.cross_origin()),
            ("check", Some(check)) => {
                self.check = Some(check.clone());
                return;
            }
            ("guest_only" | "redirect", Some(value)) => {
                let Some(path) = text(value, known, diagnostics) else { return };
                if let Err(reason) = literals::local_path(&path.value()) {
                    diagnostics.error(&path, format!("{reason}: write `{}`", known.example));
                }
                let method = proc_macro2::Ident::new(known.word, path.span());
                quote_spanned!(path.span()=> .#method(#path))
            }
            ("recent", Some(value)) => {
                let Some(text) = text(value, known, diagnostics) else { return };
                let seconds = literals::duration(&text.value()).unwrap_or_else(|reason| {
                    diagnostics.error(&text, reason);
                    0
                });
                quote_spanned!(text.span()=> .recent(::core::time::Duration::from_secs(#seconds)))
            }
            (word, None) => {
                let Known { example, .. } = known;
                diagnostics.error(argument, format!("`{word}` needs a value: write `{example}`"));
                return;
            }
            (word, Some(_)) => {
                let Known { example, .. } = known;
                diagnostics.error(argument, format!("`{word}` takes no value: write `{example}`"));
                return;
            }
        };
        self.calls.push(call);
    }
}

/// The text of a value that must be one.
fn text(value: &Expr, known: &Known, diagnostics: &mut Diagnostics) -> Option<LitStr> {
    if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = value {
        return Some(text.clone());
    }
    let Known { word, example, .. } = known;
    diagnostics.error(value, format!("`{word}` is a text between quotes: write `{example}`"));
    None
}

fn of(attribute: Attribute) -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().filter(move |known| known.attribute == attribute)
}

fn examples(attribute: Attribute) -> String {
    let examples: Vec<_> = of(attribute).map(|known| format!("`{}`", known.example)).collect();
    examples.join(" or ")
}
