//! The tables of sessions and guests: how they are made, brought up to date, printed and checked.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{
    Dialect, SqlStore, Value,
    dialect::{Triggers, Types, UuidForm},
};
use crate::{
    error::StoreError,
    user::{AuthUser, UserId, UserIdKind, UserKey},
};

/// A table of ours, as this version expects it.
struct Table {
    name: &'static str,
    /// The columns in order, and whether they may be null.
    columns: &'static [(&'static str, Type, bool)],
    indexes: &'static [&'static str],
    /// What `migrate` does to a table that an older version has made: for each column that is
    /// missing there, what stands behind its type, and how it is filled.
    upgrades: &'static [(&'static str, &'static str, Option<&'static str>)],
}

const SESSIONS: Table = Table {
    name: "user_sessions",
    columns: &[
        ("id", Type::Id, false),
        ("secret_hash", Type::Hash, false),
        ("user_id", Type::Key, false),
        ("created_at", Type::Integer, false),
        ("authenticated_at", Type::Integer, false),
        ("active_expires_at", Type::Integer, false),
        ("idle_expires_at", Type::Integer, false),
        ("absolute_expires_at", Type::Integer, false),
        ("user_agent", Type::Text, true),
        ("address", Type::Text, true),
        ("renewed_at", Type::Integer, false),
        ("active_period", Type::Integer, true),
        ("idle_period", Type::Integer, true),
        ("is_persistent", Type::Integer, false),
        ("actor_session", Type::Id, true),
        ("data_revision", Type::Integer, false),
        ("rotation", Type::Rotation, true),
        ("credential", Type::Hash, true),
        ("data", Type::Data, true),
    ],
    indexes: &["user_sessions_by_user", "user_sessions_by_expiry"],
    upgrades: &[
        (
            "authenticated_at",
            "NOT NULL DEFAULT 0",
            Some("UPDATE user_sessions SET authenticated_at = created_at"),
        ),
        ("user_agent", "", None),
        ("address", "", None),
        (
            "renewed_at",
            "NOT NULL DEFAULT 0",
            Some("UPDATE user_sessions SET renewed_at = created_at"),
        ),
        ("active_period", "", None),
        ("idle_period", "", None),
        ("is_persistent", "NOT NULL DEFAULT 1", None),
        ("actor_session", "", None),
        ("data_revision", "NOT NULL DEFAULT 0", None),
        ("rotation", "", None),
        ("credential", "", None),
        ("data", "", None),
    ],
};

const GUESTS: Table = Table {
    name: "guest_sessions",
    columns: &[
        ("id", Type::Id, false),
        ("secret_hash", Type::Hash, false),
        ("data_revision", Type::Integer, false),
        ("expires_at", Type::Integer, false),
        ("data", Type::Data, false),
    ],
    indexes: &["guest_sessions_by_expiry"],
    upgrades: &[],
};

const TABLES: [Table; 2] = [SESSIONS, GUESTS];

/// What a column holds; each dialect has its own name for it.
#[derive(Clone, Copy)]
enum Type {
    Id,
    Hash,
    Rotation,
    Integer,
    Text,
    Data,
    /// As the id column of the app's own table is declared.
    Key,
}

impl Types {
    fn name<'a>(&self, ty: Type, key: &'a str) -> &'a str {
        match ty {
            Type::Id => self.id,
            Type::Hash => self.hash,
            Type::Rotation => self.rotation,
            Type::Integer => self.integer,
            Type::Text => self.text,
            Type::Data => self.data,
            Type::Key => key,
        }
    }
}

/// What statements need to know of the app's own table.
#[derive(Debug)]
pub struct Users {
    /// Names all columns of the table as it was when it was read.
    pub find_with_user: SqlStr,
    pub find_user: SqlStr,
    /// How many they are.
    pub columns: usize,
    pub uuid_form: UuidForm,
}

/// A column as the catalogue describes it.
struct Column {
    name: String,
    declared: String,
    nullable: bool,
}

