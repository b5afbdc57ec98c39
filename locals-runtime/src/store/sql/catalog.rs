//! Reads the definitions of tables from the catalog of the database.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::{
    model::{error::StoreError, user::AuthUser},
    store::sql::{
        driver::{Dialect, Value},
        names::quoted,
        store::SqlStore,
    },
};

/// A column, as described by the catalog.
#[derive(Debug)]
pub struct Column {
    pub name: String,
    pub declared: String,
    pub nullable: bool,
    pub has_default: bool,
}

#[cfg(test)]
impl Column {
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), declared: String::new(), nullable: false, has_default: false }
    }
}

/// An existing table of sessions or guests; without columns if it does not exist.
#[derive(Debug, Default)]
pub struct Found {
    pub columns: Vec<Column>,
    pub primary_key: Vec<String>,
    pub indexes: Vec<String>,
    /// The foreign keys of `user_id`.
    pub references: Vec<Reference>,
}

/// A foreign key.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    /// The table that it refers to.
    pub table: String,
    /// Whether that is the table of users.
    pub is_to_users: bool,
    /// Whether it deletes rows with the row that they refer to (`ON DELETE CASCADE`).
    pub cascades: bool,
}

impl Found {
    pub fn is_there(&self) -> bool {
        !self.columns.is_empty()
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether sessions are deleted with their users.
    pub fn refers_to_users(&self) -> bool {
        self.references.iter().any(|it| it.is_to_users && it.cascades)
    }

    /// Returns the table that the sessions refer to, if it is not the table of users.
    pub fn other_users(&self) -> Option<&str> {
        self.references.iter().find(|it| !it.is_to_users).map(|it| &*it.table)
    }

    pub fn has_index(&self, name: &str) -> bool {
        self.indexes.iter().any(|index| index == name)
    }
}

/// Reads the catalog on one connection, which may hold a lock.
pub struct CatalogReader<'a, D: Dialect>(pub &'a mut D::Connection);

impl<D: Dialect> CatalogReader<'_, D> {
    /// Runs a query with the names of tables and columns as parameters.
    async fn rows(&mut self, sql: &'static str, names: &[&str]) -> sqlx::Result<Vec<D::Row>> {
        let values: Vec<_> = names.iter().map(|name| Value::Text(Some(name))).collect();
        D::fetch(self.0, sql.into_sql_str(), D::bind(&values)?).await
    }

    /// Returns the columns of a table.
    pub async fn columns(&mut self, table: &str) -> sqlx::Result<Vec<Column>> {
        let rows = self.rows(D::SQL.catalog.columns, &[&named::<D>(table)]).await?;
        rows.iter().map(read_column::<D>).collect()
    }

    /// Returns a table of sessions or guests, given its table of users.
    pub async fn table(&mut self, table: &str, users: &str) -> sqlx::Result<Found> {
        let columns = self.columns(table).await?;
        if columns.is_empty() {
            return Ok(Found::default());
        }
        let catalog = &D::SQL.catalog;
        let references = self.references(table, users).await?;
        let table = &*named::<D>(table);
        Ok(Found {
            columns,
            primary_key: texts::<D>(&self.rows(catalog.primary_key, &[table]).await?)?,
            indexes: texts::<D>(&self.rows(catalog.indexes, &[table]).await?)?,
            references,
        })
    }

    /// Returns the foreign keys of `user_id` of a table.
    async fn references(&mut self, table: &str, users: &str) -> sqlx::Result<Vec<Reference>> {
        if let Some(sql) = D::SQL.catalog.references {
            let names = [&*named::<D>(table), &*named::<D>(users)];
            return self.rows(sql, &names).await?.iter().map(read_reference::<D>).collect();
        }
        let sql = AssertSqlSafe(format!("SHOW CREATE TABLE {}", quoted(table, D::SQL.quote)));
        let rows = D::fetch(self.0, sql.into_sql_str(), D::bind(&[])?).await?;
        let sql = rows.first().map(|row| D::text(row, 1)).transpose()?.flatten();
        Ok(references_in(&sql.unwrap_or_default(), users))
    }

    /// Whether this column has a unique key.
    pub async fn is_unique(&mut self, table: &str, column: &str) -> sqlx::Result<bool> {
        let rows = self.rows(D::SQL.catalog.unique, &[&named::<D>(table), column]).await?;
        Ok(rows.first().map(|row| D::integer(row, 0)).transpose()?.unwrap_or_default() > 0)
    }

    /// Returns the missing privileges on a table, by this query of the catalog.
    pub async fn missing_rights(
        &mut self,
        sql: &'static str,
        table: &str,
    ) -> sqlx::Result<Vec<String>> {
        texts::<D>(&self.rows(sql, &[&named::<D>(table)]).await?)
    }

    /// Returns the triggers on a table: name and SQL.
    pub async fn triggers(&mut self, table: &str) -> sqlx::Result<Vec<(String, String)>> {
        let Some(triggers) = &D::SQL.triggers else { return Ok(Vec::new()) };
        pairs::<D>(&self.rows(triggers.catalog, &[&named::<D>(table)]).await?)
    }

    /// Returns the names and values of the settings that a store needs.
    pub async fn settings(&mut self) -> sqlx::Result<Vec<(String, String)>> {
        let mut settings = Vec::new();
        for sql in D::SQL.settings.queries {
            settings.extend(pairs::<D>(&self.rows(sql, &[]).await?)?);
        }
        Ok(settings)
    }

    /// Returns who holds locks on these tables, as text.
    pub async fn blockers(&mut self, tables: [&str; 3]) -> sqlx::Result<Vec<String>> {
        let Some(sql) = D::SQL.migration.blockers else { return Ok(Vec::new()) };
        let tables = tables.map(named::<D>);
        texts::<D>(&self.rows(sql, &[&tables[0], &tables[1], &tables[2]]).await?)
    }
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Returns the columns of a table.
    pub(super) async fn columns(&self, table: &str) -> Result<Vec<Column>, StoreError> {
        let sql: SqlStr = D::SQL.catalog.columns.into_sql_str();
        let rows = self.fetch(&sql, &[Value::Text(Some(&named::<D>(table)))]).await?;
        Ok(rows.iter().map(read_column::<D>).collect::<Result<_, _>>()?)
    }
}

