//! What differs between databases: the SQL, and the names of types.

use crate::store::sql::{names::Names, settings::Settings};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use std::time::Duration;

/// A database as [`SqlStore`](crate::store::SqlStore) speaks it: its statements and its types.
///
/// In all statements `{users}` and `{user_id}` stand for the app's own table and its id column,
/// `{sessions}` and `{guests}` for the tables beside it, names such as `{sessions_by_user}` for their
/// indexes and triggers, and `{columns}` for what is read of a user.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they have nothing to do with each other")]
pub struct Sql {
    /// What stands around names.
    pub quote: char,
    /// Whether a table may be named with the schema it is in.
    pub schemas: bool,
    /// Whether names that differ in their case alone are one.
    pub ignores_case: bool,
    /// How a column of a type named `UUID` takes its values.
    pub uuid: UuidForm,
    /// How long a statement may take. SQLite keeps its own time.
    pub timeout: Option<Duration>,
    /// How many of one store write at once. SQLite lets one, and the others ask again and again:
    /// the luckiest is next, and some are never lucky. So they stand in a queue here.
    pub writers: usize,

    /// Begins a transaction that is going to write.
    pub begin: &'static str,
    pub find_with_user: &'static str,
    pub find_user: &'static str,
    /// Whether the columns that are mostly as by default are read as one.
    pub is_packed: bool,
    pub templates: Statements<&'static str>,
    /// Creates a session where no foreign key sees to it that its user is there.
    pub create_unreferenced: &'static str,
    /// Whether that statement takes the user once more, at its end.
    pub repeats_user: bool,
    /// Whether a user is there, where a foreign key may be wrong about it.
    pub is_user_there: Option<&'static str>,
    /// Locks the row of a user, where a transaction that creates a session and then changes its user
    /// would deadlock with another of the kind.
    pub lock_user: Option<&'static str>,

    /// Make the tables where they are missing; `{key}` stands for the type of the app's id column,
    /// `{foreign_key}` for the foreign key.
    pub create_sessions: &'static str,
    pub create_guests: &'static str,
    /// Whether the indexes stand in the tables: there is no `CREATE INDEX IF NOT EXISTS`.
    pub indexes_in_table: bool,
    /// Whether a type of a key is as good as another of the same affinity.
    pub keys_by_affinity: bool,
    /// Changes the type of `user_id`; `{key}` stands for the new one.
    pub change_key: Option<&'static str>,
    /// Whether a foreign key can be added to a table that has none.
    pub can_add_foreign_key: bool,
    /// Removes the foreign key named `{name}`, where it is in the way of a change of the key.
    pub drop_foreign_key: Option<&'static str>,
    pub migration: Migration,
    /// The types of the columns, as the catalogue names them.
    pub types: Types,
    pub catalogue: Catalogue,
    pub settings: Settings,
    /// What ends sessions where a connection may leave foreign keys unenforced.
    pub triggers: Option<Triggers>,
}

/// How tables are brought up to date while others use them.
#[derive(Debug)]
pub struct Migration {
    /// Begins a transaction; `None` where the database commits by itself at each change of a table.
    pub begin: Option<&'static str>,
    /// Limits how long a statement waits for a lock: whoever comes later waits behind it.
    pub lock_timeout: Option<&'static str>,
    /// Takes the lock by which one process migrates at a time: gives 1 if it was to be had.
    pub try_lock: Option<&'static str>,
    /// Who has locks on the three tables bound, as sentences.
    pub blockers: Option<&'static str>,
}

/// Questions to the catalogue.
#[derive(Debug)]
pub struct Catalogue {
    /// A table's name as these statements want it bound.
    pub name: fn(&str) -> String,
    /// The columns of a table: name, type, whether it may be null, whether it has a default.
    pub columns: &'static str,
    /// The columns of the primary key of a table.
    pub primary_key: &'static str,
    /// The names of the indexes of a table that can be used.
    pub indexes: &'static str,
    /// The foreign keys that lead from `user_id` of a table: name, table, whether that is another one,
    /// whether they cascade; both tables are bound. `None` reads them from `SHOW CREATE TABLE`.
    pub references: Option<&'static str>,
    pub rights: Rights,
    /// How many keys say that a column of a table, both bound, is unique.
    pub unique: &'static str,
}

/// How to find out whether statements that write may be run, without running them.
#[derive(Debug)]
pub enum Rights {
    /// By what is missing of the rights on a table, which is bound. PostgreSQL locks what it explains.
    Missing(&'static str),
    /// By these words before each statement.
    Explain(&'static str),
}

/// Triggers on the app's own table.
#[derive(Debug)]
pub struct Triggers {
    /// The name of each, as [`Names::derived`](crate::store::sql::names::Names::derived) makes it, and the SQL that
    /// makes it where it is missing.
    pub all: &'static [(&'static str, &'static str)],
    /// The triggers on a table: name and SQL; the table is bound.
    pub catalogue: &'static str,
}

/// How the app's table keeps UUIDs, as far as its database leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UuidForm {
    /// In a type of the database's own.
    Native,
    /// As 16 bytes.
    Bytes,
    /// As 36 characters with hyphens.
    Text,
}

/// What each type of column is called.
#[derive(Debug)]
pub struct Types {
    pub id: &'static str,
    pub hash: &'static str,
    pub rotation: &'static str,
    /// Times, counts and periods.
    pub integer: &'static str,
    pub text: &'static str,
    /// The app's data: text that may be long.
    pub data: &'static str,
}

/// The statements that a store runs: as they stand below, or those of one app, with its names in
/// them.
#[derive(Debug)]
pub struct Statements<S = SqlStr> {
    pub create: S,
    pub find: S,
    pub renew: S,
    pub change_token: S,
    pub bind_credential: S,
    pub write_data: S,
    pub delete: S,
    pub delete_unchanged: S,
    pub delete_by_user: S,
    pub delete_others: S,
    pub list_by_user: S,
    pub list_times_by_user: S,
    pub delete_expired: S,
    pub create_guest: S,
    pub find_guest: S,
    pub write_guest: S,
    pub delete_guest: S,
    pub count_guests: S,
    pub delete_expired_guests: S,
}

impl Sql {
    /// The statements of an app with these names.
    pub fn statements(&self, names: &Names, has_foreign_key: bool) -> Statements {
        let fill = |template| AssertSqlSafe(names.fill(template, &[])).into_sql_str();
        let templates = &self.templates;
        Statements {
            create: fill(if has_foreign_key { templates.create } else { self.create_unreferenced }),
            find: fill(templates.find),
            renew: fill(templates.renew),
            change_token: fill(templates.change_token),
            bind_credential: fill(templates.bind_credential),
            write_data: fill(templates.write_data),
            delete: fill(templates.delete),
            delete_unchanged: fill(templates.delete_unchanged),
            delete_by_user: fill(templates.delete_by_user),
            delete_others: fill(templates.delete_others),
            list_by_user: fill(templates.list_by_user),
            list_times_by_user: fill(templates.list_times_by_user),
            delete_expired: fill(templates.delete_expired),
            create_guest: fill(templates.create_guest),
            find_guest: fill(templates.find_guest),
            write_guest: fill(templates.write_guest),
            delete_guest: fill(templates.delete_guest),
            count_guests: fill(templates.count_guests),
            delete_expired_guests: fill(templates.delete_expired_guests),
        }
    }
}
