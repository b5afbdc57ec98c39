//! Reads the definition of the app's table of users, and builds the statements that read users.

use crate::{
    model::{
        error::StoreError,
        user::{AuthUser, UserColumn},
        user_id::{UserId, UserIdKind, UserKey},
    },
    store::sql::user_statements::UserStatements,
    store::sql::{
        catalog::Column,
        dialect::UuidForm,
        driver::{Dialect, Value},
        failure::is_of_another_schema,
        names::{quoted_part, shared_statement},
        store::SqlStore,
    },
};
use sqlx::SqlStr;
use std::{sync::Arc, time::Instant};

const ANY_USER: &str = "SELECT {columns} FROM {users} AS u LIMIT 1";

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Returns the statements for the app's own table. The table's columns are read from the catalog by
    /// `migrate`, by `check`, or else by the first request, and again when they turn out to be outdated.
    pub(super) async fn users(&self) -> Result<Arc<UserStatements>, StoreError> {
        let known = self.shared.users.read().ok().and_then(|users| users.clone());
        let Some(users) = known else { return self.read_users().await };
        if users.is_up_to_date() {
            return Ok(users);
        }
        // One request reads the catalog again; the others use what is known, and so does this one if the
        // catalog cannot be read.
        match self.shared.users_refresh.try_lock() {
            Ok(_reading) => Ok(self.read_users().await.unwrap_or(users)),
            Err(_) => Ok(users),
        }
    }

    /// Reads the catalog again.
    pub(super) async fn read_users(&self) -> Result<Arc<UserStatements>, StoreError> {
        let users = Arc::new(self.describe_users().await?);
        if let Ok(mut known) = self.shared.users.write() {
            *known = Some(Arc::clone(&users));
        }
        Ok(users)
    }

    /// Reads one row with the statement that `statement` selects, and converts it with `read`. If the table
    /// has changed since the catalog was read, reads the catalog again and retries.
    pub(super) async fn fetch_user<R>(
        &self,
        statement: fn(&UserStatements) -> &SqlStr,
        values: &[Value<'_>],
        read: impl Fn(&D::Row, &UserStatements) -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        let mut users = self.users().await?;
        loop {
            let result = match self.fetch(statement(&users), values).await {
                Ok(mut rows) => rows.pop().map(|row| read(&row, &users)).transpose(),
                Err(error) => Err(error),
            };
            match result {
                Err(error) if self.is_outdated(&users, &error) => {
                    let newer = self.read_users().await?;
                    if newer.has_same_statements(&users) {
                        return Err(error);
                    }
                    users = newer;
                }
                result => return result,
            }
        }
    }

    /// Whether an error shows that these statements do not match the table or the user type.
    pub(super) fn is_outdated(&self, users: &UserStatements, error: &StoreError) -> bool {
        let StoreError::Backend(cause) = error else { return false };
        match cause.downcast_ref() {
            // The `FromRow` reads more columns than the type declares: select all.
            Some(sqlx::Error::ColumnNotFound(_)) if users.is_selective => {
                self.shared.read_all_columns();
                true
            }
            Some(error) => is_of_another_schema(error),
            None => false,
        }
    }

    async fn describe_users(&self) -> Result<UserStatements, StoreError> {
        let (table, id) = (T::TABLE, T::ID_COLUMN);
        for (what, table) in [("users", table), ("sessions", T::SESSIONS)] {
            if table.contains('.') && !D::SQL.schemas {
                return Err(StoreError::Schema(format!(
                    "the table of {what} is named `{table}`, but all tables of a {} connection are in one \
                     database: remove the part before the dot",
                    D::NAME
                )));
            }
        }
        let columns = self.columns(table).await?;
        if columns.is_empty() {
            return Err(StoreError::Schema(format!(
                "the table of users `{table}` is missing: create it before `{}`, or name the right \
                 one with `#[auth_user(table = \"..\")]`",
                T::SESSIONS
            )));
        }
        let key = id_column::<D>(table, id, &columns)?;
        if !fits(T::Id::KIND, &key.declared) {
            return Err(wrong_kind(table, id, T::Id::KIND, &key.declared));
        }
        let asked = if self.shared.is_reading_all_columns() { None } else { T::COLUMNS };
        let selection = select(&columns, asked, D::SQL.ignores_case);
        let listed: Vec<_> = selection.columns.iter().map(Selected::sql::<D>).collect();
        let others = [("columns", &*listed.join(", "))];
        let fill = |template| shared_statement(&self.shared.names.fill(template, &others));
        Ok(UserStatements {
            find_with_user: fill(D::SQL.find_with_user),
            find_user: fill(D::SQL.find_user),
            any: fill(ANY_USER),
            columns: listed.len(),
            uuid_form: uuid_form::<D>(&key.declared),
            key: key.declared.clone(),
            is_selective: asked.is_some() && selection.missing.is_empty(),
            missing: selection.missing,
            lacks_optional_since: selection.lacks_optional.then(Instant::now),
        })
    }

    /// Converts the id of a user to a parameter of a statement.
    pub(super) async fn user_value<'a>(&self, id: &'a UserId) -> Result<Value<'a>, StoreError> {
        Ok(match id {
            UserId::Integer(id) => Value::Integer(Some(*id)),
            UserId::TooLarge(_) => return Err(StoreError::UserGone),
            UserId::Text(id) => Value::Text(Some(id)),
            UserId::Uuid(id) => Value::Uuid(*id, self.users().await?.uuid_form),
        })
    }

    /// Returns a `NULL` user id of the right type.
    pub(super) async fn no_user(&self) -> Result<Value<'static>, StoreError> {
        Ok(match T::Id::KIND {
            UserIdKind::Integer => Value::Integer(None),
            UserIdKind::Text => Value::Text(None),
            UserIdKind::Uuid => Value::NoUuid(self.users().await?.uuid_form),
        })
    }
}

