//! The columns of a user's row, as the derive of `sqlx::FromRow` looks for them.
//!
//! What `#[sqlx(..)]` means is for that derive to say, and also what is wrong with it: what cannot be
//! read here is left to it.

use heck::{ToKebabCase, ToLowerCamelCase, ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use syn::{
    Attribute, Expr, ExprLit, Field, Lit, Meta, Token, ext::IdentExt, punctuated::Punctuated,
};

use crate::diagnostics::Diagnostics;

/// A column, and whether the row cannot be read without it.
pub struct Column {
    pub name: String,
    pub is_required: bool,
}

/// The field of the id, and the column that has it.
pub struct IdColumn<'a> {
    pub field: &'a Field,
    pub column: String,
}

/// What `#[sqlx(..)]` says above a struct.
#[derive(Default)]
pub struct Container {
    rename_all: Option<String>,
    has_default: bool,
}

/// What a field is made of.
enum Source {
    /// This column.
    Column(Column),
    /// Several, which the type of the field knows.
    Flattened,
    /// Nothing in the row.
    Skipped,
}

impl Container {
    pub fn read(attributes: &[Attribute]) -> Self {
        let mut container = Self::default();
        for setting in settings(attributes) {
            if setting.path().is_ident("rename_all") {
                container.rename_all = text(&setting);
            }
            container.has_default |= setting.path().is_ident("default");
        }
        container
    }

    /// The column of the id: the one that is named, or else the one that the field is read from.
    pub fn id<'a>(
        &self,
        field: &'a Field,
        named: Option<String>,
        diagnostics: &mut Diagnostics,
    ) -> IdColumn<'a> {
        let read = match self.source_of(field) {
            Source::Column(column) => column.name,
            Source::Flattened => name_of(field),
            Source::Skipped => {
                diagnostics.error(
                    field,
                    "the id is not read from the row, and would be the same for all users: take \
                     `skip` away",
                );
                name_of(field)
            }
        };
        IdColumn { field, column: named.unwrap_or(read) }
    }

    /// The columns that the fields are read from; `None` where that cannot be known.
    pub fn columns<'a>(
        &self,
        fields: impl IntoIterator<Item = &'a Field>,
        id: Option<&IdColumn<'_>>,
    ) -> Option<Vec<Column>> {
        let mut columns = Vec::new();
        for field in fields {
            let mut column = match self.source_of(field) {
                Source::Column(column) => column,
                Source::Skipped => continue,
                Source::Flattened => return None,
            };
            if let Some(id) = id.filter(|id| std::ptr::eq(id.field, field)) {
                // Where these differ, a `FromRow` written by hand may read the one that is named, and
                // the derive reads the other: the first is always there.
                column.is_required = column.name == id.column;
                if !column.is_required {
                    columns.push(Column { name: id.column.clone(), is_required: true });
                }
            }
            columns.push(column);
        }
        Some(without_repetition(columns))
    }

    /// What a field of this struct is made of.
    fn source_of(&self, field: &Field) -> Source {
        let (mut rename, mut has_default) = (None, self.has_default);
        let (mut is_flattened, mut is_skipped) = (false, false);
        for setting in settings(&field.attrs) {
            if setting.path().is_ident("rename") {
                rename = text(&setting);
            }
            has_default |= setting.path().is_ident("default");
            is_flattened |= setting.path().is_ident("flatten");
            is_skipped |= setting.path().is_ident("skip");
        }
        if is_skipped {
            return Source::Skipped;
        }
        if is_flattened {
            return Source::Flattened;
        }
        let name = rename.unwrap_or_else(|| self.renamed(&name_of(field)));
        Source::Column(Column { name, is_required: !has_default })
    }

    fn renamed(&self, name: &str) -> String {
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

/// Two fields may be read from one column.
fn without_repetition(columns: Vec<Column>) -> Vec<Column> {
    let mut once: Vec<Column> = Vec::new();
    for column in columns {
        match once.iter_mut().find(|before| before.name == column.name) {
            Some(before) => before.is_required |= column.is_required,
            None => once.push(column),
        }
    }
    once
}

/// `#[auth_user(columns(..))]`.
pub enum Listed {
    /// `columns(all)`.
    All,
    /// `columns("id", "email")`.
    These(Box<Meta>, Vec<String>),
}

impl Listed {
    pub fn read(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<Self> {
        const MISSING: &str = "the columns are missing: write `#[auth_user(columns(\"id\", \"email\"))]`, \
            or `columns(all)` for all that the table has";
        let Meta::List(list) = setting else {
            diagnostics.error(setting, MISSING);
            return None;
        };
        let items = Vec::from_iter(diagnostics.list::<Expr>(list.tokens.clone()));
        if let [Expr::Path(all)] = &items[..]
            && all.path.is_ident("all")
        {
            return Some(Self::All);
        }
        let mut names = Vec::new();
        for item in &items {
            match item {
                Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if names.contains(&name.value()) => {
                    diagnostics.error(item, format!("`{}` stands here twice", name.value()));
                }
                Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) if !name.value().is_empty() => {
                    names.push(name.value());
                }
                _ => diagnostics.error(
                    item,
                    "not the name of a column: write it between quotes, or `all` by itself",
                ),
            }
        }
        if items.is_empty() {
            diagnostics.error(setting, MISSING);
        }
        (!names.is_empty()).then(|| Self::These(Box::new(setting.clone()), names))
    }

    /// The columns; `None` for all that the table has.
    pub fn columns(
        self,
        id: Option<&IdColumn<'_>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Column>> {
        let Self::These(setting, names) = self else { return None };
        if let Some(IdColumn { column, .. }) = id
            && !names.contains(column)
        {
            let message = format!("the column of the id is missing: add `\"{column}\"`");
            diagnostics.error(setting, message);
        }
        Some(names.into_iter().map(|name| Column { name, is_required: true }).collect())
    }
}

/// The name of a field, without the `r#` of a keyword.
pub fn name_of(field: &Field) -> String {
    field.ident.as_ref().map(|name| name.unraw().to_string()).unwrap_or_default()
}

/// What stands in the parentheses of every `#[sqlx(..)]` that can be read.
fn settings(attributes: &[Attribute]) -> Vec<Meta> {
    let theirs = attributes.iter().filter(|attribute| attribute.path().is_ident("sqlx"));
    let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
    theirs.filter_map(|attribute| attribute.parse_args_with(parse).ok()).flatten().collect()
}

/// The text of `name = "text"`.
fn text(setting: &Meta) -> Option<String> {
    if let Meta::NameValue(pair) = setting
        && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
    {
        return Some(text.value());
    }
    None
}

#[cfg(test)]
mod tests {
    use syn::{Data, DeriveInput, parse_quote};

    use super::*;

    /// The columns of a struct, those that may be missing with a `?` behind.
    fn columns(input: &DeriveInput) -> Option<Vec<String>> {
        let Data::Struct(data) = &input.data else { unreachable!("a struct") };
        let columns = Container::read(&input.attrs).columns(&data.fields, None)?;
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
