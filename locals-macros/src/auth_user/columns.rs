//! The columns of a user's row, as `#[derive(sqlx::FromRow)]` reads them.
//!
//! The derive of `sqlx` decides what `#[sqlx(..)]` means, and reports what is wrong with it. Here what
//! cannot be parsed is ignored.

use heck::{ToKebabCase, ToLowerCamelCase, ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use syn::{
    Attribute, Expr, ExprLit, Field, Lit, Meta, Token, ext::IdentExt, punctuated::Punctuated,
};

use crate::diagnostics::Diagnostics;

/// A column of the user's table.
pub struct Column {
    pub name: String,
    /// Whether reading the row fails without it.
    pub is_required: bool,
}

/// The field that holds the id, and its column.
pub struct IdColumn<'a> {
    pub field: &'a Field,
    pub column: String,
}

/// The `#[sqlx(..)]` attributes above a struct.
#[derive(Default)]
pub struct SqlxAttributes {
    rename_all: Option<String>,
    has_default: bool,
}

/// Where the value of a field comes from.
enum FieldSource {
    Column(Column),
    /// From several columns, which the type of the field determines.
    Flattened,
    /// Not from the row.
    Skipped,
}

impl SqlxAttributes {
    pub fn parse(attributes: &[Attribute]) -> Self {
        let mut parsed = Self::default();
        for setting in sqlx_settings(attributes) {
            if setting.path().is_ident("rename_all") {
                parsed.rename_all = string_value(&setting);
            }
            parsed.has_default |= setting.path().is_ident("default");
        }
        parsed
    }

    /// The column of the id: `column` if it is named, or else the one that the field is read from.
    pub fn id_column<'a>(
        &self,
        field: &'a Field,
        column: Option<String>,
        diagnostics: &mut Diagnostics,
    ) -> IdColumn<'a> {
        let source = match self.source_of(field) {
            FieldSource::Column(column) => column.name,
            FieldSource::Flattened => field_name(field),
            FieldSource::Skipped => {
                diagnostics.error(
                    field,
                    "the id is not read from the row, and would be the same for all users: remove \
                     `skip`",
                );
                field_name(field)
            }
        };
        IdColumn { field, column: column.unwrap_or(source) }
    }

    /// The columns that the fields are read from, or `None` if they are not known.
    pub fn columns<'a>(
        &self,
        fields: impl IntoIterator<Item = &'a Field>,
        id: Option<&IdColumn<'_>>,
    ) -> Option<Vec<Column>> {
        let mut columns = Vec::new();
        for field in fields {
            let mut column = match self.source_of(field) {
                FieldSource::Column(column) => column,
                FieldSource::Skipped => continue,
                FieldSource::Flattened => return None,
            };
            if let Some(id) = id.filter(|id| std::ptr::eq(id.field, field)) {
                // If they differ, a `FromRow` written by hand may read the column that is named for
                // the id, while a derived one reads that of the field. Only the former must exist.
                column.is_required = column.name == id.column;
                if !column.is_required {
                    columns.push(Column { name: id.column.clone(), is_required: true });
                }
            }
            columns.push(column);
        }
        Some(merge_duplicates(columns))
    }

    fn source_of(&self, field: &Field) -> FieldSource {
        let (mut rename, mut has_default) = (None, self.has_default);
        let (mut is_flattened, mut is_skipped) = (false, false);
        for setting in sqlx_settings(&field.attrs) {
            if setting.path().is_ident("rename") {
                rename = string_value(&setting);
            }
            has_default |= setting.path().is_ident("default");
            is_flattened |= setting.path().is_ident("flatten");
            is_skipped |= setting.path().is_ident("skip");
        }
        if is_skipped {
            return FieldSource::Skipped;
        }
        if is_flattened {
            return FieldSource::Flattened;
        }
        let name = rename.unwrap_or_else(|| self.apply_rename_all(&field_name(field)));
        FieldSource::Column(Column { name, is_required: !has_default })
    }

    fn apply_rename_all(&self, name: &str) -> String {
        match self.rename_all.as_deref() {
            Some("lowercase") => name.to_lowercase(),
            Some("snake_case") => name.to_snake_case(),
            Some("UPPERCASE") => name.to_uppercase(),
            Some("SCREAMING_SNAKE_CASE") => name.to_shouty_snake_case(),
            Some("kebab-case") => name.to_kebab_case(),
            Some("camelCase") => name.to_lower_camel_case(),
            Some("PascalCase") => name.to_upper_camel_case(),
            _ => name.to_owned(),
        }
    }
}

/// Lists each column once: two fields may be read from the same one.
fn merge_duplicates(columns: Vec<Column>) -> Vec<Column> {
    let mut merged: Vec<Column> = Vec::new();
    for column in columns {
        match merged.iter_mut().find(|before| before.name == column.name) {
            Some(before) => before.is_required |= column.is_required,
            None => merged.push(column),
        }
    }
    merged
}