/// Finds the id column.
fn id_column<'a, D: Dialect>(
    table: &str,
    id: &str,
    columns: &'a [Column],
) -> Result<&'a Column, StoreError> {
    let exact = columns.iter().find(|column| column.name == id);
    let similar = || columns.iter().find(|column| column.name.eq_ignore_ascii_case(id));
    match (exact, similar()) {
        (Some(column), _) => Ok(column),
        (None, Some(column)) if D::SQL.ignores_case => Ok(column),
        (None, Some(Column { name, .. })) => Err(StoreError::Schema(format!(
            "the table of users `{table}` has no column `{id}`, but `{name}`, which is another name \
             in {}: mark the field of the id with `#[auth_user(id = \"{name}\")]` and \
             `#[sqlx(rename = \"{name}\")]`",
            D::NAME
        ))),
        (None, None) => Err(StoreError::Schema(format!(
            "the table of users `{table}` has no column `{id}`: mark the field of the id with \
             `#[auth_user(id)]`, or name its column with `#[auth_user(id = \"..\")]`"
        ))),
    }
}

fn wrong_kind(table: &str, id: &str, kind: UserIdKind, declared: &str) -> StoreError {
    let kind = match kind {
        UserIdKind::Integer => "an integer",
        UserIdKind::Text => "a `String`",
        UserIdKind::Uuid => "a `Uuid`",
    };
    StoreError::Schema(format!(
        "`{table}.{id}` is {declared}, but the user's id in Rust is {kind}: change one of them"
    ))
}

/// The columns that are selected to read a user.
#[derive(Debug, PartialEq, Eq)]
struct Selection<'a> {
    columns: Vec<Selected<'a>>,
    /// Required columns that the table does not have. If there are any, `columns` contains all columns.
    missing: Vec<&'static str>,
    lacks_optional: bool,
}

/// A column of the table, and its name in the user type.
#[derive(Debug, PartialEq, Eq)]
struct Selected<'a> {
    column: &'a str,
    name: &'a str,
}

impl Selected<'_> {
    fn sql<D: Dialect>(&self) -> String {
        let column = quoted_part(self.column, D::SQL.quote);
        if self.name == self.column {
            return format!("u.{column}");
        }
        format!("u.{column} AS {}", quoted_part(self.name, D::SQL.quote))
    }
}

