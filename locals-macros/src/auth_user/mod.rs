//! `#[derive(AuthUser)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Field, Fields, Ident, Meta, Token, Type, punctuated::Punctuated};

use crate::diagnostics::{Diagnostics, unknown_name};

mod columns;
mod expand;
mod settings;

use self::{
    columns::{Column, IdColumn, SqlxAttributes, field_name},
    expand::expand,
    settings::{StructSettings, is_identifier, parse_settings, setting_name, string_literal},
};

const DEFAULT_ID: &str = "id";

/// What the implementation is generated from.
struct AuthUser<'a> {
    settings: StructSettings,
    /// `None` if an error was reported.
    id: Option<IdField<'a>>,
    /// `None` for all columns of the table.
    columns: Option<Vec<Column>>,
    credentials: Vec<&'a Field>,
}

struct IdField<'a> {
    name: &'a Ident,
    ty: &'a Type,
    column: String,
}

/// Expands the derive. The trait is implemented in spite of errors, so that the rest of the app still
/// compiles; only a generic type gets no implementation.
pub fn derive(input: &DeriveInput) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let user = parse(input, &mut diagnostics);
    let implementation = input.generics.params.is_empty().then(|| expand(input, user));
    let errors = diagnostics.into_tokens();
    quote!(#errors #implementation)
}

fn parse<'a>(input: &'a DeriveInput, diagnostics: &mut Diagnostics) -> AuthUser<'a> {
    if !input.generics.params.is_empty() {
        diagnostics.error(
            &input.generics,
            "a user type cannot have generic parameters: it is one row of one table",
        );
    }
    let settings = StructSettings::parse(&input.attrs, diagnostics);
    let mut user = AuthUser { settings, id: None, columns: None, credentials: Vec::new() };
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => user.parse_fields(input, &fields.named, diagnostics),
            Fields::Unnamed(_) | Fields::Unit => diagnostics.error(
                &input.ident,
                "a user is a struct with named fields, one of which is its id: write \
                 `struct Account { id: i64, .. }`",
            ),
        },
        Data::Enum(_) | Data::Union(_) => diagnostics.error(
            &input.ident,
            "only a struct can be a user: write `struct Account { id: i64, .. }`",
        ),
    }
    user
}

impl<'a> AuthUser<'a> {
    fn parse_fields(
        &mut self,
        input: &'a DeriveInput,
        fields: &'a Punctuated<Field, Token![,]>,
        diagnostics: &mut Diagnostics,
    ) {
        let sqlx = SqlxAttributes::parse(&input.attrs);
        let marked = parse_field_settings(fields, &mut self.credentials, diagnostics);
        let has_default_name = |field: &&Field| field_name(field) == DEFAULT_ID;
        let marked = marked.or_else(|| Some((fields.iter().find(has_default_name)?, None)));
        if marked.is_none() {
            diagnostics.error(
                &input.ident,
                "no field is named `id`: mark the one that holds the id with `#[auth_user(id)]`",
            );
        }
        let id = marked.map(|(field, column)| sqlx.id_column(field, column, diagnostics));
        self.columns = match self.settings.columns.take() {
            None => sqlx.columns(fields, id.as_ref()),
            Some(list) => list.columns(id.as_ref(), diagnostics),
        };
        self.id = id.and_then(|IdColumn { field, column }| {
            Some(IdField { name: field.ident.as_ref()?, ty: &field.ty, column })
        });
        self.credentials.sort_by_key(|field| field_name(field));
    }
}

/// Returns the field marked `#[auth_user(id)]` and the column that it names, and adds the fields marked
/// `#[auth_user(credential)]` to `credentials`.
fn parse_field_settings<'a>(
    fields: &'a Punctuated<Field, Token![,]>,
    credentials: &mut Vec<&'a Field>,
    diagnostics: &mut Diagnostics,
) -> Option<(&'a Field, Option<String>)> {
    let mut marked = None;
    for field in fields {
        for setting in parse_settings(&field.attrs, diagnostics) {
            let name = setting_name(&setting);
            match &*name {
                "credential" => parse_credential(field, &setting, credentials, diagnostics),
                "id" if marked.is_some() => {
                    diagnostics.error(
                        &setting,
                        "a user has one id, and another is already marked: remove this",
                    );
                }
                "id" => marked = Some((field, parse_id_column(&setting, diagnostics))),
                _ => {
                    let known = ["id", "credential"];
                    diagnostics.error(&setting, unknown_name("setting", &name, &known));
                }
            }
        }
    }
    marked
}

/// Parses `#[auth_user(credential)]`.
fn parse_credential<'a>(
    field: &'a Field,
    setting: &Meta,
    credentials: &mut Vec<&'a Field>,
    diagnostics: &mut Diagnostics,
) {
    if setting.require_path_only().is_err() {
        diagnostics.error(setting, "`credential` takes no value: write `#[auth_user(credential)]`");
    }
    if credentials.iter().any(|marked| std::ptr::eq(*marked, field)) {
        diagnostics.error(setting, "duplicate setting `credential`: remove this");
        return;
    }
    credentials.push(field);
}

/// Parses `#[auth_user(id)]` and `#[auth_user(id = "column")]`.
fn parse_id_column(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<String> {
    if setting.require_path_only().is_ok() {
        return None;
    }
    let column = string_literal(setting, "id = \"account_id\"", diagnostics)?;
    if !is_identifier(&column.value()) {
        diagnostics.error(&column, "not a column name: use letters, digits and `_`");
    }
    Some(column.value())
}
