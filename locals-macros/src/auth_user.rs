//! `#[derive(AuthUser)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Expr, ExprLit, ExprPath, Field, Fields, Ident, Lit, LitStr, Meta,
    Token, Type, ext::IdentExt, punctuated::Punctuated, spanned::Spanned,
};

use crate::{
    diagnostics::{Diagnostics, unknown},
    paths,
};

const DEFAULT_TABLE: &str = "users";
const DEFAULT_ID: &str = "id";

/// What the implementation is made of.
struct AuthUser<'a> {
    table: String,
    session_data: Option<ExprPath>,
    id: Option<IdField<'a>>,
    credential: Vec<&'a Field>,
}

struct IdField<'a> {
    name: &'a Ident,
    ty: &'a Type,
    column: String,
}

pub fn derive(input: &DeriveInput) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let user = read(input, &mut diagnostics);
    let implementation =
        if input.generics.params.is_empty() { expand(input, user) } else { TokenStream::new() };
    let errors = diagnostics.into_tokens();
    quote!(#errors #implementation)
}

fn read<'a>(input: &'a DeriveInput, diagnostics: &mut Diagnostics) -> AuthUser<'a> {
    if !input.generics.params.is_empty() {
        diagnostics.error(
            &input.generics,
            "a user type has no generic parameters: it is one row of one table",
        );
    }
    let (table, session_data) = read_struct(&input.attrs, diagnostics);
    let mut credential = Vec::new();
    let id = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => {
                read_fields(&input.ident, &fields.named, &mut credential, diagnostics)
            }
            Fields::Unnamed(_) | Fields::Unit => {
                diagnostics.error(
                    &input.ident,
                    "a user is a struct with named fields, one of which is its id: write \
                     `struct Account { id: i64, .. }`",
                );
                None
            }
        },
        Data::Enum(_) | Data::Union(_) => {
            diagnostics.error(
                &input.ident,
                "only a struct can be a user: write `struct Account { id: i64, .. }`",
            );
            None
        }
    };
    credential.sort_by_key(|field| name_of_field(field));
    AuthUser { table, session_data, id, credential }
}

/// `#[auth_user(table = "..", session = ..)]`.
fn read_struct(
    attributes: &[Attribute],
    diagnostics: &mut Diagnostics,
) -> (String, Option<ExprPath>) {
    let (mut table, mut session) = (None, None);
    for setting in settings(attributes, diagnostics) {
        let name = name_of(&setting);
        let is_repeated = match &*name {
            "table" => table.replace(read_table(&setting, diagnostics)).is_some(),
            "session" => session.replace(read_session(&setting, diagnostics)).is_some(),
            "id" | "credential" => {
                let message = format!("`{name}` marks a field: write it above that field");
                diagnostics.error(&setting, message);
                false
            }
            _ => {
                let message = unknown("setting", &name, &["table", "session"]);
                diagnostics.error(&setting, message);
                false
            }
        };
        if is_repeated {
            diagnostics.error(&setting, format!("`{name}` stands here twice"));
        }
    }
    (table.flatten().unwrap_or_else(|| DEFAULT_TABLE.to_owned()), session.flatten())
}

fn read_table(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = text(setting, "table = \"accounts\"", diagnostics)?;
    if name.value().split('.').count() > 2 || !name.value().split('.').all(is_identifier) {
        diagnostics.error(
            &name,
            "not the name of a table: write letters, digits and `_`, with the schema and `.` \
             before it if there is one",
        );
    }
    Some(name.value())
}

fn read_session(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<ExprPath> {
    if let Meta::NameValue(pair) = setting
        && let Expr::Path(data) = &pair.value
    {
        return Some(data.clone());
    }
    diagnostics.error(setting, "a type is missing: write `#[auth_user(session = Cart)]`");
    None
}

/// The field marked `#[auth_user(id)]`, or else the one named `id`; and those marked
/// `#[auth_user(credential)]`.
fn read_fields<'a>(
    user: &Ident,
    fields: &'a Punctuated<Field, Token![,]>,
    credential: &mut Vec<&'a Field>,
    diagnostics: &mut Diagnostics,
) -> Option<IdField<'a>> {
    let mut marked = None;
    for field in fields {
        for setting in settings(&field.attrs, diagnostics) {
            if setting.path().is_ident("credential") {
                read_credential(field, &setting, credential, diagnostics);
                continue;
            }
            if !setting.path().is_ident("id") {
                let message = unknown("setting", &name_of(&setting), &["id", "credential"]);
                diagnostics.error(setting, message);
                continue;
            }
            if marked.is_some() {
                diagnostics.error(&setting, "a user has one id: another is marked before");
                continue;
            }
            marked = id_field(field).map(|id| match read_column(&setting, diagnostics) {
                Some(column) => IdField { column, ..id },
                None => id,
            });
        }
    }
    let named = || fields.iter().filter_map(id_field).find(|id| *id.name == DEFAULT_ID);
    let id = marked.or_else(named);
    if id.is_none() {
        diagnostics.error(
            user,
            "no field is named `id`: mark the one that holds the id with `#[auth_user(id)]`",
        );
    }
    id
}

