//! The parts that differ between databases: SQL statements and names of types.

use crate::store::sql::{
    names::{Names, shared_statement},
    settings::Settings,
};
use sqlx::SqlStr;
use std::time::Duration;

/// The statements and types of one database.
///
/// Placeholders in the statements: `{users}` and `{user_id}` are the app's own table and its id column,
/// `{sessions}` and `{guests}` the tables of the store, names such as `{sessions_by_user}` their indexes
/// and triggers, and `{columns}` the columns of a user.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct Sql {
    /// The quote character of names.
    pub quote: char,
    /// Whether the name of a table may include its schema.
    pub schemas: bool,
    /// Whether column names are case-insensitive.
    pub ignores_case: bool,
    /// How values are bound to a column whose type is `UUID`.
    pub uuid: UuidForm,
    /// The timeout of a statement. SQLite has its own.
    pub timeout: Option<Duration>,
    /// The maximum number of concurrent writes of one store. SQLite allows one writer; the others poll for
    /// the lock without any order, and some might never get it. So they queue here instead.
    pub writers: usize,

    /// Begins a transaction that will write.
    pub begin: &'static str,
    pub find_with_user: &'static str,
    pub find_user: &'static str,
    /// Whether the columns that usually have their default are read as one packed column.
    pub is_packed: bool,
    pub templates: Statements<&'static str>,
    /// Creates a session if there is no foreign key: checks itself that the user exists.
    pub create_unreferenced: &'static str,
    /// Whether that statement takes the user id a second time, as its last parameter.
    pub repeats_user: bool,
    /// Checks whether a user exists, on databases where a foreign key may be wrong about it.
    pub user_exists: Option<&'static str>,
    /// Locks the row of a user, on databases where two transactions that create a session and then change
    /// its user would deadlock.
    pub lock_user: Option<&'static str>,

    /// Creates the tables if they are missing. `{key}` is the type of the app's id column, and
    /// `{foreign_key}` the foreign key.
    pub create_sessions: &'static str,
    pub create_guests: &'static str,
    /// Whether indexes are part of `CREATE TABLE`, because there is no `CREATE INDEX IF NOT EXISTS`.
    pub indexes_in_table: bool,
    /// Whether types of keys with the same affinity count as equal.
    pub keys_by_affinity: bool,
    /// Changes the type of `user_id` to `{key}`.
    pub change_key: Option<&'static str>,
    /// Whether a foreign key can be added to an existing table.
    pub can_add_foreign_key: bool,
    /// Drops the foreign key `{name}`, on databases where it prevents a change of the type.
    pub drop_foreign_key: Option<&'static str>,
    pub migration: Migration,
    /// The types of the columns, with their names in the catalog.
    pub types: Types,
    pub catalog: Catalog,
    pub settings: Settings,
    /// Triggers that end sessions, for databases where a connection may not enforce foreign keys.
    pub triggers: Option<Triggers>,
}

/// The statements for updating tables while others use them.
#[derive(Debug)]
pub struct Migration {
    /// Begins a transaction; `None` if the database commits implicitly at each change of a table.
    pub begin: Option<&'static str>,
    /// Limits how long a statement waits for a lock, because later statements wait behind it.
    pub lock_timeout: Option<&'static str>,
    /// Tries to take the lock that lets one process migrate at a time. Returns 1 if it was taken.
    pub try_lock: Option<&'static str>,
    /// Returns who holds locks on the three bound tables, as text.
    pub blockers: Option<&'static str>,
}

/// Queries of the catalog.
#[derive(Debug)]
pub struct Catalog {
    /// Converts the name of a table to the form in which it is bound.
    pub name: fn(&str) -> String,
    /// The columns of a table: name, type, whether it is nullable, whether it has a default.
    pub columns: &'static str,
    /// The columns of the primary key of a table.
    pub primary_key: &'static str,
    /// The names of the valid indexes of a table.
    pub indexes: &'static str,
    /// The foreign keys of `user_id` of a table: name, referenced table, whether that is the table
    /// of users, whether they cascade. Both tables are bound. `None` reads them from
    /// `SHOW CREATE TABLE`.
    pub references: Option<&'static str>,
    pub rights: Rights,
    /// The number of keys that make a column unique. The table and the column are bound.
    pub unique: &'static str,
}

/// How to check the privileges to write without running a statement that writes.
#[derive(Debug)]
pub enum Rights {
    /// By a query that returns the missing privileges on a table, which is bound. Used on PostgreSQL,
    /// because its `EXPLAIN` takes locks.
    Missing(&'static str),
    /// By putting this keyword before each statement.
    Explain(&'static str),
}

/// Triggers on the app's own table.
#[derive(Debug)]
pub struct Triggers {
    /// The placeholder of the name, see
    /// [`Names::derived`](crate::store::sql::names::Names::derived), and the SQL that creates the
    /// trigger if it is missing.
    pub all: &'static [(&'static str, &'static str)],
    /// The triggers on a table: name and SQL; the table is bound.
    pub catalog: &'static str,
}

/// How the app's table stores UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UuidForm {
    /// In a native UUID type.
    Native,
    /// As 16 bytes.
    Bytes,
    /// As 36 characters with hyphens.
    Text,
}

/// The names of the column types.
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

/// The statements that a store runs: as templates, or with the names of one app filled in.
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
    /// Fills the names of an app into the templates.
    pub fn statements(&self, names: &Names, has_foreign_key: bool) -> Statements {
        let fill = |template| shared_statement(&names.fill(template, &[]));
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
