//! `#[derive(AuthUser)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Expr, ExprLit, ExprPath, Field, Fields, Ident, Lit, LitStr, Meta,
    Token, Type, punctuated::Punctuated, spanned::Spanned,
};

use crate::{
    columns::{Column, Container, IdColumn, Listed, name_of},
    diagnostics::{Diagnostics, unknown},
    paths,
};

const DEFAULT_TABLE: &str = "users";
const DEFAULT_SESSIONS: &str = "user_sessions";
const DEFAULT_ID: &str = "id";

/// How long the name of the table of sessions may be: PostgreSQL cuts names off after 63 bytes, and the
/// longest that is made of it ends in `_guests_by_expiry`.
const LONGEST_SESSIONS: usize = 63 - "_guests_by_expiry".len();

/// What the implementation is made of.
struct AuthUser<'a> {
    settings: Settings,
    id: Option<IdField<'a>>,
    /// None stands for all that the table has.
    columns: Option<Vec<Column>>,
    credential: Vec<&'a Field>,
}

/// What stands above the struct.
#[derive(Default)]
struct Settings {
    table: Option<String>,
    sessions: Option<String>,
    session_data: Option<ExprPath>,
    columns: Option<Listed>,
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
    let settings = read_struct(&input.attrs, diagnostics);
    let mut user = AuthUser { settings, id: None, columns: None, credential: Vec::new() };
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => user.read_fields(input, &fields.named, diagnostics),
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

/// `#[auth_user(table = "..", sessions = "..", session = .., columns(..))]`.
fn read_struct(attributes: &[Attribute], diagnostics: &mut Diagnostics) -> Settings {
    let mut found = Settings::default();
    let mut seen = Vec::new();
    for setting in settings(attributes, diagnostics) {
        let name = name_of_setting(&setting);
        match &*name {
            "table" => found.table = read_table(&setting, diagnostics),
            "sessions" => found.sessions = read_sessions(&setting, diagnostics),
            "session" => found.session_data = read_session(&setting, diagnostics),
            "columns" => found.columns = Listed::read(&setting, diagnostics),
            "id" | "credential" => {
                let message = format!("`{name}` marks a field: write it above that field");
                diagnostics.error(&setting, message);
                continue;
            }
            _ => {
                let known = ["table", "sessions", "session", "columns"];
                diagnostics.error(&setting, unknown("setting", &name, &known));
                continue;
            }
        }
        if seen.contains(&name) {
            diagnostics.error(&setting, format!("`{name}` stands here twice"));
        } else if matches!(&*name, "table" | "sessions") && found.table() == found.sessions() {
            let table = found.table();
            let message = format!(
                "users and their sessions are in two tables, and both are named `{table}`: name \
                 another with `sessions = \"..\"`"
            );
            diagnostics.error(&setting, message);
        }
        seen.push(name);
    }
    found
}

impl Settings {
    fn table(&self) -> &str {
        self.table.as_deref().unwrap_or(DEFAULT_TABLE)
    }

