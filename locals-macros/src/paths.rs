//! The paths of the runtime: generated code gets all of them from here.

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

/// The digest of the fields marked `#[auth_user(credential)]`.
pub fn credential_digest() -> TokenStream {
    quote!(::locals::CredentialDigest)
}

/// A column of a user's row.
pub fn user_column() -> TokenStream {
    quote!(::locals::UserColumn)
}

/// The trait that `#[derive(UserKey)]` implements.
pub fn user_key() -> TokenStream {
    quote!(::locals::UserKey)
}

/// The id of a user of any type.
pub fn user_id() -> TokenStream {
    quote!(::locals::UserId)
}

/// The kinds of ids.
pub fn user_id_kind() -> TokenStream {
    quote!(::locals::UserIdKind)
}

/// The error for an id of another kind.
pub fn wrong_id_kind() -> TokenStream {
    quote!(::locals::WrongIdKind)
}
