//! Generates the function that Actix calls.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Attribute, FnArg, GenericParam, Generics, Meta, PatType, Receiver, ReturnType, Safety,
    Signature,
};

use crate::{
    args::Args,
    check,
    diagnostics::Diagnostics,
    handler::{Handler, HandlerAttribute},
    paths,
};

/// Turns
///
/// ```text
/// #[get("/me")]
/// #[require_user]
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
/// One function of the same name is left, so a route attribute above or below finds exactly that one.
pub fn expand(handler: &Handler, attribute: HandlerAttribute, args: &Args) -> TokenStream {
    let call = handle_call(handler, attribute, args);
    let original = original_function(handler, handler.signature.clone());
    wrapper_function(handler, &quote!(#original #call))
}

/// Expands a handler that has errors. The function keeps its name and its shape, so that the rest of
/// the app still compiles, and contains the original, so that an editor still helps in it.
pub fn expand_with_errors(handler: &Handler, diagnostics: Diagnostics) -> TokenStream {
    let mut signature = handler.signature.clone();
    signature.constness = None;
    signature.asyncness.get_or_insert_default();
    signature.safety = Safety::Default;
    signature.abi = None;
    // Here the original would only add errors of its own.
    let cannot_compile = signature.variadic.is_some()
        || signature.receiver().is_some()
        || handler.parameters().any(|parameter| parameter.lacks_type_arguments())
        || check::self_types(handler).next().is_some();
    let original = (!cannot_compile).then(|| {
        let original = original_function(handler, signature);
        quote!(#[allow(dead_code)] #original)
    });
    let wrapper = wrapper_function(handler, &quote!(#original ::core::unreachable!()));
    let errors = diagnostics.into_tokens();
    quote!(#errors #wrapper)
}

/// The function that Actix calls.
fn wrapper_function(handler: &Handler, body: &TokenStream) -> TokenStream {
    let attributes = attributes_for(handler, Target::Wrapper);
    let private = paths::private();
    let (request, payload) = (hygienic_ident("request"), hygienic_ident("payload"));
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

/// The function as the app wrote it.
fn original_function(handler: &Handler, mut signature: Signature) -> TokenStream {
    let attributes = attributes_for(handler, Target::Original);
    for input in &mut signature.inputs {
        let (FnArg::Typed(PatType { attrs, .. }) | FnArg::Receiver(Receiver { attrs, .. })) = input;
        attrs.retain(|attribute| {
            !["doc", "cfg", "cfg_attr"].iter().any(|name| attribute.path().is_ident(name))
        });
    }
    let body = &handler.body;
    quote! {
        // The form of a handler causes these lints. The app's own lints apply to the body.
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

/// The call of the runtime. The type of each parameter keeps its span.
fn handle_call(handler: &Handler, attribute: HandlerAttribute, args: &Args) -> TokenStream {
    let private = paths::private();
    let (request, payload) = (hygienic_ident("request"), hygienic_ident("payload"));
    let attribute_type = match attribute {
        HandlerAttribute::WithSession => quote!(#private::WithSession),
        HandlerAttribute::RequireUser => quote!(#private::RequireUser),
    };
    let user = handler.parameters().find_map(|parameter| parameter.user_type());
    let method_calls = args.method_calls(user);
    let (mut given, mut given_names) = (Vec::new(), Vec::new());
    let (mut extracted, mut extracted_names) = (Vec::new(), Vec::new());
    let mut names = Vec::new();
    for (index, parameter) in handler.parameters().enumerate() {
        let (name, ty) = (hygienic_ident(&format!("p{index}")), parameter.ty);
        if parameter.is_extractor() {
            extracted.push(quote!(#private::extracted::<#ty>()));
            extracted_names.push(name.clone());
        } else {
            given.push(quote!(#private::given::<#attribute_type, #ty>()));
            given_names.push(name.clone());
        }
        names.push(name);
    }
    let respond = respond_call(&handler.signature, &names, &request);
    quote! {
        #private::handle(
            #request,
            #payload,
            #attribute_type::new() #method_calls,
            (#(#given,)*),
            (#(#extracted,)*),
            |(#(#given_names,)*), (#(#extracted_names,)*), #request| async move { #respond },
        )
        .await
    }
}

/// The call of the original function, whose value becomes the response. It has the span of the return
/// type, where the compiler reports a type that is no `Responder`.
fn respond_call(signature: &Signature, names: &[Ident], request: &Ident) -> TokenStream {
    let private = paths::private();
    let (first, last) = match &signature.output {
        ReturnType::Default => (signature.ident.span(), signature.ident.span()),
        ReturnType::Type(_, ty) => first_and_last_span(ty),
    };
    let mut ident = signature.ident.clone();
    ident.set_span(first.resolved_at(ident.span()));
    let turbofish = turbofish(&signature.generics);
    let value = quote_spanned!(last=> #ident #turbofish (#(#names),*).await);
    quote_spanned!(first=> #private::respond(#value, &#request))
}

/// The spans of the first and the last token.
fn first_and_last_span(tokens: impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.into_token_stream().into_iter().map(|token| token.span());
    let first = tokens.next().unwrap_or_else(Span::call_site);
    (first, tokens.last().unwrap_or(first))
}

/// `::<T, N>`. Lifetimes are left out: late-bound ones cannot be written there.
fn turbofish(generics: &Generics) -> TokenStream {
    let names = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Lifetime(_) => None,
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
    });
    let names: Vec<_> = names.collect();
    if names.is_empty() { TokenStream::new() } else { quote!(::<#(#names),*>) }
}

/// A name that collides with no name of the app: its span hides it from variables, its prefix from
/// items.
fn hygienic_ident(name: &str) -> Ident {
    Ident::new(&format!("__locals_{name}"), Span::mixed_site())
}

/// The functions that an attribute of the handler is moved to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Wrapper,
    Original,
    Both,
}

impl Target {
    fn of(attribute: &Attribute) -> Self {
        let mut segments =
            attribute.path().segments.iter().map(|segment| segment.ident.to_string());
        let (first, last) = (segments.next().unwrap_or_default(), segments.next_back());
        let is_actix = ["actix_web", "web", "routes"].contains(&first.as_str());
        match last.as_deref() {
            None if is_route(&first) => Self::Wrapper,
            Some(last) if is_actix && is_route(last) => Self::Wrapper,
            // These concern the function that the rest of the app names.
            None if ["doc", "deprecated", "must_use"].contains(&first.as_str()) => Self::Wrapper,
            None if ["allow", "warn", "deny", "forbid", "expect"].contains(&first.as_str()) => {
                Self::Both
            }
            // These may name the parameters, as `tracing::instrument` does.
            _ => Self::Original,
        }
    }
}

/// The attributes of the handler for one of the two functions, without ours.
fn attributes_for(handler: &Handler, function: Target) -> impl Iterator<Item = TokenStream> {
    let others =
        handler.attributes.iter().filter(|attribute| !check::is_handler_attribute(attribute));
    others
        .filter(move |attribute| [function, Target::Both].contains(&Target::of(attribute)))
        .map(expect_to_allow)
}

/// Whether Actix has a route attribute of this name.
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

/// Turns `expect` into `allow`: the lint is raised in one of the two functions, and the other would
/// report an unfulfilled expectation.
fn expect_to_allow(attribute: &Attribute) -> TokenStream {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("expect") => {
            let lints = &list.tokens;
            quote!(#[allow(#lints)])
        }
        _ => quote!(#attribute),
    }
}