/// Returns the name of a table as the queries of the catalog take it.
fn named<D: Dialect>(table: &str) -> String {
    (D::SQL.catalog.name)(table)
}

fn read_column<D: Dialect>(row: &D::Row) -> sqlx::Result<Column> {
    Ok(Column {
        name: D::text(row, 0)?.unwrap_or_default(),
        declared: D::text(row, 1)?.unwrap_or_default(),
        nullable: D::integer(row, 2)? != 0,
        has_default: D::integer(row, 3)? != 0,
    })
}

fn read_reference<D: Dialect>(row: &D::Row) -> sqlx::Result<Reference> {
    Ok(Reference {
        name: D::text(row, 0)?.unwrap_or_default(),
        table: D::text(row, 1)?.unwrap_or_default(),
        is_to_users: D::integer(row, 2)? != 0,
        cascades: D::integer(row, 3)? != 0,
    })
}

/// Parses the foreign keys in the output of `SHOW CREATE TABLE`, which has each on its own line.
fn references_in(sql: &str, users: &str) -> Vec<Reference> {
    let reference = |line: &str| {
        let (name, rest) =
            line.trim().strip_prefix("CONSTRAINT `")?.split_once("` FOREIGN KEY ")?;
        let (_, target) = rest.strip_prefix("(`user_id`) REFERENCES ")?.split_once('`')?;
        let (table, rest) = target.split_once('`')?;
        Some(Reference {
            name: name.to_owned(),
            table: table.to_owned(),
            is_to_users: table.eq_ignore_ascii_case(users),
            cascades: rest.contains("ON DELETE CASCADE"),
        })
    };
    sql.lines().filter_map(reference).collect()
}

fn texts<D: Dialect>(rows: &[D::Row]) -> sqlx::Result<Vec<String>> {
    rows.iter().map(|row| D::text(row, 0).map(Option::unwrap_or_default)).collect()
}

fn pairs<D: Dialect>(rows: &[D::Row]) -> sqlx::Result<Vec<(String, String)>> {
    let text = |row, column| D::text(row, column).map(Option::unwrap_or_default);
    rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_keys_are_parsed_from_show_create_table() {
        let sql = "CREATE TABLE `user_sessions` (\n  `user_id` bigint(20) NOT NULL,\n  \
                   CONSTRAINT `one` FOREIGN KEY (`user_id`) REFERENCES `accounts` (`id`) ON DELETE CASCADE,\n  \
                   CONSTRAINT `two` FOREIGN KEY (`user_id`) REFERENCES `accounts` (`id`),\n  \
                   CONSTRAINT `three` FOREIGN KEY (`user_id`) REFERENCES `others` (`id`) ON DELETE CASCADE,\n  \
                   CONSTRAINT `four` FOREIGN KEY (`other`) REFERENCES `accounts` (`id`) ON DELETE CASCADE\n)";
        let found = references_in(sql, "accounts");
        let found: Vec<_> =
            found.iter().map(|it| (&*it.name, it.is_to_users, it.cascades)).collect();
        assert_eq!(found, [("one", true, true), ("two", true, false), ("three", false, true)]);
    }
}
