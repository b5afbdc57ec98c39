//! Generates the implementation of `AuthUser`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Field, spanned::Spanned};

use super::{AuthUser, Column, DEFAULT_ID, IdField, field_name};
use crate::paths;

pub fn expand(input: &DeriveInput, user: AuthUser) -> TokenStream {
    let auth_user = paths::auth_user();
    let (name, table) = (&input.ident, user.settings.table());
    // The error of a missing id has been reported.
    let (ty, column, id) = match user.id {
        Some(IdField { name, ty, column }) => (quote!(#ty), column, quote!(&self.#name)),
        None => (quote!(i64), DEFAULT_ID.to_owned(), quote!(::core::unreachable!())),
    };
    let session_data = user.settings.session_data.as_ref().map(|data| {
        let session_data = paths::session_data();
        quote_spanned! {data.span()=>
            #[automatically_derived]
            impl #session_data for #data {
                type User = #name;
            }
        }
    });
    let sessions = user.settings.sessions_table.as_ref();
    let sessions = sessions.map(|table| quote!(const SESSIONS: &'static str = #table;));
    let columns = user.columns.map(|columns| expand_columns(&columns));
    let credential = expand_credential(&user.credentials);
    let private = paths::private();
    quote! {
        #session_data

        #[automatically_derived]
        impl #auth_user for #name {
            type Id = #ty;
            const TABLE: &'static str = #table;
            const ID_COLUMN: &'static str = #column;
            #sessions
            #columns

            fn id(&self) -> &Self::Id {
                #id
            }

            #credential

            fn row_reader(
                database: ::core::any::TypeId,
            ) -> ::core::option::Option<::std::boxed::Box<dyn ::core::any::Any>> {
                #private::read_row!(Self, database)
            }
        }
    }
}

/// The constant `COLUMNS`.
fn expand_columns(columns: &[Column]) -> TokenStream {
    let user_column = paths::user_column();
    let columns = columns.iter().map(|Column { name, is_required }| {
        if *is_required {
            quote!(#user_column::required(#name))
        } else {
            quote!(#user_column::optional(#name))
        }
    });
    quote! {
        const COLUMNS: ::core::option::Option<&'static [#user_column]> =
            ::core::option::Option::Some(&[#(#columns),*]);
    }
}

/// The constant `CREDENTIAL` and the method `credential`, if a field is marked.
fn expand_credential(fields: &[&Field]) -> Option<TokenStream> {
    if fields.is_empty() {
        return None;
    }
    let digest = paths::credential_digest();
    let names = fields.iter().map(|field| field_name(field));
    // With the span of the field's type, where the compiler reports a type that cannot be digested.
    let calls = fields.iter().map(|field| {
        let name = &field.ident;
        quote_spanned!(field.ty.span()=> digest.field(&self.#name);)
    });
    Some(quote! {
        const CREDENTIAL: &'static [&'static str] = &[#(#names),*];

        fn credential(&self, digest: &mut #digest) {
            #(#calls)*
        }
    })
}
