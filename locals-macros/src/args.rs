//! The arguments of `#[with_session(..)]` and `#[require_user(..)]`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Expr, ExprLit, Lit, LitStr, Meta, Result, Type,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    spanned::Spanned,
};

use crate::{
    diagnostics::{Diagnostics, unknown_name},
    handler::HandlerAttribute,
    literals,
};

/// An argument that one of the attributes takes.
struct ArgumentSpec {
    name: &'static str,
    attribute: HandlerAttribute,
    /// Shown in error messages.
    example: &'static str,
    /// Why the other attribute does not take it.
    misplaced: &'static str,
}

const ARGUMENTS: [ArgumentSpec; 5] = [
    ArgumentSpec {
        name: "cross_origin",
        attribute: HandlerAttribute::WithSession,
        example: "#[with_session(cross_origin)]",
        misplaced: "a cross-origin request runs without a session, so `#[require_user]` would \
                    always refuse it",
    },
    ArgumentSpec {
        name: "guest_only",
        attribute: HandlerAttribute::WithSession,
        example: "#[with_session(guest_only = \"/\")]",
        misplaced: "`guest_only` redirects logged-in users, so `#[require_user]` would let nobody \
                    in",
    },
    ArgumentSpec {
        name: "redirect",
        attribute: HandlerAttribute::RequireUser,
        example: "#[require_user(redirect = \"/login\")]",
        misplaced: "`redirect` applies to requests without a session, but `#[with_session]` lets \
                    them in",
    },
    ArgumentSpec {
        name: "check",
        attribute: HandlerAttribute::RequireUser,
        example: "#[require_user(check = Account::is_admin)]",
        misplaced: "`check` needs a user, but under `#[with_session]` there may be none",
    },
    ArgumentSpec {
        name: "recent",
        attribute: HandlerAttribute::RequireUser,
        example: "#[require_user(recent = \"10m\")]",
        misplaced: "`recent` needs a login, but under `#[with_session]` there may be none",
    },
];

/// The arguments of one attribute, as method calls on the runtime's `WithSession` or `RequireUser`.
#[derive(Default)]
pub struct Args {
    /// The names of the arguments so far.
    seen: Vec<&'static str>,
    calls: Vec<TokenStream>,
    /// Kept apart, because its call names the type of the user.
    check: Option<Expr>,
}

/// One argument: a name with or without a value, or by mistake a literal.
enum Argument {
    Named(Meta),
    Literal(Lit),
}

impl Parse for Argument {
    fn parse(input: ParseStream) -> Result<Self> {
        if input.peek(Lit) {
            input.parse().map(Self::Literal)
        } else {
            input.parse().map(Self::Named)
        }
    }
}

impl Args {
    /// Parses the arguments. Reports those that are wrong, and leaves them out.
    pub fn parse(
        tokens: TokenStream,
        attribute: HandlerAttribute,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut args = Self::default();
        for argument in diagnostics.parse_list::<Argument>(tokens) {
            match argument {
                Argument::Named(argument) => args.add(&argument, attribute, diagnostics),
                Argument::Literal(literal) => {
                    let examples = examples(attribute);
                    diagnostics
                        .error(literal, format!("an argument needs a name, as in {examples}"));
                }
            }
        }
        args
    }

    /// The method calls. `user` is the type of the user if the handler's signature names it;
    /// otherwise the compiler infers it from the check.
    pub fn method_calls(&self, user: Option<&Type>) -> TokenStream {
        let calls = &self.calls;
        let check = self.check.as_ref().map(|check| {
            let user = user.map_or_else(|| quote!(_), ToTokens::to_token_stream);
            quote_spanned!(check.span()=> .check::<#user>(#check))
        });
        quote!(#(#calls)* #check)
    }

    fn add(&mut self, argument: &Meta, attribute: HandlerAttribute, diagnostics: &mut Diagnostics) {
        let name = argument.path().get_ident().map(|name| name.unraw().to_string());
        let name = name.unwrap_or_default();
        let Some(spec) = ARGUMENTS.iter().find(|spec| spec.name == name) else {
            let names: Vec<_> = arguments_of(attribute).map(|spec| spec.name).collect();
            diagnostics.error(argument, unknown_name("argument", &name, &names));
            return;
        };
        if spec.attribute != attribute {
            let ArgumentSpec { misplaced, example, .. } = spec;
            diagnostics.error(argument, format!("{misplaced}: write `{example}`"));
        } else if self.seen.contains(&spec.name) {
            diagnostics.error(argument, format!("duplicate argument `{name}`: remove this"));
        } else {
            self.seen.push(spec.name);
            self.add_value(spec, argument, diagnostics);
        }
    }

    fn add_value(&mut self, spec: &ArgumentSpec, argument: &Meta, diagnostics: &mut Diagnostics) {
        let ArgumentSpec { name, example, .. } = spec;
        let value = match argument {
            Meta::Path(_) => None,
            Meta::NameValue(pair) => Some(&pair.value),
            Meta::List(_) => {
                let message = format!("`{name}` takes no parentheses: write `{example}`");
                diagnostics.error(argument, message);
                return;
            }
        };
        let call = match (*name, value) {
            ("cross_origin", None) => quote!(.cross_origin()),
            ("check", Some(check)) => {
                self.check = Some(check.clone());
                return;
            }
            ("guest_only" | "redirect", Some(value)) => {
                let Some(path) = string_literal(value, spec, diagnostics) else { return };
                if let Err(reason) = literals::check_path(&path.value()) {
                    diagnostics.error(&path, format!("{reason}: write `{example}`"));
                }
                let method = Ident::new(name, path.span());
                quote_spanned!(path.span()=> .#method(#path))
            }
            ("recent", Some(value)) => {
                let Some(text) = string_literal(value, spec, diagnostics) else { return };
                let seconds = literals::parse_duration(&text.value()).unwrap_or_else(|reason| {
                    diagnostics.error(&text, reason);
                    0
                });
                quote_spanned!(text.span()=> .recent(::core::time::Duration::from_secs(#seconds)))
            }
            (_, None) => {
                diagnostics.error(argument, format!("`{name}` needs a value: write `{example}`"));
                return;
            }
            (_, Some(_)) => {
                diagnostics.error(argument, format!("`{name}` takes no value: write `{example}`"));
                return;
            }
        };
        self.calls.push(call);
    }
}

/// The value of an argument that takes a string literal.
fn string_literal(
    value: &Expr,
    spec: &ArgumentSpec,
    diagnostics: &mut Diagnostics,
) -> Option<LitStr> {
    if let Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) = value {
        return Some(literal.clone());
    }
    let ArgumentSpec { name, example, .. } = spec;
    diagnostics.error(value, format!("`{name}` takes a string literal: write `{example}`"));
    None
}

fn arguments_of(attribute: HandlerAttribute) -> impl Iterator<Item = &'static ArgumentSpec> {
    ARGUMENTS.iter().filter(move |spec| spec.attribute == attribute)
}

fn examples(attribute: HandlerAttribute) -> String {
    let examples: Vec<_> =
        arguments_of(attribute).map(|spec| format!("`{}`", spec.example)).collect();
    examples.join(" or ")
}
