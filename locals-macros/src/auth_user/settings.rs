//! The settings in `#[auth_user(..)]`, of which those above the struct.

use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, ExprPath, Lit, LitStr, Meta};

use super::columns::ColumnList;
use crate::diagnostics::{Diagnostics, unknown_name};

const DEFAULT_TABLE: &str = "users";
const DEFAULT_SESSIONS_TABLE: &str = "user_sessions";

/// PostgreSQL truncates names to 63 bytes. The longest name that is derived from that of the sessions
/// table ends in `_guests_by_expiry`.
const MAX_SESSIONS_TABLE_LEN: usize = 63 - "_guests_by_expiry".len();

/// `#[auth_user(table = "..", sessions = "..", session = .., columns(..))]`.
#[derive(Default)]
pub struct StructSettings {
    table: Option<String>,
    pub sessions_table: Option<String>,
    pub session_data: Option<ExprPath>,
    pub columns: Option<ColumnList>,
}

impl StructSettings {
    pub fn parse(attributes: &[Attribute], diagnostics: &mut Diagnostics) -> Self {
        let mut parsed = Self::default();
        let mut seen = Vec::new();
        for setting in parse_settings(attributes, diagnostics) {
            let name = setting_name(&setting);
            match &*name {
                "table" => parsed.table = parse_table(&setting, diagnostics),
                "sessions" => parsed.sessions_table = parse_sessions_table(&setting, diagnostics),
                "session" => parsed.session_data = parse_session_data(&setting, diagnostics),
                "columns" => parsed.columns = ColumnList::parse(&setting, diagnostics),
                "id" | "credential" => {
                    let message = format!("`{name}` marks a field: write it above that field");
                    diagnostics.error(&setting, message);
                    continue;
                }
                _ => {
                    let known = ["table", "sessions", "session", "columns"];
                    diagnostics.error(&setting, unknown_name("setting", &name, &known));
                    continue;
                }
            }
            if seen.contains(&name) {
                diagnostics.error(&setting, format!("duplicate setting `{name}`: remove this"));
            } else if matches!(&*name, "table" | "sessions")
                && parsed.table() == parsed.sessions_table()
            {
                let message = format!(
                    "users and sessions need two tables, but both are named `{}`: choose another \
                     name with `sessions = \"..\"`",
                    parsed.table()
                );
                diagnostics.error(&setting, message);
            }
            seen.push(name);
        }
        parsed
    }

    pub fn table(&self) -> &str {
        self.table.as_deref().unwrap_or(DEFAULT_TABLE)
    }

    fn sessions_table(&self) -> &str {
        self.sessions_table.as_deref().unwrap_or(DEFAULT_SESSIONS_TABLE)
    }
}

/// Parses `table = ".."`.
fn parse_table(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = string_literal(setting, "table = \"accounts\"", diagnostics)?;
    Some(table_name(&name, diagnostics))
}

/// Parses `sessions = ".."`.
fn parse_sessions_table(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<String> {
    if let Meta::NameValue(pair) = setting
        && let Expr::Path(data) = &pair.value
    {
        let data = data.to_token_stream();
        let message = format!(
            "`sessions` is the name of the sessions table: write \
             `#[auth_user(sessions = \"staff_sessions\")]`; the type of the session data is \
             `session = {data}`"
        );
        diagnostics.error(setting, message);
        return None;
    }
    let name = string_literal(setting, "sessions = \"staff_sessions\"", diagnostics)?;
    let table = table_name(&name, diagnostics);
    if table.rsplit('.').next().is_some_and(|own| own.len() > MAX_SESSIONS_TABLE_LEN) {
        let message = format!(
            "table name too long: use at most {MAX_SESSIONS_TABLE_LEN} characters, because the names \
             of indexes begin with it and PostgreSQL limits them"
        );
        diagnostics.error(&name, message);
    }
    Some(table)
}

/// Returns the name of a table, and reports one that is not valid.
fn table_name(literal: &LitStr, diagnostics: &mut Diagnostics) -> String {
    let name = literal.value();
    if name.split('.').count() > 2 || !name.split('.').all(is_identifier) {
        diagnostics.error(
            literal,
            "not a table name: use letters, digits and `_`, after the schema and `.` if there is \
             one",
        );
    }
    name
}

/// Parses `session = Type`.
fn parse_session_data(setting: &Meta, diagnostics: &mut Diagnostics) -> Option<ExprPath> {
    if let Meta::NameValue(pair) = setting {
        match &pair.value {
            Expr::Path(data) => return Some(data.clone()),
            Expr::Lit(ExprLit { lit: Lit::Str(table), .. }) => {
                let table = table.to_token_stream();
                let message = format!(
                    "`session` is the type of the session data: write \
                     `#[auth_user(session = Cart)]`; the name of the sessions table is \
                     `sessions = {table}`"
                );
                diagnostics.error(setting, message);
                return None;
            }
            _ => {}
        }
    }
    diagnostics.error(setting, "expected a type: write `#[auth_user(session = Cart)]`");
    None
}

/// The settings of all `#[auth_user(..)]` among the attributes.
pub fn parse_settings(attributes: &[Attribute], diagnostics: &mut Diagnostics) -> Vec<Meta> {
    let ours = attributes.iter().filter(|attribute| attribute.path().is_ident("auth_user"));
    let mut settings = Vec::new();
    for attribute in ours {
        if let Some(list) = diagnostics.ok_or_report(attribute.meta.require_list()) {
            settings.extend(diagnostics.parse_list::<Meta>(list.tokens.clone()));
        }
    }
    settings
}

/// The value of `name = "value"`.
pub fn string_literal(
    setting: &Meta,
    example: &str,
    diagnostics: &mut Diagnostics,
) -> Option<LitStr> {
    if let Meta::NameValue(pair) = setting
        && let Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) = &pair.value
    {
        return Some(literal.clone());
    }
    diagnostics
        .error(setting, format!("expected a string literal: write `#[auth_user({example})]`"));
    None
}

pub fn setting_name(setting: &Meta) -> String {
    setting.path().get_ident().map(ToString::to_string).unwrap_or_default()
}

/// Whether SQL takes the name without quotes, apart from its keywords.
pub fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
