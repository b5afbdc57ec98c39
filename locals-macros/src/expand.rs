//! The handler that is generated.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Attribute as SynAttribute, FnArg, GenericParam, Generics, Meta, Receiver, ReturnType, Safety,
    Signature,
};

use crate::{
    args::Args,
    check,
    diagnostics::Diagnostics,
    handler::{Attribute, Handler},
    paths,
};

/// Turns
///
/// ```text
/// #[get("/me")]
/// async fn me(user: User<Account>, query: Query<Page>) -> impl Responder { .. }
/// ```
///
/// into
///
/// ```text
/// #[get("/me")]
/// async fn me(request: HttpRequest, payload: Payload) -> HttpResponse {
///     async fn me(user: User<Account>, query: Query<Page>) -> impl Responder { .. }
///
///     handle(
///         request,
///         payload,
///         RequireUser::new(),
///         (given::<RequireUser, User<Account>>(),),
///         (extracted::<Query<Page>>(),),
///         |(p0,), (p1,), request| async move { respond(me(p0, p1).await, &request) },
///     )
///     .await
/// }
/// ```
///
/// so that a route attribute, above or below, finds exactly one function of the same name.
pub fn expand(handler: &Handler, attribute: Attribute, args: &Args) -> TokenStream {
    let call = call(handler, attribute, args);
    let inner = inner(handler, handler.signature.clone());
    outer(handler, &quote!(#inner #call))
}

/// What is left of a handler with mistakes: the same name and shape, so that nothing else in the
/// app stops to compile, and the function inside it, so that the editor goes on to help.
pub fn recover(handler: &Handler, diagnostics: Diagnostics) -> TokenStream {
    let mut signature = handler.signature.clone();
    signature.constness = None;
    signature.asyncness.get_or_insert_default();
    signature.safety = Safety::Default;
    signature.abi = None;
    // Without what they do not have, these bodies would be one mistake more.
    let lost = signature.variadic.is_some()
        || signature.receiver().is_some()
        || handler.parameters().any(|parameter| parameter.is_unnamed())
        || check::self_types(handler).next().is_some();
    let inner = if lost {
        TokenStream::new()
    } else {
        let inner = inner(handler, signature);
        quote!(#[allow(dead_code)] #inner)
    };
    let outer = outer(handler, &quote!(#inner ::core::unreachable!()));
    let errors = diagnostics.into_tokens();
    quote!(#errors #outer)
}

/// The attributes of the handler but ours and those that belong to one place alone.
fn attributes_but(handler: &Handler, place: &Place) -> impl Iterator<Item = TokenStream> {
    let attributes = handler.attributes.iter();
    attributes
        .filter(|attribute| !check::is_ours(attribute) && Place::of(attribute) != *place)
        .map(allowed)
}

/// The function that Actix sees.
fn outer(handler: &Handler, body: &TokenStream) -> TokenStream {
    let attributes = attributes_but(handler, &Place::Inner);
    let private = paths::private();
    let (request, payload) = (local("request"), local("payload"));
    let visibility = &handler.visibility;
    let Signature { ident, generics, .. } = &handler.signature;
    let where_clause = &generics.where_clause;
    quote! {
        #[allow(clippy::future_not_send, clippy::large_futures, clippy::used_underscore_items)]
        #(#attributes)*
        #visibility async fn #ident #generics (
            #request: #private::HttpRequest,
            #payload: #private::Payload,
        ) -> #private::HttpResponse #where_clause {
            #body
        }
    }
}

/// The function as it was written.
fn inner(handler: &Handler, mut signature: Signature) -> TokenStream {
    let attributes = attributes_but(handler, &Place::Outer);
    for input in &mut signature.inputs {
        let (FnArg::Typed(syn::PatType { attrs, .. }) | FnArg::Receiver(Receiver { attrs, .. })) =
            input;
        attrs.retain(|attribute| {
            !["doc", "cfg", "cfg_attr"].iter().any(|it| attribute.path().is_ident(it))
        });
    }
    let body = &handler.body;
    quote! {
        // The attribute and Actix ask for these forms; the body stays under the app's own lints.
        #[allow(
            clippy::future_not_send,
            clippy::needless_pass_by_value,
            clippy::too_many_arguments,
            clippy::unused_async
        )]
        #(#attributes)*
        #signature #body
    }
}

/// The call of the runtime, with the types of the parameters where they were written.
fn call(handler: &Handler, attribute: Attribute, args: &Args) -> TokenStream {
    let private = paths::private();
    let (request, payload) = (local("request"), local("payload"));
    let attribute_type = match attribute {
        Attribute::WithSession => quote!(#private::WithSession),
        Attribute::RequireUser => quote!(#private::RequireUser),
    };
    let arguments = args.calls(handler.parameters().find_map(|parameter| parameter.user_type()));
    let (mut given, mut given_names) = (Vec::new(), Vec::new());
    let (mut extracted, mut extracted_names) = (Vec::new(), Vec::new());
    let mut names = Vec::new();
    for (index, parameter) in handler.parameters().enumerate() {
        let (name, ty) = (local(&format!("p{index}")), parameter.ty);
        if parameter.is_ordinary() {
            extracted.push(quote!(#private::extracted::<#ty>()));
            extracted_names.push(name.clone());
        } else {
            given.push(quote!(#private::given::<#attribute_type, #ty>()));
            given_names.push(name.clone());
        }
        names.push(name);
    }
    let response = response(&handler.signature, &names, &request);
    quote! {
        #private::handle(
            #request,
            #payload,
            #attribute_type::new() #arguments,
            (#(#given,)*),
            (#(#extracted,)*),
            |(#(#given_names,)*), (#(#extracted_names,)*), #request| async move { #response },
        )
        .await
    }
}

/// The call of the handler and the response of its value, underlined as the type it returns.
fn response(signature: &Signature, names: &[Ident], request: &Ident) -> TokenStream {
    let private = paths::private();
    let (first, last) = match &signature.output {
        ReturnType::Default => (signature.ident.span(), signature.ident.span()),
        ReturnType::Type(_, ty) => ends(ty),
    };
    let mut ident = signature.ident.clone();
    ident.set_span(first.resolved_at(ident.span()));
    let turbofish = turbofish(&signature.generics);
    let value = quote_spanned!(last=> #ident #turbofish (#(#names),*).await);
    quote_spanned!(first=> #private::respond(#value, &#request))
}

/// The places of the first and the last token.
fn ends(tokens: impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.into_token_stream().into_iter().map(|token| token.span());
    let first = tokens.next().unwrap_or_else(Span::call_site);
    (first, tokens.last().unwrap_or(first))
}

/// `::<T, N>`, without lifetimes, which must not be named here.
fn turbofish(generics: &Generics) -> TokenStream {
    let names = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Lifetime(_) => None,
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
    });
    let names: Vec<_> = names.collect();
    if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
}

/// A name that no name of the app meets: its span hides it from variables, its prefix from items.
fn local(name: &str) -> Ident {
    Ident::new(&format!("__locals_{name}"), Span::mixed_site())
}

/// Where an attribute of the handler belongs.
#[derive(PartialEq, Eq)]
enum Place {
    Outer,
    Inner,
    Both,
}

impl Place {
    fn of(attribute: &SynAttribute) -> Self {
        let mut segments =
            attribute.path().segments.iter().map(|segment| segment.ident.to_string());
        let (first, last) = (segments.next().unwrap_or_default(), segments.next_back());
        let is_actix = ["actix_web", "web", "routes"].contains(&first.as_str());
        match last.as_deref() {
            None if is_route(&first) => Self::Outer,
            Some(last) if is_actix && is_route(last) => Self::Outer,
            // What concerns the name that the app uses.
            None if ["doc", "deprecated", "must_use"].contains(&first.as_str()) => Self::Outer,
            None if ["allow", "warn", "deny", "forbid", "expect"].contains(&first.as_str()) => {
                Self::Both
            }
            // Their arguments are the handler's own, as with `tracing::instrument`.
            _ => Self::Inner,
        }
    }
}

/// The attributes of Actix that make a function a route.
fn is_route(name: &str) -> bool {
    matches!(
        name,
        "get"
            | "post"
            | "put"
            | "delete"
            | "head"
            | "connect"
            | "options"
            | "trace"
            | "patch"
            | "route"
            | "routes"
    )
}

/// `expect` as `allow`: what it expects happens in one of the two functions, not in both.
fn allowed(attribute: &SynAttribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("expect") => {
            let lints = &list.tokens;
            quote!(#[allow(#lints)])
        }
        _ => quote!(#attribute),
    }
}
