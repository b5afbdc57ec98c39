//! What the catalogue says of tables.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::{
    model::{error::StoreError, user::AuthUser},
    store::sql::{
        driver::{Dialect, Value},
        names::quoted,
        store::SqlStore,
    },
};

/// A column as the catalogue describes it.
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

/// A table of ours as it was found; without columns, if it is not there.
#[derive(Debug, Default)]
pub struct Found {
    pub columns: Vec<Column>,
    pub primary_key: Vec<String>,
    pub indexes: Vec<String>,
    /// The foreign keys that lead from `user_id`.
    pub references: Vec<Reference>,
}

/// A foreign key.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    /// The table that it leads to.
    pub table: String,
    /// Whether that is the table of users.
    pub is_to_users: bool,
    /// Whether rows go with the one that they refer to.
    pub cascades: bool,
}

impl Found {
    pub fn is_there(&self) -> bool {
        !self.columns.is_empty()
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether sessions go with their users.
    pub fn refers_to_users(&self) -> bool {
        self.references.iter().any(|it| it.is_to_users && it.cascades)
    }

    /// The other table whose sessions these are.
    pub fn others(&self) -> Option<&str> {
        self.references.iter().find(|it| !it.is_to_users).map(|it| &*it.table)
    }

    pub fn has_index(&self, name: &str) -> bool {
        self.indexes.iter().any(|index| index == name)
    }
}

/// The catalogue as one connection sees it, such as behind a lock.
pub struct CatalogueReader<'a, D: Dialect>(pub &'a mut D::Connection);

impl<D: Dialect> CatalogueReader<'_, D> {
    /// Asks about tables, or about a table and a column.
    async fn rows(&mut self, sql: &'static str, names: &[&str]) -> sqlx::Result<Vec<D::Row>> {
        let values: Vec<_> = names.iter().map(|name| Value::Text(Some(name))).collect();
        D::fetch(self.0, sql.into_sql_str(), D::bind(&values)?).await
    }

    /// The columns of a table.
    pub async fn columns(&mut self, table: &str) -> sqlx::Result<Vec<Column>> {
        let rows = self.rows(D::SQL.catalogue.columns, &[&named::<D>(table)]).await?;
        rows.iter().map(read_column::<D>).collect()
    }

    /// One of our tables, whose users are in that table.
    pub async fn table(&mut self, table: &str, users: &str) -> sqlx::Result<Found> {
        let columns = self.columns(table).await?;
        if columns.is_empty() {
            return Ok(Found::default());
        }
        let catalogue = &D::SQL.catalogue;
        let references = self.references(table, users).await?;
        let table = &*named::<D>(table);
        Ok(Found {
            columns,
            primary_key: texts::<D>(&self.rows(catalogue.primary_key, &[table]).await?)?,
            indexes: texts::<D>(&self.rows(catalogue.indexes, &[table]).await?)?,
            references,
        })
    }

    /// The foreign keys from `user_id` of a table.
    async fn references(&mut self, table: &str, users: &str) -> sqlx::Result<Vec<Reference>> {
        if let Some(sql) = D::SQL.catalogue.references {
            let names = [&*named::<D>(table), &*named::<D>(users)];
            return self.rows(sql, &names).await?.iter().map(read_reference::<D>).collect();
        }
        let sql = AssertSqlSafe(format!("SHOW CREATE TABLE {}", quoted(table, D::SQL.quote)));
        let rows = D::fetch(self.0, sql.into_sql_str(), D::bind(&[])?).await?;
        let sql = rows.first().map(|row| D::text(row, 1)).transpose()?.flatten();
        Ok(references_in(&sql.unwrap_or_default(), users))
    }

    /// Whether no two rows of a table have the same value in this column, as a key says.
    pub async fn is_unique(&mut self, table: &str, column: &str) -> sqlx::Result<bool> {
        let rows = self.rows(D::SQL.catalogue.unique, &[&named::<D>(table), column]).await?;
        Ok(rows.first().map(|row| D::integer(row, 0)).transpose()?.unwrap_or_default() > 0)
    }

    /// Which rights on a table are missing, as this question to the catalogue tells.
    pub async fn missing_rights(
        &mut self,
        sql: &'static str,
        table: &str,
    ) -> sqlx::Result<Vec<String>> {
        texts::<D>(&self.rows(sql, &[&named::<D>(table)]).await?)
    }

    /// The triggers on a table: name and SQL.
    pub async fn triggers(&mut self, table: &str) -> sqlx::Result<Vec<(String, String)>> {
        let Some(triggers) = &D::SQL.triggers else { return Ok(Vec::new()) };
        pairs::<D>(&self.rows(triggers.catalogue, &[&named::<D>(table)]).await?)
    }

    /// The settings that a store relies on.
    pub async fn settings(&mut self) -> sqlx::Result<Vec<(String, String)>> {
        let mut settings = Vec::new();
        for sql in D::SQL.settings.queries {
            settings.extend(pairs::<D>(&self.rows(sql, &[]).await?)?);
        }
        Ok(settings)
    }

    /// Who has locks on these tables, as sentences.
    pub async fn blockers(&mut self, tables: [&str; 3]) -> sqlx::Result<Vec<String>> {
        let Some(sql) = D::SQL.migration.blockers else { return Ok(Vec::new()) };
        let tables = tables.map(named::<D>);
        texts::<D>(&self.rows(sql, &[&tables[0], &tables[1], &tables[2]]).await?)
    }
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// The columns of a table.
    pub(super) async fn columns(&self, table: &str) -> Result<Vec<Column>, StoreError> {
        let sql: SqlStr = D::SQL.catalogue.columns.into_sql_str();
        let rows = self.fetch(&sql, &[Value::Text(Some(&named::<D>(table)))]).await?;
        Ok(rows.iter().map(read_column::<D>).collect::<Result<_, _>>()?)
    }
}

/// A table's name as the catalogue's statements want it.
fn named<D: Dialect>(table: &str) -> String {
    (D::SQL.catalogue.name)(table)
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

/// The foreign keys in what `SHOW CREATE TABLE` gives, which has each in a line of its own.
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
    fn foreign_keys_are_read_line_by_line() {
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