impl<D: Dialect, T: AuthUser> SqlStore<D, T> {
    /// Makes the tables `user_sessions` and `guest_sessions` and their indexes where they are not
    /// there yet, and adds to those that an older version has made what they lack. No row is lost,
    /// and any number of processes may start it at once.
    ///
    /// The app's own table of users must exist: the foreign key points to it. On SQLite that table is
    /// given three triggers, which end sessions also where a connection does not enforce foreign keys.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the table of users is missing, or a table of one of these names
    /// is there that is not ours; [`StoreError::Backend`] if the database fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let key = self.users_key().await?.declared;
        let [begin, end, give_up] = D::SQL.migration;
        let mut lease = self.living().await?;
        let connection: &mut D::Connection = &mut lease.connection;
        let migrated = async {
            run_all::<D>(connection, begin).await?;
            // What is missing is read behind the lock: another process may just have added it.
            let (mut changes, mut is_foreign) = (Vec::new(), false);
            let (mut has_sessions, mut lacks_triggers) = (false, false);
            for table in &TABLES {
                let name = (D::SQL.catalogue_name)(table.name);
                let sql = D::SQL.columns.into_sql_str();
                let rows = D::fetch(connection, sql, &[Value::Text(Some(&name))]).await?;
                let found = rows.iter().map(read_column::<D>).collect::<sqlx::Result<Vec<_>>>()?;
                changes.extend(upgrades(table, &D::SQL.types, &found));
                is_foreign |= is_of_others(table, &found);
                if table.name == SESSIONS.name && D::SQL.triggers.is_some() && !found.is_empty() {
                    let any = "SELECT 1 FROM user_sessions LIMIT 1".into_sql_str();
                    has_sessions = !D::fetch(connection, any, &[]).await?.is_empty();
                }
            }
            changes.extend(tables::<D, T>(&key));
            // What is not ours, as `check` will say, loses no rows by our triggers.
            if let Some(Triggers { catalogue, .. }) =
                D::SQL.triggers.as_ref().filter(|_| !is_foreign)
            {
                let name = (D::SQL.catalogue_name)(T::TABLE);
                let sql = catalogue.into_sql_str();
                let rows = D::fetch(connection, sql, &[Value::Text(Some(&name))]).await?;
                let found = rows.iter().map(read_trigger::<D>).collect::<sqlx::Result<Vec<_>>>()?;
                lacks_triggers = triggers::<D, T>().any(|it| !it.is_among(&found));
                changes.extend(triggers::<D, T>().filter(|it| !it.is_among(&found)).flat_map(
                    // One of this name may be there, of another version or on another table.
                    |Trigger { name, sql }| [format!("DROP TRIGGER IF EXISTS {name}"), sql],
                ));
            }
            for sql in changes {
                D::execute(connection, AssertSqlSafe(sql).into_sql_str(), &[]).await?;
            }
            run_all::<D>(connection, end).await?;
            if has_sessions && lacks_triggers {
                tracing::warn!(
                    table = T::TABLE,
                    "triggers that end sessions with their users were missing and are put back: if \
                     ids of users were given to others meanwhile, run `DELETE FROM user_sessions`"
                );
            }
            Ok(())
        };
        let migrated: sqlx::Result<()> = migrated.await;
        if migrated.is_err() {
            // The first error says more than one of giving up.
            let _ = run_all::<D>(&mut lease.connection, give_up).await;
        }
        if let Err(error) = lease.end(migrated) {
            return Err(self.failed_migration(error).await);
        }
        self.check().await
    }

    /// Why a migration failed. A table of somebody else's is said to be one: it fails in ways that
    /// say less.
    async fn failed_migration(&self, error: sqlx::Error) -> StoreError {
        for table in &TABLES {
            let is_there = self.columns(table.name).await.is_ok_and(|found| !found.is_empty());
            if is_there && let Err(StoreError::Schema(complaint)) = self.check().await {
                return StoreError::Schema(format!("{complaint} (`migrate` met: {error})"));
            }
        }
        error.into()
    }

    /// The SQL that makes the tables `user_sessions` and `guest_sessions`, and the triggers of SQLite, for
    /// those who use a migration tool of their own, such as sqlx-cli, refinery or dbmate.
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example(store: SqlStore<sqlx::Sqlite, Account>) -> Result<(), Box<dyn std::error::Error>> {
    /// std::fs::write("migrations/sessions.sql", store.migration_sql().await?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate): it reads the type of the id from the table of users.
    pub async fn migration_sql(&self) -> Result<String, StoreError> {
        let key = self.users_key().await?.declared;
        let triggers = triggers::<D, T>().map(|trigger| trigger.sql);
        Ok(tables::<D, T>(&key).chain(triggers).map(|sql| sql + ";\n").collect())
    }

    /// Compares the tables `user_sessions` and `guest_sessions`, and the triggers of SQLite, with what
    /// this version expects. Call it at start-up if they are not made by
    /// [`migrate`](Self::migrate).
    ///
    /// ```
    /// # use locals::{AuthUser, StoreError, store::SqlStore};
    /// # #[derive(sqlx::FromRow, AuthUser)]
    /// # #[auth_user(table = "accounts")]
    /// # struct Account { id: i64 }
    /// # async fn example(store: SqlStore<sqlx::Sqlite, Account>) -> Result<(), StoreError> {
    /// store.check().await?; // an error ends the program, and says what differs
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::Schema`] says in one line what differs and what to do;
    /// [`StoreError::Backend`] if the database fails.
    pub async fn check(&self) -> Result<(), StoreError> {
        let key = self.users_key().await?.declared;
        let mut complaints = Vec::new();
        for table in &TABLES {
            complaints.extend(self.complaint(table, &key).await?);
        }
        if complaints.is_empty() {
            return Ok(());
        }
        Err(StoreError::Schema(format!(
            "{}; call `store.migrate()` at start-up, or see the SQL of `store.migration_sql()`",
            complaints.join("; ")
        )))
    }

    /// In what a table differs from what this version expects.
    async fn complaint(&self, table: &Table, key: &str) -> Result<Option<String>, StoreError> {
        let name = table.name;
        let found = self.columns(name).await?;
        if found.is_empty() {
            return Ok(Some(format!("the table `{name}` is missing")));
        }
        let mut differences = differences(table, &D::SQL.types, key, &found);
        if self.names(D::SQL.primary_key, name).await? != ["id"] {
            differences.push("`id` is not the primary key".to_owned());
        }
        let indexes = self.names(D::SQL.indexes, name).await?;
        let missing = table.indexes.iter().filter(|index| !indexes.iter().any(|it| it == *index));
        differences.extend(missing.map(|index| format!("the index `{index}` is missing")));
        if name == SESSIONS.name && !self.references_users().await? {
            differences.push(format!(
                "`user_id` does not reference `{}` with `ON DELETE CASCADE`",
                T::TABLE
            ));
        }
        if name == SESSIONS.name {
            differences.extend(self.missing_triggers().await?);
        }
        Ok((!differences.is_empty()).then(|| {
            format!(
                "the table `{name}` differs from what this version of `locals` expects: {}",
                differences.join(", ")
            )
        }))
    }

    /// What is wrong with the triggers on the app's own table.
    async fn missing_triggers(&self) -> Result<Vec<String>, StoreError> {
        let Some(Triggers { catalogue, .. }) = &D::SQL.triggers else { return Ok(Vec::new()) };
        let rows = self.catalogue(catalogue, T::TABLE).await?;
        let found = rows.iter().map(read_trigger::<D>).collect::<sqlx::Result<Vec<_>>>()?;
        let wrong = triggers::<D, T>().filter(|trigger| !trigger.is_among(&found));
        let complaints = wrong.map(|Trigger { name, .. }| {
            let is_there = found.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
            let what = if is_there { "differs" } else { "is missing" };
            format!("the trigger `{name}` on `{}` {what}", T::TABLE)
        });
        Ok(complaints.collect())
    }

    /// The id column of the app's own table, if it is there and of a fitting type.
    async fn users_key(&self) -> Result<Column, StoreError> {
        let (table, id) = (T::TABLE, T::ID_COLUMN);
        if table.contains('.') && !D::SQL.schemas {
            return Err(StoreError::Schema(format!(
                "the table of users is named `{table}`, but the tables of one {} connection are in \
                 one database: name it without what stands before the dot",
                D::NAME
            )));
        }
        let columns = self.columns(table).await?;
        if columns.is_empty() {
            return Err(StoreError::Schema(format!(
                "the table of users `{table}` is missing: create it before `user_sessions`, or \
                 name the right one with `#[auth_user(table = \"..\")]`"
            )));
        }
        let names = columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let column = columns.into_iter().find(|column| column.name.eq_ignore_ascii_case(id));
        let Some(column) = column else {
            return Err(StoreError::Schema(format!(
                "the table of users `{table}` has no column `{id}`: mark the field of the id \
                 with `#[auth_user(id)]`, or name its column with `#[auth_user(id = \"..\")]`"
            )));
        };
        if fits(T::Id::KIND, &column.declared) {
            self.users.get_or_init(|| Users {
                find_with_user: D::SQL.of_columns(D::SQL.find_with_user, table, id, &names),
                find_user: D::SQL.of_columns(D::SQL.find_user, table, id, &names),
                columns: names.len(),
                uuid_form: uuid_form::<D>(&column.declared),
            });
            return Ok(column);
        }
        let kind = match T::Id::KIND {
            UserIdKind::Integer => "an integer",
            UserIdKind::Text => "a `String`",
            UserIdKind::Uuid => "a `Uuid`",
        };
        Err(StoreError::Schema(format!(
            "`{table}.{id}` is {}, but the user's id in Rust is {kind}: change one of them",
            column.declared
        )))
    }

    /// The id of a user as a statement takes it.
    pub(super) async fn user_value<'a>(&self, id: &'a UserId) -> Result<Value<'a>, StoreError> {
        Ok(match id {
            UserId::Integer(id) => Value::Integer(Some(*id)),
            UserId::TooLarge(_) => return Err(StoreError::UserGone),
            UserId::Text(id) => Value::Text(Some(id)),
            UserId::Uuid(id) => Value::Uuid(*id, self.users().await?.uuid_form),
        })
    }

    /// What is known of the app's own table; read from the database once, by `migrate` or `check`
    /// or else by the first request.
    pub(super) async fn users(&self) -> Result<&Users, StoreError> {
        if self.users.get().is_none() {
            self.users_key().await?;
        }
        self.users.get().ok_or_else(|| StoreError::Schema("no table of users".to_owned()))
    }

    /// Asks the catalogue about a table.
    async fn catalogue(&self, sql: &'static str, table: &str) -> Result<Vec<D::Row>, StoreError> {
        let table = (D::SQL.catalogue_name)(table);
        self.fetch(&sql.into_sql_str(), &[Value::Text(Some(&table))]).await
    }

    async fn columns(&self, table: &str) -> Result<Vec<Column>, StoreError> {
        let rows = self.catalogue(D::SQL.columns, table).await?;
        Ok(rows.iter().map(read_column::<D>).collect::<Result<_, _>>()?)
    }

    async fn names(&self, sql: &'static str, table: &str) -> Result<Vec<String>, StoreError> {
        let rows = self.catalogue(sql, table).await?;
        let names = rows.iter().map(|row| D::text(row, 0).map(Option::unwrap_or_default));
        Ok(names.collect::<Result<_, _>>()?)
    }

    async fn references_users(&self) -> Result<bool, StoreError> {
        let rows = self.catalogue(D::SQL.references, T::TABLE).await?;
        Ok(rows.first().map(|row| D::integer(row, 0)).transpose()?.is_some_and(|count| count > 0))
    }
}

