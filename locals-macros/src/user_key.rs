//! `#[derive(UserKey)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Data, DataStruct, DeriveInput, Error, Field, Fields, Index, Member, spanned::Spanned};

use crate::paths;

pub fn derive(input: &DeriveInput) -> TokenStream {
    match single_field(input) {
        Ok((member, field)) => expand(input, &member, field),
        Err(error) => error.into_compile_error(),
    }
}

/// The field that holds the id.
fn single_field(input: &DeriveInput) -> Result<(Member, &Field), Error> {
    if !input.generics.params.is_empty() {
        let message = "an id type cannot have generic parameters: it is the id of one table";
        return Err(Error::new_spanned(&input.generics, message));
    }
    let fields = match &input.data {
        Data::Struct(DataStruct { fields: Fields::Named(fields), .. }) => Some(&fields.named),
        Data::Struct(DataStruct { fields: Fields::Unnamed(fields), .. }) => Some(&fields.unnamed),
        Data::Struct(_) | Data::Enum(_) | Data::Union(_) => None,
    };
    let mut fields = fields.into_iter().flatten();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        let name = &input.ident;
        let message = format!(
            "an id type is a struct with one field, which holds the id: write `struct {name}(i64);`"
        );
        return Err(Error::new_spanned(name, message));
    };
    let member = field.ident.clone().map_or(Member::Unnamed(Index::from(0)), Member::Named);
    Ok((member, field))
}

fn expand(input: &DeriveInput, member: &Member, field: &Field) -> TokenStream {
    let (name, ty) = (&input.ident, &field.ty);
    let (user_key, user_id) = (paths::user_key(), paths::user_id());
    let (kind, wrong) = (paths::user_id_kind(), paths::wrong_id_kind());
    // With the span of the field's type, where the compiler reports a type that cannot be an id.
    let inner = quote_spanned!(ty.span()=> <#ty as #user_key>);
    quote! {
        #[automatically_derived]
        impl #user_key for #name {
            const KIND: #kind = #inner::KIND;

            fn to_user_id(&self) -> #user_id {
                #inner::to_user_id(&self.#member)
            }

            fn from_user_id(id: #user_id) -> ::core::result::Result<Self, #wrong> {
                #inner::from_user_id(id).map(|id| Self { #member: id })
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#name> for #user_id {
            fn from(id: #name) -> Self {
                #inner::to_user_id(&id.#member)
            }
        }

        #[automatically_derived]
        impl ::core::convert::TryFrom<#user_id> for #name {
            type Error = #wrong;

            fn try_from(id: #user_id) -> ::core::result::Result<Self, #wrong> {
                #inner::from_user_id(id).map(|id| Self { #member: id })
            }
        }
    }
}
