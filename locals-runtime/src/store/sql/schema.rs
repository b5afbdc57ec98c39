//! The table of sessions: how it is made, brought up to date, printed and checked.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{Dialect, SqlStore, Value, dialect::UuidForm};
use crate::{
    error::StoreError,
    user::{AuthUser, UserId, UserIdKind, UserKey},
};

/// The columns in order, and whether they may be null.
const COLUMNS: [(&str, Type, bool); 10] = [
    ("id", Type::Id, false),
    ("secret_hash", Type::Hash, false),
    ("user_id", Type::Key, false),
    ("created_at", Type::Time, false),
    ("authenticated_at", Type::Time, false),
    ("active_expires_at", Type::Time, false),
    ("idle_expires_at", Type::Time, false),
    ("absolute_expires_at", Type::Time, false),
    ("user_agent", Type::Text, true),
    ("address", Type::Text, true),
];

const INDEXES: [&str; 2] = ["user_sessions_by_user", "user_sessions_by_expiry"];

/// What `migrate` does to a table that an older version has made: for each column that is
/// missing there, how it comes in.
const UPGRADES: [(&str, &[&str]); 3] = [
    (
        "authenticated_at",
        &[
            "ALTER TABLE user_sessions ADD COLUMN authenticated_at {time} NOT NULL DEFAULT 0",
            "UPDATE user_sessions SET authenticated_at = created_at",
        ],
    ),
    ("user_agent", &["ALTER TABLE user_sessions ADD COLUMN user_agent {text}"]),
    ("address", &["ALTER TABLE user_sessions ADD COLUMN address {text}"]),
];

/// What a column holds; each dialect has its own name for it.
#[derive(Clone, Copy)]
enum Type {
    Id,
    Hash,
    Time,
    Text,
    /// As the id column of the app's own table is declared.
    Key,
}

