//! What is refused, and how it is said: the mistake, and what to write instead.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, Safety, Type};

use crate::{
    diagnostics::Diagnostics,
    handler::{Attribute, Given, Handler, Kind, Parameter, Wrapping},
};

/// As many as Actix's own handlers take.
const MOST_EXTRACTORS: usize = 16;

/// Reports everything that is wrong with a handler.
pub fn check(handler: &Handler, attribute: Attribute, diagnostics: &mut Diagnostics) {
    check_attributes(handler, attribute, diagnostics);
    check_qualifiers(handler, attribute, diagnostics);
    check_self_type(handler, diagnostics);
    for parameter in handler.parameters() {
        check_parameter(&parameter, attribute, diagnostics);
    }
    check_repetition(handler, diagnostics);
    check_number(handler, diagnostics);
}

/// One attribute on a handler, once.
fn check_attributes(handler: &Handler, attribute: Attribute, diagnostics: &mut Diagnostics) {
    for other in handler.attributes.iter().filter(|other| is_ours(other)) {
        if other.path().segments.last().is_some_and(|last| last.ident == attribute.name()) {
            diagnostics.error(other, format!("`#[{}]` stands here twice", attribute.name()));
        } else {
            diagnostics.error(
                other,
                "a handler has `#[with_session]` or `#[require_user]`, not both: keep \
                 `#[require_user]` if only logged-in users may come",
            );
        }
    }
}

pub fn is_ours(attribute: &syn::Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "with_session" || last.ident == "require_user")
}

/// `async fn` and nothing else before the name; no `self`.
fn check_qualifiers(handler: &Handler, attribute: Attribute, diagnostics: &mut Diagnostics) {
    let signature = &handler.signature;
    let name = attribute.name();
    if signature.asyncness.is_none() {
        diagnostics.error(signature.fn_token, "a handler is asynchronous: write `async fn`");
    }
    let refused = [
        signature.constness.map(|token| (token.into_token_stream(), "`const`")),
        match signature.safety {
            Safety::Unsafe(token) => Some((token.into_token_stream(), "`unsafe`")),
            Safety::Safe(token) => Some((token.into_token_stream(), "`safe`")),
            Safety::Default => None,
        },
        signature.abi.as_ref().map(|token| (token.into_token_stream(), "`extern`")),
        signature.variadic.as_ref().map(|token| (token.into_token_stream(), "variadic")),
    ];
    for (token, word) in refused.into_iter().flatten() {
        diagnostics.error(token, format!("a handler is not {word}: remove this"));
    }
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        diagnostics.error(
            receiver,
            format!(
                "a handler has no `self`: put `#[{name}]` on a function of its own, and take \
                 what the app shares as `web::Data<..>`"
            ),
        );
    }
}

/// The function inside the generated one does not see the type that `Self` stands for.
fn check_self_type(handler: &Handler, diagnostics: &mut Diagnostics) {
    for word in self_types(handler) {
        diagnostics.error(word, "a handler cannot say `Self`: write the name of the type");
    }
}

/// Where a signature says `Self`.
pub fn self_types(handler: &Handler) -> impl Iterator<Item = Ident> {
    words(handler.signature.to_token_stream()).filter(|word| word == "Self")
}