    fn sessions(&self) -> &str {
        self.sessions.as_deref().unwrap_or(DEFAULT_SESSIONS)
    }
}

fn read_table(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = text(setting, "table = \"accounts\"", diagnostics)?;
    Some(name_of_table(&name, diagnostics))
}

fn read_sessions(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<String> {
    if let Meta::NameValue(pair) = setting
        && let Expr::Path(data) = &pair.value
    {
        let data = data.to_token_stream();
        let message = format!(
            "`sessions` names the table of the sessions: write \
             `#[auth_user(sessions = \"staff_sessions\")]`; the type of what the app keeps with each \
             session is `session = {data}`"
        );
        diagnostics.error(setting, message);
        return None;
    }
    let name = text(setting, "sessions = \"staff_sessions\"", diagnostics)?;
    let table = name_of_table(&name, diagnostics);
    if table.rsplit('.').next().is_some_and(|own| own.len() > LONGEST_SESSIONS) {
        let message = format!(
            "too long: the names of indexes begin with it, for which PostgreSQL leaves \
             {LONGEST_SESSIONS} characters"
        );
        diagnostics.error(&name, message);
    }
    Some(table)
}

fn name_of_table(name: &LitStr, diagnostics: &mut Diagnostics) -> String {
    let parts = name.value();
    if parts.split('.').count() > 2 || !parts.split('.').all(is_identifier) {
        diagnostics.error(
            name,
            "not the name of a table: write letters, digits and `_`, with the schema and `.` \
             before it if there is one",
        );
    }
    parts
}

fn read_session(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<ExprPath> {
    if let Meta::NameValue(pair) = setting {
        match &pair.value {
            Expr::Path(data) => return Some(data.clone()),
            Expr::Lit(ExprLit { lit: Lit::Str(table), .. }) => {
                let table = table.to_token_stream();
                let message = format!(
                    "`session` is the type of what the app keeps with each session: write \
                     `#[auth_user(session = Cart)]`; the table of the sessions is \
                     `sessions = {table}`"
                );
                diagnostics.error(setting, message);
                return None;
            }
            _ => {}
        }
    }
    diagnostics.error(setting, "a type is missing: write `#[auth_user(session = Cart)]`");
    None
}

impl<'a> AuthUser<'a> {
    fn read_fields(
        &mut self,
        input: &'a DeriveInput,
        fields: &'a Punctuated<Field, Token![,]>,
        diagnostics: &mut Diagnostics,
    ) {
        let row = Container::read(&input.attrs);
        let marked = read_marks(fields, &mut self.credential, diagnostics);
        let is_id = |field: &&Field| name_of(field) == DEFAULT_ID;
        let marked = marked.or_else(|| Some((fields.iter().find(is_id)?, None)));
        if marked.is_none() {
            diagnostics.error(
                &input.ident,
                "no field is named `id`: mark the one that holds the id with `#[auth_user(id)]`",
            );
        }
        let id = marked.map(|(field, named)| row.id(field, named, diagnostics));
        self.columns = match self.settings.columns.take() {
            None => row.columns(fields, id.as_ref()),
            Some(listed) => listed.columns(id.as_ref(), diagnostics),
        };
        self.id = id.and_then(|IdColumn { field, column }| {
            Some(IdField { name: field.ident.as_ref()?, ty: &field.ty, column })
        });
        self.credential.sort_by_key(|field| name_of(field));
    }
}

/// The field marked `#[auth_user(id)]`, with the column that it names; and those marked
/// `#[auth_user(credential)]`.
fn read_marks<'a>(
    fields: &'a Punctuated<Field, Token![,]>,
    credential: &mut Vec<&'a Field>,
    diagnostics: &mut Diagnostics,
) -> Option<(&'a Field, Option<String>)> {
    let mut marked = None;
    for field in fields {
        for setting in settings(&field.attrs, diagnostics) {
            if setting.path().is_ident("credential") {
                read_credential(field, &setting, credential, diagnostics);
                continue;
            }
            if !setting.path().is_ident("id") {
                let name = name_of_setting(&setting);
                diagnostics.error(setting, unknown("setting", &name, &["id", "credential"]));
                continue;
            }
            if marked.is_some() {
                diagnostics.error(&setting, "a user has one id: another is marked before");
                continue;
            }
            marked = Some((field, read_column(&setting, diagnostics)));
        }
    }
    marked
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

fn name_of_setting(setting: &Meta) -> String {
    setting.path().get_ident().map(ToString::to_string).unwrap_or_default()
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn expand(input: &DeriveInput, user: AuthUser) -> TokenStream {
    let auth_user = paths::auth_user();
    let (name, table) = (&input.ident, user.settings.table());
    // Without an id the mistake is reported; the trait is there all the same.
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
    let sessions = user.settings.sessions.as_ref();
    let sessions = sessions.map(|table| quote!(const SESSIONS: &'static str = #table;));
    let columns = user.columns.map(|columns| expand_columns(&columns));
    let credential = expand_credential(&user.credential);
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

/// The columns that a row is read from.
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

/// The fields that sessions are bound to; nothing where there are none.
fn expand_credential(fields: &[&Field]) -> Option<TokenStream> {
    if fields.is_empty() {
        return None;
    }
    let digest = paths::credential_digest();
    let names = fields.iter().map(|field| name_of(field));
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