/// `#[auth_user(columns(..))]`.
pub enum ColumnList {
    /// `columns(all)`.
    All,
    /// `columns("id", "email")`: the setting, and the names.
    Named(Box<Meta>, Vec<String>),
}

impl ColumnList {
    pub fn parse(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<Self> {
        const EXPECTED: &str = "expected column names: write \
            `#[auth_user(columns(\"id\", \"email\"))]`, or `columns(all)` for all columns of the table";
        let Meta::List(list) = setting else {
            diagnostics.error(setting, EXPECTED);
            return None;
        };
        let items = Vec::from_iter(diagnostics.parse_list::<Expr>(list.tokens.clone()));
        if let [Expr::Path(all)] = items.as_slice()
            && all.path.is_ident("all")
        {
            return Some(Self::All);
        }
        let mut names = Vec::new();
        for item in &items {
            match item {
                Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if names.contains(&name.value()) => {
                    diagnostics
                        .error(item, format!("duplicate column `{}`: remove this", name.value()));
                }
                Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if !name.value().is_empty() => {
                    names.push(name.value());
                }
                _ => diagnostics.error(
                    item,
                    "not a column name: write it as a string literal, or `all` by itself",
                ),
            }
        }
        if items.is_empty() {
            diagnostics.error(setting, EXPECTED);
        }
        (!names.is_empty()).then(|| Self::Named(Box::new(setting.clone()), names))
    }

    /// The columns, or `None` for all columns of the table.
    pub fn columns(
        self,
        id: Option<&IdColumn<'_>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Column>> {
        let Self::Named(setting, names) = self else { return None };
        if let Some(IdColumn { column, .. }) = id
            && !names.contains(column)
        {
            let message = format!("the column of the id is missing: add `\"{column}\"`");
            diagnostics.error(setting, message);
        }
        Some(names.into_iter().map(|name| Column { name, is_required: true }).collect())
    }
}

/// The name of a field, without `r#`.
pub fn field_name(field: &Field) -> String {
    field.ident.as_ref().map(|name| name.unraw().to_string()).unwrap_or_default()
}

/// The settings of all `#[sqlx(..)]` that can be parsed.
fn sqlx_settings(attributes: &[Attribute]) -> Vec<Meta> {
    let attributes = attributes.iter().filter(|attribute| attribute.path().is_ident("sqlx"));
    let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
    attributes.filter_map(|attribute| attribute.parse_args_with(parse).ok()).flatten().collect()
}

/// The value of `name = "value"`.
fn string_value(setting: &Meta) -> Option<String> {
    if let Meta::NameValue(pair) = setting
        && let Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) = &pair.value
    {
        return Some(value.value());
    }
    None
}

#[cfg(test)]
mod tests {
    use syn::{Data, DeriveInput, parse_quote};

    use super::*;

    /// The names of a struct's columns, with a `?` after each optional one.
    fn columns(input: &DeriveInput) -> Option<Vec<String>> {
        let Data::Struct(data) = &input.data else { unreachable!("a struct") };
        let columns = SqlxAttributes::parse(&input.attrs).columns(&data.fields, None)?;
        let named = |Column { name, is_required }: Column| {
            if is_required { name } else { name + "?" }
        };
        Some(columns.into_iter().map(named).collect())
    }

    #[test]
    fn how_a_value_is_decoded_does_not_change_its_column() {
        let found = columns(&parse_quote! {
            struct Account {
                id: i64,
                #[sqlx(json)]
                address: Address,
                #[sqlx(json(nullable))]
                other: Option<Address>,
                #[sqlx(try_from = "i64")]
                r#type: Type,
                #[sqlx(try_from = "Text", rename = "mail")]
                #[sqlx(default)]
                email: Email,
            }
        });
        assert_eq!(found.unwrap_or_default(), ["id", "address", "other", "type", "mail?"]);
    }

    #[test]
    fn what_only_sqlx_understands_is_left_to_sqlx() {
        let found = columns(&parse_quote! {
            #[sqlx(transparent, type_name = "account")]
            #[sqlx(rename_all = "sPoNgE")]
            #[sqlx]
            struct Account {
                #[sqlx(unknown, later(a, b), another = 7)]
                user_id: i64,
                #[sqlx(rename = 7)]
                #[sqlx(rename)]
                first_name: String,
                #[sqlx(= =)]
                last_name: String,
            }
        });
        assert_eq!(found.unwrap_or_default(), ["user_id", "first_name", "last_name"]);
    }

    #[test]
    fn a_flattened_field_may_be_made_of_any_columns_and_a_skipped_one_of_none() {
        let skipped = columns(&parse_quote! {
            struct Account { id: i64, #[sqlx(flatten, skip)] address: Address }
        });
        assert_eq!(skipped.unwrap_or_default(), ["id"]);
        let flattened = columns(&parse_quote! {
            struct Account { id: i64, #[sqlx(flatten, try_from = "Row")] address: Address }
        });
        assert_eq!(flattened, None);
    }
}