/// `#[auth_user(credential)]`.
fn read_credential<'a>(
    field: &'a Field,
    setting: &Meta,
    credential: &mut Vec<&'a Field>,
    diagnostics: &mut Diagnostics,
) {
    if setting.require_path_only().is_err() {
        diagnostics.error(setting, "`credential` takes no value: write `#[auth_user(credential)]`");
    }
    if credential.iter().any(|marked| std::ptr::eq(*marked, field)) {
        diagnostics.error(setting, "`credential` stands here twice");
        return;
    }
    credential.push(field);
}

fn name_of_field(field: &Field) -> String {
    field.ident.as_ref().map(|name| name.unraw().to_string()).unwrap_or_default()
}

fn id_field(field: &Field) -> Option<IdField<'_>> {
    let name = field.ident.as_ref()?;
    Some(IdField { name, ty: &field.ty, column: name.unraw().to_string() })
}

/// `#[auth_user(id = "column")]`, where the column is not named as the field.
fn read_column(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<String> {
    if setting.require_path_only().is_ok() {
        return None;
    }
    let column = text(setting, "id = \"account_id\"", diagnostics)?;
    if !is_identifier(&column.value()) {
        diagnostics.error(&column, "not the name of a column: write letters, digits and `_`");
    }
    Some(column.value())
}

/// What stands in the parentheses of every `#[auth_user(..)]`.
fn settings(attributes: &[Attribute], diagnostics: &mut Diagnostics) -> Vec<Meta> {
    let ours = attributes.iter().filter(|attribute| attribute.path().is_ident("auth_user"));
    let mut settings = Vec::new();
    for attribute in ours {
        if let Some(list) = diagnostics.ok(attribute.meta.require_list()) {
            settings.extend(diagnostics.list::<Meta>(list.tokens.clone()));
        }
    }
    settings
}

/// The text of `name = "text"`.
fn text(setting: &Meta, example: &str, diagnostics: &mut Diagnostics) -> Option<LitStr> {
    if let Meta::NameValue(pair) = setting
        && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
    {
        return Some(text.clone());
    }
    diagnostics.error(setting, format!("a text is missing: write `#[auth_user({example})]`"));
    None
}

fn name_of(setting: &Meta) -> String {
    setting.path().get_ident().map(ToString::to_string).unwrap_or_default()
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn expand(input: &DeriveInput, user: AuthUser) -> TokenStream {
    let auth_user = paths::auth_user();
    let (name, table) = (&input.ident, user.table);
    // Without an id the mistake is reported; the trait is there all the same.
    let (ty, column, id) = match user.id {
        Some(IdField { name, ty, column }) => (quote!(#ty), column, quote!(&self.#name)),
        None => (quote!(i64), DEFAULT_ID.to_owned(), quote!(::core::unreachable!())),
    };
    let session_data = user.session_data.map(|data| {
        let session_data = paths::session_data();
        quote_spanned! {data.span()=>
            #[automatically_derived]
            impl #session_data for #data {
                type User = #name;
            }
        }
    });
    let credential = expand_credential(&user.credential);
    quote! {
        #session_data

        #[automatically_derived]
        impl #auth_user for #name {
            type Id = #ty;
            const TABLE: &'static str = #table;
            const ID_COLUMN: &'static str = #column;

            fn id(&self) -> &Self::Id {
                #id
            }

            #credential
        }
    }
}

/// The fields that sessions are bound to; nothing where there are none.
fn expand_credential(fields: &[&Field]) -> Option<TokenStream> {
    if fields.is_empty() {
        return None;
    }
    let digest = paths::credential_digest();
    let names = fields.iter().map(|field| name_of_field(field));
    // At the type of the field, where the compiler says what types it may have.
    let added = fields.iter().map(|field| {
        let name = &field.ident;
        quote_spanned!(field.ty.span()=> digest.field(&self.#name);)
    });
    Some(quote! {
        const CREDENTIAL: &'static [&'static str] = &[#(#names),*];

        fn credential(&self, digest: &mut #digest) {
            #(#added)*
        }
    })
}