/// What statements need to know of the app's own table.
#[derive(Debug)]
pub struct Users {
    /// Names all columns of the table as it was when it was read.
    pub find_with_user: SqlStr,
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
    /// Makes the table `user_sessions` and its indexes where they are not there yet, and adds to
    /// one that an older version has made what it lacks. No row is lost, and any number of
    /// processes may start it at once.
    ///
    /// The app's own table of users must exist: the foreign key points to it.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the table of users is missing, or a table `user_sessions` is
    /// there that is not ours; [`StoreError::Backend`] if the database fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let key = self.users_key().await?.declared;
        let [begin, end, give_up] = D::SQL.migration;
        let mut lease = self.living().await?;
        let connection: &mut D::Connection = &mut lease.connection;
        let migrated = async {
            run_all::<D>(connection, begin).await?;
            // What is missing is read behind the lock: another process may just have added it.
            let sql = D::SQL.columns.into_sql_str();
            let table = (D::SQL.catalogue_name)("user_sessions");
            let rows = D::fetch(connection, sql, &[Value::Text(Some(&table))]).await?;
            let found = rows.iter().map(read_column::<D>).collect::<sqlx::Result<Vec<_>>>()?;
            for sql in changes::<D, T>(&key, &found) {
                D::execute(connection, AssertSqlSafe(sql).into_sql_str(), &[]).await?;
            }
            run_all::<D>(connection, end).await
        };
        let migrated: sqlx::Result<()> = migrated.await;
        if migrated.is_err() {
            // The first error says more than one of giving up.
            let _ = run_all::<D>(&mut lease.connection, give_up).await;
        }
        if let Err(error) = lease.end(migrated) {
            // A table of somebody else's is said to be one; it fails in ways that say less.
            if !self.columns("user_sessions").await?.is_empty() {
                self.check().await?;
            }
            return Err(error.into());
        }
        self.check().await
    }

    /// The SQL that makes the table `user_sessions`, for those who use a migration tool of their
    /// own, such as sqlx-cli, refinery or dbmate.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate): it reads the type of the id from the table of users.
    pub async fn migration_sql(&self) -> Result<String, StoreError> {
        let key = self.users_key().await?.declared;
        Ok(tables::<D, T>(&key).map(|sql| sql + ";\n").collect())
    }

    /// Compares the table `user_sessions` with what this version expects. Call it at start-up
    /// if the table is made by other hands.
    ///
    /// # Errors
    /// [`StoreError::Schema`] says in one line what differs and what to do;
    /// [`StoreError::Backend`] if the database fails.
    pub async fn check(&self) -> Result<(), StoreError> {
        let key = self.users_key().await?.declared;
        let found = self.columns("user_sessions").await?;
        if found.is_empty() {
            return Err(StoreError::Schema(
                "the table `user_sessions` is missing: call `store.migrate()` at start-up, or run \
                 the SQL of `store.migration_sql()`"
                    .to_owned(),
            ));
        }
        let mut differences = differences::<D>(&key, &found);
        if self.names(D::SQL.primary_key).await? != ["id"] {
            differences.push("`id` is not the primary key".to_owned());
        }
        let indexes = self.names(D::SQL.indexes).await?;
        let missing = INDEXES.iter().filter(|index| !indexes.iter().any(|found| found == *index));
        differences.extend(missing.map(|index| format!("the index `{index}` is missing")));
        if !self.references_users().await? {
            differences.push(format!(
                "`user_id` does not reference `{}` with `ON DELETE CASCADE`",
                T::TABLE
            ));
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(StoreError::Schema(format!(
            "the table `user_sessions` differs from what this version of `locals` expects: {}; \
             call `store.migrate()`, or compare it with `store.migration_sql()`",
            differences.join(", ")
        )))
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
                find_with_user: D::SQL.find_with_user(table, id, &names),
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
            UserId::Integer(id) => Value::Integer(*id),
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

    async fn columns(&self, table: &str) -> Result<Vec<Column>, StoreError> {
        let table = (D::SQL.catalogue_name)(table);
        let sql = D::SQL.columns.into_sql_str();
        let rows = self.fetch(&sql, &[Value::Text(Some(&table))]).await?;
        Ok(rows.iter().map(read_column::<D>).collect::<Result<_, _>>()?)
    }

    async fn names(&self, sql: &'static str) -> Result<Vec<String>, StoreError> {
        let rows = self.fetch(&sql.into_sql_str(), &[]).await?;
        let names = rows.iter().map(|row| D::text(row, 0).map(Option::unwrap_or_default));
        Ok(names.collect::<Result<_, _>>()?)
    }

    async fn references_users(&self) -> Result<bool, StoreError> {
        let table = (D::SQL.catalogue_name)(T::TABLE);
        let sql = D::SQL.references.into_sql_str();
        let rows = self.fetch(&sql, &[Value::Text(Some(&table))]).await?;
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

/// The statements that make the table and its indexes.
fn tables<D: Dialect, T: AuthUser>(key: &str) -> impl Iterator<Item = String> {
    let sql = D::SQL;
    sql.tables
        .iter()
        .map(move |table| sql.fill(&table.replace("{key}", key), T::TABLE, T::ID_COLUMN))
}

/// What makes the table that was found into the one that this version expects.
fn changes<D: Dialect, T: AuthUser>(key: &str, found: &[Column]) -> Vec<String> {
    let [_, _, time, text] = D::SQL.types;
    let missing = UPGRADES.iter().filter(|(column, _)| {
        !found.is_empty() && !found.iter().any(|other| other.name == *column)
    });
    let upgrades = missing.flat_map(|(_, statements)| *statements);
    let upgrades = upgrades.map(|sql| sql.replace("{time}", time).replace("{text}", text));
    upgrades.chain(tables::<D, T>(key)).collect()
}

fn differences<D: Dialect>(key: &str, found: &[Column]) -> Vec<String> {
    let [id, hash, time, text] = D::SQL.types;
    let mut differences = Vec::new();
    for (name, ty, nullable) in COLUMNS {
        let Some(column) = found.iter().find(|column| column.name == name) else {
            differences.push(format!("the column `{name}` is missing"));
            continue;
        };
        let expected = match ty {
            Type::Id => id,
            Type::Hash => hash,
            Type::Time => time,
            Type::Text => text,
            Type::Key => key,
        };
        if plain(&column.declared) != plain(expected) {
            differences.push(format!("`{name}` is {} and should be {expected}", column.declared));
        }
        if column.nullable != nullable {
            let should = if nullable { "may be null" } else { "must be NOT NULL" };
            differences.push(format!("`{name}` {should}"));
        }
    }
    for Column { name, .. } in found {
        if !COLUMNS.iter().any(|(expected, ..)| expected == name) {
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