async fn run_all<D: Dialect>(
    connection: &mut D::Connection,
    statements: &[&'static str],
) -> sqlx::Result<()> {
    for statement in statements {
        D::execute(connection, statement.into_sql_str(), &[]).await?;
    }
    Ok(())
}

fn read_column<D: Dialect>(row: &D::Row) -> sqlx::Result<Column> {
    Ok(Column {
        name: D::text(row, 0)?.unwrap_or_default(),
        declared: D::text(row, 1)?.unwrap_or_default(),
        nullable: D::integer(row, 2)? != 0,
    })
}

/// The statements that make the tables and their indexes.
fn tables<D: Dialect, T: AuthUser>(key: &str) -> impl Iterator<Item = String> {
    let sql = D::SQL;
    sql.tables
        .iter()
        .map(move |table| sql.fill(&table.replace("{key}", key), T::TABLE, T::ID_COLUMN))
}

/// A trigger on the app's own table, as this version expects it.
struct Trigger {
    name: &'static str,
    sql: String,
}

impl Trigger {
    /// Whether it is among these, as the catalogue has them: by name and SQL.
    fn is_among(&self, found: &[(String, String)]) -> bool {
        let expected = bare(&self.sql.replacen("IF NOT EXISTS ", "", 1));
        found
            .iter()
            .any(|(name, sql)| name.eq_ignore_ascii_case(self.name) && bare(sql) == expected)
    }
}

/// The triggers on the app's own table; none where foreign keys are always enforced.
fn triggers<D: Dialect, T: AuthUser>() -> impl Iterator<Item = Trigger> {
    let sql = D::SQL;
    let all = sql.triggers.iter().flat_map(|triggers| triggers.all);
    all.map(|&(name, template)| Trigger { name, sql: sql.fill(template, T::TABLE, T::ID_COLUMN) })
}

fn read_trigger<D: Dialect>(row: &D::Row) -> sqlx::Result<(String, String)> {
    Ok((D::text(row, 0)?.unwrap_or_default(), D::text(row, 1)?.unwrap_or_default()))
}

/// SQL without what does not matter: white space, case and quotes. A database may write names anew when
/// they change.
fn bare(sql: &str) -> String {
    let matters = |character: &char| !character.is_whitespace() && *character != '"';
    sql.chars().filter(matters).flat_map(char::to_lowercase).collect()
}

/// Whether a table of this name is there, and lacks columns that ours has always had.
fn is_of_others(table: &Table, found: &[Column]) -> bool {
    let is_later = |name| table.upgrades.iter().any(|(later, ..)| *later == name);
    let mut first = table.columns.iter().map(|(name, ..)| *name).filter(|name| !is_later(*name));
    !found.is_empty() && first.any(|name| !found.iter().any(|column| column.name == name))
}

/// What makes the table that was found into the one that this version expects.
fn upgrades(table: &Table, types: &Types, found: &[Column]) -> Vec<String> {
    let is_missing = |name| !found.is_empty() && !found.iter().any(|column| column.name == name);
    let mut statements = Vec::new();
    for &(name, rest, fill) in table.upgrades.iter().filter(|(name, ..)| is_missing(*name)) {
        let declared = table.columns.iter().find(|(column, ..)| *column == name);
        let declared = declared.map_or("", |&(_, ty, _)| types.name(ty, ""));
        statements.push(format!("ALTER TABLE {} ADD COLUMN {name} {declared} {rest}", table.name));
        statements.extend(fill.map(str::to_owned));
    }
    statements
}

fn differences(table: &Table, types: &Types, key: &str, found: &[Column]) -> Vec<String> {
    let mut differences = Vec::new();
    for &(name, ty, nullable) in table.columns {
        let Some(column) = found.iter().find(|column| column.name == name) else {
            differences.push(format!("the column `{name}` is missing"));
            continue;
        };
        let expected = types.name(ty, key);
        if plain(&column.declared) != plain(expected) {
            differences.push(format!("`{name}` is {} and should be {expected}", column.declared));
        }
        if column.nullable != nullable {
            let should = if nullable { "may be null" } else { "must be NOT NULL" };
            differences.push(format!("`{name}` {should}"));
        }
    }
    for Column { name, .. } in found {
        if !table.columns.iter().any(|(expected, ..)| expected == name) {
            differences.push(format!("the column `{name}` is unknown"));
        }
    }
    differences
}

/// A type's name without what does not matter: case, the display width of integers, and the
/// character set of texts, which follows the database.
fn plain(declared: &str) -> String {
    let declared = declared.to_ascii_lowercase();
    let declared = declared.split(" character set ").next().unwrap_or_default();
    match declared.split_once('(') {
        Some((integer, _)) if integer.ends_with("int") => integer.to_owned(),
        _ => declared.to_owned(),
    }
}

fn uuid_form<D: Dialect>(declared: &str) -> UuidForm {
    match family(declared) {
        Some(UserIdKind::Text) => UuidForm::Text,
        Some(UserIdKind::Uuid) => D::SQL.uuid,
        Some(UserIdKind::Integer) | None => UuidForm::Bytes,
    }
}

/// Which kind of id a type is made for; `None` for bytes and for types that hold anything.
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