/// All identifiers, also those between brackets.
fn words(tokens: TokenStream) -> Box<dyn Iterator<Item = Ident>> {
    Box::new(tokens.into_iter().flat_map(|token| match token {
        TokenTree::Ident(word) => Box::new(std::iter::once(word)),
        TokenTree::Group(group) => words(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => Box::new(std::iter::empty()),
    }))
}

/// A parameter by itself.
fn check_parameter(parameter: &Parameter, attribute: Attribute, diagnostics: &mut Diagnostics) {
    for conditional in parameter.attributes {
        if conditional.path().is_ident("cfg") || conditional.path().is_ident("cfg_attr") {
            diagnostics.error(
                conditional,
                "a parameter here cannot depend on `cfg`: write the whole handler twice, each \
                 with its own `#[cfg(..)]`",
            );
        }
    }
    let ty = parameter.ty;
    match parameter.kind {
        Kind::Given(given, wrapping, inner) => {
            if let Some(message) = wrong_wrapping(given, wrapping, inner, attribute) {
                diagnostics.error(ty, message);
            }
        }
        Kind::Ordinary => {
            if let Type::ImplTrait(_) = ty {
                diagnostics.error(ty, "a parameter here needs the name of its type, not `impl ..`");
            }
        }
    }
}

/// Optional under `#[with_session]`, always there under `#[require_user]`, never a reference.
fn wrong_wrapping(
    given: Given,
    wrapping: Wrapping,
    inner: &Type,
    attribute: Attribute,
) -> Option<String> {
    let unnamed = match given {
        Given::User { named: false } => Some("User<Account>"),
        Given::Verified { named: false } => Some("Verified<Account, IsAdmin>"),
        _ => None,
    };
    let inner = unnamed.map_or_else(|| text(inner), str::to_owned);
    let right = match (given, attribute) {
        (Given::Locals, _) => "Locals".to_owned(),
        (_, Attribute::WithSession) => format!("Option<{inner}>"),
        (_, Attribute::RequireUser) => inner,
    };
    let what = if given == Given::Session { "session" } else { "user" };
    Some(match (attribute, given, wrapping) {
        (_, Given::User { named: false }, _) => {
            format!("`User` needs the type of the app's users: write `{right}`, for example")
        }
        (_, Given::Verified { named: false }, _) => format!(
            "`Verified` needs the type of the app's users and a condition: write `{right}`, for \
             example"
        ),
        (_, Given::Locals, Wrapping::Bare)
        | (Attribute::RequireUser, _, Wrapping::Bare)
        | (
            Attribute::WithSession,
            Given::Session | Given::User { .. } | Given::Verified { .. },
            Wrapping::Option,
        ) => {
            return None;
        }
        (_, _, Wrapping::Reference) => {
            format!("a handler owns its `{}`: write `{right}`", given.name())
        }
        (_, Given::Locals, _) => "`Locals` is always there: write `Locals`".to_owned(),
        (_, _, Wrapping::Result) => format!(
            "a handler never meets the error of its {what}: the response is 503 before it runs; \
             write `{right}`"
        ),
        (Attribute::WithSession, _, Wrapping::Bare) => format!(
            "under `#[with_session]` there may be no {what}: write `{right}`, or \
             `#[require_user]` above the function to refuse strangers"
        ),
        (Attribute::RequireUser, _, Wrapping::Option) => {
            format!("under `#[require_user]` the {what} is always there: write `{right}`")
        }
    })
}

/// A type as it is usually written.
fn text(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (spaced, tight) in [(" :: ", "::"), (":: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ",")] {
        text = text.replace(spaced, tight);
    }
    text
}

/// Each of ours once.
fn check_repetition(handler: &Handler, diagnostics: &mut Diagnostics) {
    let mut seen = Vec::new();
    for parameter in handler.parameters() {
        let Kind::Given(given, ..) = parameter.kind else { continue };
        if seen.contains(&given.name()) {
            diagnostics.error(
                parameter.ty,
                format!("a request has one `{}`: remove this parameter", given.name()),
            );
        }
        seen.push(given.name());
    }
}

fn check_number(handler: &Handler, diagnostics: &mut Diagnostics) {
    let mut ordinary = handler.parameters().filter(Parameter::is_ordinary);
    if let Some(parameter) = ordinary.nth(MOST_EXTRACTORS) {
        diagnostics.error(
            parameter.ty,
            format!(
                "a handler takes at most {MOST_EXTRACTORS} extractors besides `Session`, `User`, \
                 `Verified` and `Locals`: take several as one tuple"
            ),
        );
    }
}