/// Selects the columns that the type declares, in the order of the table; all columns if it declares
/// none.
///
/// All columns are listed by name, because a prepared statement with `u.*` would become invalid when the
/// app adds a column.
fn select<'a>(
    found: &'a [Column],
    asked: Option<&'static [UserColumn]>,
    ignores_case: bool,
) -> Selection<'a> {
    let all = |missing| Selection {
        columns: found.iter().map(|Column { name, .. }| Selected { column: name, name }).collect(),
        missing,
        lacks_optional: false,
    };
    let Some(asked) = asked else { return all(Vec::new()) };
    let place = |asked: &UserColumn| {
        let exact = found.iter().position(|column| column.name == asked.name);
        let similar =
            || found.iter().position(|column| column.name.eq_ignore_ascii_case(asked.name));
        if ignores_case { exact.or_else(similar) } else { exact }
    };
    let mut places: Vec<_> = asked.iter().map(|asked| (place(asked), asked)).collect();
    let is_missing =
        |(place, asked): &&(Option<usize>, &UserColumn)| place.is_none() && asked.is_required;
    let missing: Vec<_> = places.iter().filter(is_missing).map(|(_, asked)| asked.name).collect();
    if !missing.is_empty() {
        return all(missing);
    }
    places.sort_by_key(|(place, _)| *place);
    let selected = |(place, asked): &(Option<usize>, &'static UserColumn)| {
        place.map(|place| Selected { column: &found[place].name, name: asked.name })
    };
    Selection {
        columns: places.iter().filter_map(selected).collect(),
        missing,
        lacks_optional: places.iter().any(|(place, _)| place.is_none()),
    }
}

fn uuid_form<D: Dialect>(declared: &str) -> UuidForm {
    match family(declared) {
        Some(UserIdKind::Text) => UuidForm::Text,
        Some(UserIdKind::Uuid) => D::SQL.uuid,
        Some(UserIdKind::Integer) | None => UuidForm::Bytes,
    }
}

/// Returns the kind of id that a declared type holds; `None` for bytes and for types that hold any value.
fn family(declared: &str) -> Option<UserIdKind> {
    let declared = declared.to_ascii_lowercase();
    let has = |part| declared.contains(part);
    if has("uuid") {
        Some(UserIdKind::Uuid)
    } else if has("int") || has("serial") {
        Some(UserIdKind::Integer)
    } else if has("char") || has("text") || has("clob") {
        Some(UserIdKind::Text)
    } else {
        None
    }
}

fn fits(kind: UserIdKind, declared: &str) -> bool {
    match (kind, family(declared)) {
        (_, None) | (UserIdKind::Uuid, Some(UserIdKind::Text)) => true,
        (kind, Some(family)) => kind == family,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<Column> {
        names.iter().map(|name| Column::named(name)).collect()
    }

    const ASKED: &[UserColumn] =
        &[UserColumn::required("email"), UserColumn::required("id"), UserColumn::optional("plan")];

    fn names<'a>(selection: &Selection<'a>) -> Vec<&'a str> {
        selection.columns.iter().map(|selected| selected.column).collect()
    }

    #[test]
    fn only_declared_columns_are_selected_in_the_order_of_the_table() {
        let found = columns(&["id", "avatar", "plan", "email"]);
        let selection = select(&found, Some(ASKED), false);
        assert_eq!(names(&selection), ["id", "plan", "email"]);
        assert!(!selection.lacks_optional);
    }

    #[test]
    fn an_optional_column_may_be_missing() {
        let found = columns(&["id", "email"]);
        let selection = select(&found, Some(ASKED), false);
        assert_eq!((names(&selection), selection.lacks_optional), (vec!["id", "email"], true));
    }

    #[test]
    fn all_columns_are_selected_if_one_is_missing_or_none_are_declared() {
        let found = columns(&["id", "mail"]);
        let selection = select(&found, Some(ASKED), false);
        assert_eq!(
            (names(&selection), &selection.missing[..]),
            (vec!["id", "mail"], &["email"][..])
        );
        assert_eq!(names(&select(&found, None, false)), ["id", "mail"]);
    }

    #[test]
    fn column_names_are_case_sensitive_only_if_the_database_says_so() {
        let found = columns(&["ID", "Email"]);
        let selection = select(&found, Some(ASKED), true);
        let email = Selected { column: "Email", name: "email" };
        assert_eq!(selection.columns, [Selected { column: "ID", name: "id" }, email]);
        assert_eq!(select(&found, Some(ASKED), false).missing, ["email", "id"]);
    }
}
