//! Checks a handler. Each message says what is wrong, and what to write instead.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, FnArg, Safety, Type};

use crate::{
    diagnostics::Diagnostics,
    handler::{Given, Handler, HandlerAttribute, Parameter, ParameterKind, Wrapping},
};

/// As many as Actix's own handlers take.
const MAX_EXTRACTORS: usize = 16;

/// Reports everything that is wrong with a handler.
pub fn check(handler: &Handler, attribute: HandlerAttribute, diagnostics: &mut Diagnostics) {
    check_attributes(handler, attribute, diagnostics);
    check_qualifiers(handler, attribute, diagnostics);
    check_self_type(handler, diagnostics);
    for parameter in handler.parameters() {
        check_parameter(&parameter, attribute, diagnostics);
    }
    check_duplicates(handler, diagnostics);
    check_extractor_count(handler, diagnostics);
}

/// A handler has one of the attributes, once.
fn check_attributes(handler: &Handler, attribute: HandlerAttribute, diagnostics: &mut Diagnostics) {
    for other in handler.attributes.iter().filter(|other| is_handler_attribute(other)) {
        if other.path().segments.last().is_some_and(|last| last.ident == attribute.name()) {
            diagnostics.error(
                other,
                format!("duplicate attribute `#[{}]`: remove this", attribute.name()),
            );
        } else {
            diagnostics.error(
                other,
                "a handler has `#[with_session]` or `#[require_user]`, not both: keep \
                 `#[require_user]` if only logged-in users may call it",
            );
        }
    }
}

/// Whether this is `#[with_session]` or `#[require_user]`.
pub fn is_handler_attribute(attribute: &Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "with_session" || last.ident == "require_user")
}

/// A handler is an `async fn` without other qualifiers and without `self`.
fn check_qualifiers(handler: &Handler, attribute: HandlerAttribute, diagnostics: &mut Diagnostics) {
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
    for (token, qualifier) in refused.into_iter().flatten() {
        diagnostics.error(token, format!("a handler cannot be {qualifier}: remove this"));
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

/// `Self` has no meaning in the function inside the generated one.
fn check_self_type(handler: &Handler, diagnostics: &mut Diagnostics) {
    for ident in self_types(handler) {
        diagnostics.error(ident, "a handler cannot use `Self`: write the name of the type");
    }
}

/// The occurrences of `Self` in the signature.
pub fn self_types(handler: &Handler) -> impl Iterator<Item = Ident> {
    identifiers(handler.signature.to_token_stream()).filter(|ident| ident == "Self")
}

/// All identifiers, including those in nested groups.
fn identifiers(tokens: TokenStream) -> Box<dyn Iterator<Item = Ident>> {
    Box::new(tokens.into_iter().flat_map(|token| match token {
        TokenTree::Ident(ident) => Box::new(std::iter::once(ident)),
        TokenTree::Group(group) => identifiers(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => Box::new(std::iter::empty()),
    }))
}

/// Checks one parameter, without the others.
fn check_parameter(
    parameter: &Parameter,
    attribute: HandlerAttribute,
    diagnostics: &mut Diagnostics,
) {
    for conditional in parameter.attributes {
        if conditional.path().is_ident("cfg") || conditional.path().is_ident("cfg_attr") {
            diagnostics.error(
                conditional,
                "a parameter of a handler cannot depend on `cfg`: write the whole handler twice, \
                 each with its own `#[cfg(..)]`",
            );
        }
    }
    let ty = parameter.ty;
    match parameter.kind {
        ParameterKind::Given(given, wrapping, inner) => {
            if let Some(message) = wrapping_error(given, wrapping, inner, attribute) {
                diagnostics.error(ty, message);
            }
        }
        ParameterKind::Extractor => {
            if let Type::ImplTrait(_) = ty {
                diagnostics.error(
                    ty,
                    "a parameter of a handler cannot be `impl ..`: write the name of its type",
                );
            }
        }
    }
}

/// The error of a type that is not wrapped as the attribute gives it: `Option` under
/// `#[with_session]`, bare under `#[require_user]`, and never a reference or a `Result`.
fn wrapping_error(
    given: Given,
    wrapping: Wrapping,
    inner: &Type,
    attribute: HandlerAttribute,
) -> Option<String> {
    let example = match given {
        Given::User { has_type_arguments: false } => Some("User<Account>"),
        Given::Verified { has_type_arguments: false } => Some("Verified<Account, IsAdmin>"),
        _ => None,
    };
    let inner = example.map_or_else(|| type_to_string(inner), str::to_owned);
    let right = match (given, attribute) {
        (Given::Locals, _) => "Locals".to_owned(),
        (_, HandlerAttribute::WithSession) => format!("Option<{inner}>"),
        (_, HandlerAttribute::RequireUser) => inner,
    };
    let what = if given == Given::Session { "session" } else { "user" };
    Some(match (attribute, given, wrapping) {
        (_, Given::User { has_type_arguments: false }, _) => {
            format!("`User` needs the type of the app's users: write `{right}`, for example")
        }
        (_, Given::Verified { has_type_arguments: false }, _) => format!(
            "`Verified` needs the type of the app's users and a condition: write `{right}`, for \
             example"
        ),
        (_, Given::Locals, Wrapping::Bare)
        | (HandlerAttribute::RequireUser, _, Wrapping::Bare)
        | (
            HandlerAttribute::WithSession,
            Given::Session | Given::User { .. } | Given::Verified { .. },
            Wrapping::Option,
        ) => return None,
        (_, _, Wrapping::Reference) => {
            format!("a handler takes its `{}` by value: write `{right}`", given.name())
        }
        (_, Given::Locals, _) => "`Locals` is always there: write `Locals`".to_owned(),
        (_, _, Wrapping::Result) => format!(
            "a handler never sees an error of its {what}: the response is 503 before it runs; \
             write `{right}`"
        ),
        (HandlerAttribute::WithSession, _, Wrapping::Bare) => format!(
            "under `#[with_session]` there may be no {what}: write `{right}`, or \
             `#[require_user]` above the function to refuse requests without a \
             session"
        ),
        (HandlerAttribute::RequireUser, _, Wrapping::Option) => {
            format!("under `#[require_user]` the {what} is always there: write `{right}`")
        }
    })
}

/// The type with the spaces that `rustfmt` leaves.
fn type_to_string(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (spaced, tight) in [(" :: ", "::"), (":: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ",")] {
        text = text.replace(spaced, tight);
    }
    text
}

/// A handler takes each given type at most once.
fn check_duplicates(handler: &Handler, diagnostics: &mut Diagnostics) {
    let mut seen = Vec::new();
    for parameter in handler.parameters() {
        let ParameterKind::Given(given, ..) = parameter.kind else { continue };
        if seen.contains(&given.name()) {
            diagnostics.error(
                parameter.ty,
                format!("a request has one `{}`: remove this parameter", given.name()),
            );
        }
        seen.push(given.name());
    }
}

fn check_extractor_count(handler: &Handler, diagnostics: &mut Diagnostics) {
    let mut extractors = handler.parameters().filter(Parameter::is_extractor);
    if let Some(parameter) = extractors.nth(MAX_EXTRACTORS) {
        diagnostics.error(
            parameter.ty,
            format!(
                "a handler takes at most {MAX_EXTRACTORS} extractors besides `Session`, `User`, \
                 `Verified` and `Locals`: combine several into a tuple"
            ),
        );
    }
}
