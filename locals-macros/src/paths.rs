//! The one place that names the runtime.

use proc_macro2::TokenStream;
use quote::quote;

/// The hidden module of `locals` that generated code calls.
pub fn private() -> TokenStream {
    quote!(::locals::__private)
}

/// The trait that `#[derive(AuthUser)]` implements.
pub fn auth_user() -> TokenStream {
    quote!(::locals::AuthUser)
}

/// The trait of the data that `#[auth_user(session = ..)]` names.
pub fn session_data() -> TokenStream {
    quote!(::locals::SessionData)
}

/// What takes the fields marked `#[auth_user(credential)]`.
pub fn credential_digest() -> TokenStream {
    quote!(::locals::CredentialDigest)
}
