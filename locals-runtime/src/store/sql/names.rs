//! The names of the tables, indexes and triggers of one app.

use std::{borrow::Cow, sync::Arc};

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::model::user::AuthUser;

/// The names of one app, quoted for use in statements.
#[derive(Debug)]
pub struct Names {
    users: String,
    user_id: String,
    sessions: String,
    guests: String,
    /// The prefixes of the names of indexes and triggers.
    sessions_base: String,
    guests_base: String,
    quote: char,
}

/// Returns the name of the table of guests for a table of sessions.
pub fn guests_of(sessions: &str) -> Cow<'_, str> {
    if sessions == DEFAULT_SESSIONS {
        Cow::Borrowed("guest_sessions")
    } else {
        Cow::Owned(format!("{sessions}_guests"))
    }
}

const DEFAULT_SESSIONS: &str = "user_sessions";

impl Names {
    pub fn of<T: AuthUser>(quote: char) -> Self {
        let guests = guests_of(T::SESSIONS);
        Self {
            users: quoted(T::TABLE, quote),
            user_id: quoted_part(T::ID_COLUMN, quote),
            sessions: quoted(T::SESSIONS, quote),
            sessions_base: base(T::SESSIONS).to_owned(),
            guests_base: base(&guests).to_owned(),
            guests: quoted(&guests, quote),
            quote,
        }
    }

    /// Returns the unquoted name of an index or a trigger, given its placeholder, such as
    /// `sessions_by_user`.
    pub fn derived(&self, name: &str) -> String {
        let bases = [("sessions_", &self.sessions_base), ("guests_", &self.guests_base)];
        let derived = bases.iter().find_map(|(prefix, base)| {
            name.strip_prefix(prefix).map(|suffix| format!("{base}_{suffix}"))
        });
        derived.unwrap_or_default()
    }

    /// Fills these names, and the other given values, into a template.
    ///
    /// Values are inserted literally: placeholders inside of them are not replaced.
    pub fn fill(&self, template: &str, others: &[(&str, &str)]) -> String {
        let mut filled = String::with_capacity(template.len() + 64);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(&self.value(name, others));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }

    fn value<'a>(&'a self, placeholder: &str, others: &[(&str, &'a str)]) -> Cow<'a, str> {
        Cow::Borrowed(match placeholder {
            "users" => &self.users,
            "user_id" => &self.user_id,
            "sessions" => &self.sessions,
            "guests" => &self.guests,
            other => match others.iter().find(|(name, _)| *name == other) {
                Some((_, value)) => value,
                None => return Cow::Owned(quoted_part(&self.derived(other), self.quote)),
            },
        })
    }
}

/// A statement that is run again and again: each use shares its text.
pub fn shared_statement(sql: &str) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

/// Quotes a name. The parts before and after a dot are quoted separately.
pub fn quoted(name: &str, quote: char) -> String {
    let parts = name.split('.').map(|part| quoted_part(part, quote));
    parts.collect::<Vec<_>>().join(".")
}

/// Quotes one part of a name. Plain names with `_sessions`, like the library's own, are not keywords of
/// any dialect and are left unquoted, for readability.
pub fn quoted_part(part: &str, quote: char) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if part.contains("_sessions") && part.bytes().all(is_plain) {
        return part.to_owned();
    }
    let quote = quote.to_string();
    format!("{quote}{}{quote}", part.replace(&quote, &quote.repeat(2)))
}

/// Returns the name of a table without its schema.
fn base(table: &str) -> &str {
    table.rsplit_once('.').map_or(table, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Staff;

    impl AuthUser for Staff {
        type Id = i64;

        const ID_COLUMN: &'static str = "{users}";
        const SESSIONS: &'static str = "staff_sessions";
        const TABLE: &'static str = "st\"aff";

        fn id(&self) -> &i64 {
            &7
        }
    }

    #[test]
    fn names_are_quoted_and_never_treated_as_placeholders() {
        let names = Names::of::<Staff>('"');
        let filled =
            names.fill("{columns} FROM {users} WHERE {user_id} = ?", &[("columns", "{x}")]);
        assert_eq!(filled, r#"{x} FROM "st""aff" WHERE "{users}" = ?"#);
    }

    #[test]
    fn the_names_of_indexes_and_guests_derive_from_the_table_of_sessions() {
        let names = Names::of::<Staff>('"');
        let filled =
            names.fill("{sessions_by_user} ON {sessions}, {guests_by_expiry} ON {guests}", &[]);
        assert_eq!(
            filled,
            "staff_sessions_by_user ON staff_sessions, \
             staff_sessions_guests_by_expiry ON staff_sessions_guests"
        );
    }
}
