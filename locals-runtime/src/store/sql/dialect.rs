//! What differs between databases: the SQL, side by side, and the names of types.

use std::time::Duration;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use tokio::sync::Semaphore;

use super::{names::Names, settings::Settings};

/// A database as [`SqlStore`](super::SqlStore) speaks it: its statements and its types.
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
    pub patience: Option<Duration>,
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
    /// The name of each, as [`Names::derived`](super::names::Names::derived) makes it, and the SQL that
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

/// Gives another macro the columns of `user_sessions` but the id, in the order in which they are
/// written: the common ones, and those that are mostly as by default.
macro_rules! for_columns {
    ($write:ident) => {
        $write!(
            "secret_hash",
            "user_id",
            "created_at",
            "authenticated_at",
            "active_expires_at",
            "idle_expires_at",
            "absolute_expires_at",
            "user_agent",
            "address",
            "renewed_at",
            "active_period",
            "idle_period",
            "is_persistent",
            "actor_session",
            "data",
            "data_revision",
            "rotation",
            "credential"
        )
    };
}

/// The columns as they are.
macro_rules! columns {
    () => { for_columns!(columns) };
    ($first:literal $(, $name:literal)*) => { concat!($first $(, ", ", $name)*) };
}

/// The columns as they are read. They take names that no column of a user has, so that `FromRow`
/// finds the user's.
#[cfg(any(feature = "postgres", feature = "mysql"))]
macro_rules! read_apart {
    () => { for_columns!(read_apart) };
    ($first:literal $(, $name:literal)*) => {
        concat!(
            "s.", $first, " AS session__", $first
            $(, ", s.", $name, " AS session__", $name)*
        )
    };
}

/// The same for SQLite: the common columns, and the others as one text, which is null where they all
/// are as by default.
///
/// Its driver allocates for each column of a row, in every request. (On PostgreSQL it is the
/// expression that costs more than the columns.)
#[cfg(feature = "sqlite")]
macro_rules! read_packed {
    () => {
        "s.secret_hash AS session__secret_hash, s.user_id AS session__user_id, \
         s.created_at AS session__created_at, s.authenticated_at AS session__authenticated_at, \
         s.active_expires_at AS session__active_expires_at, \
         s.idle_expires_at AS session__idle_expires_at, \
         s.absolute_expires_at AS session__absolute_expires_at, \
         s.user_agent AS session__user_agent, s.address AS session__address, \
         s.renewed_at AS session__renewed_at, \
         CASE WHEN s.is_persistent = 1 AND s.active_period IS NULL \
         AND s.actor_session IS NULL AND s.rotation IS NULL AND s.credential IS NULL \
         AND s.data_revision = 0 AND s.data IS NULL THEN NULL ELSE s.is_persistent || ' ' || \
         COALESCE(s.active_period, '') || ' ' || COALESCE(s.idle_period, '') || ' ' || \
         hex(s.actor_session) || ' ' || hex(s.rotation) || ' ' || hex(s.credential) || ' ' || \
         s.data_revision || ' ' || \
         COALESCE('=' || s.data, '') END AS session__others"
    };
}

/// Behind what is read of a session, for a list of those of a user; the user is bound.
macro_rules! listed {
    ($user:literal) => {
        concat!(
            ", s.id AS session__id FROM {sessions} AS s WHERE s.user_id = ",
            $user,
            " ORDER BY s.created_at DESC, s.id DESC"
        )
    };
}

/// The ids and times of the sessions of a user, who is bound.
macro_rules! times {
    ($user:literal) => {
        concat!(
            "SELECT id, created_at, renewed_at, idle_expires_at, absolute_expires_at, \
             actor_session \
             FROM {sessions} WHERE user_id = ",
            $user
        )
    };
}

/// A parameter for each column, where parameters are not numbered.
#[cfg(feature = "mysql")]
macro_rules! parameters {
    () => { for_columns!(parameters) };
    (@one $name:literal) => { ", ?" };
    ($first:literal $(, $name:literal)*) => { concat!("?" $(, parameters!(@one $name))*) };
}

/// Everything behind `SELECT` of a look-up, but for the key.
macro_rules! joined {
    () => {
        " FROM {sessions} AS s JOIN {users} AS u ON u.{user_id} = s.user_id WHERE s.id = "
    };
}

/// How long the database of a server may take for one statement.
#[cfg(any(feature = "postgres", feature = "mysql"))]
const PATIENCE: Option<Duration> = Some(super::open::PATIENCE);

/// SQLite.
///
/// Bound keys are written `+?`: after `ANALYZE`, SQLite (with `STAT4`, as bundled) would
/// otherwise prepare the join anew at every execution, to look at the value. Without a rowid, a
/// session is found by one descent of one tree.
///
/// Foreign keys may be off on a connection of a pool that is the app's own. So the insert itself asks
/// whether the user is there.
#[cfg(feature = "sqlite")]
pub const SQLITE: Sql = Sql {
    quote: '"',
    schemas: false,
    ignores_case: true,
    uuid: UuidForm::Bytes,
    patience: None,
    writers: 1,

    begin: "BEGIN IMMEDIATE",
    find_with_user: concat!("SELECT {columns}, ", read_packed!(), joined!(), "+?"),
    find_user: "SELECT {columns} FROM {users} AS u WHERE u.{user_id} = ?",
    is_packed: true,
    templates: Statements {
        create: SQLITE_CREATE,
        find: concat!("SELECT ", read_packed!(), joined!(), "+?"),
        renew: "UPDATE {sessions} \
                SET active_expires_at = ?, idle_expires_at = ?, renewed_at = ? \
                WHERE id = +? AND active_expires_at = ? AND secret_hash = ?",
        change_token: "UPDATE {sessions} \
                       SET secret_hash = ?, rotation = ?, authenticated_at = ?, \
                       credential = COALESCE(?, credential) WHERE id = +? AND secret_hash = ?",
        bind_credential: "UPDATE {sessions} SET credential = ? WHERE id = +?",
        write_data: "UPDATE {sessions} SET data = ?, data_revision = data_revision + 1 \
                     WHERE id = +? AND data_revision = ?",
        delete: "DELETE FROM {sessions} WHERE id = +?",
        delete_unchanged: "DELETE FROM {sessions} WHERE id = +? AND data_revision = ?",
        delete_by_user: "DELETE FROM {sessions} WHERE user_id = ?",
        delete_others: "DELETE FROM {sessions} WHERE user_id = ? AND id <> ?",
        list_by_user: concat!("SELECT ", read_packed!(), listed!("?")),
        list_times_by_user: times!("?"),
        delete_expired: "DELETE FROM {sessions} WHERE id IN \
                         (SELECT id FROM {sessions} WHERE idle_expires_at <= ? LIMIT ?)",
        create_guest: "INSERT INTO {guests} \
                       (secret_hash, data, data_revision, expires_at, id) \
                       VALUES (?, ?, ?, ?, ?)",
        find_guest: "SELECT secret_hash, data, data_revision, expires_at \
                     FROM {guests} WHERE id = +?",
        write_guest: "UPDATE {guests} SET data = ?, data_revision = ?, expires_at = ? \
                      WHERE id = +? AND data_revision = ?",
        delete_guest: "DELETE FROM {guests} WHERE id = +?",
        count_guests: "SELECT COUNT(*) FROM {guests} WHERE expires_at > ?",
        delete_expired_guests: "DELETE FROM {guests} WHERE id IN \
                                (SELECT id FROM {guests} WHERE expires_at <= ? LIMIT ?)",
    },
    create_unreferenced: SQLITE_CREATE,
    repeats_user: false,
    is_user_there: None,
    lock_user: None,
    create_sessions: "CREATE TABLE IF NOT EXISTS {sessions} (
    id BLOB NOT NULL PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    user_id {key} NOT NULL,
    created_at INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    active_expires_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    user_agent TEXT,
    address TEXT,
    renewed_at INTEGER NOT NULL,
    active_period INTEGER,
    idle_period INTEGER,
    is_persistent INTEGER NOT NULL DEFAULT 1,
    actor_session BLOB,
    data_revision INTEGER NOT NULL DEFAULT 0,
    rotation BLOB,
    credential BLOB,
    data TEXT{foreign_key}
) WITHOUT ROWID",
    create_guests: "CREATE TABLE IF NOT EXISTS {guests} (
    id BLOB NOT NULL PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    data_revision INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    data TEXT NOT NULL
) WITHOUT ROWID",
    indexes_in_table: false,
    keys_by_affinity: true,
    change_key: None,
    can_add_foreign_key: false,
    drop_foreign_key: None,
    migration: Migration {
        begin: Some("BEGIN IMMEDIATE"),
        lock_timeout: None,
        try_lock: None,
        blockers: None,
    },
    types: Types {
        id: "BLOB",
        hash: "BLOB",
        rotation: "BLOB",
        integer: "INTEGER",
        text: "TEXT",
        data: "TEXT",
    },
    catalogue: Catalogue {
        name: str::to_owned,
        // Of a virtual table, some columns are hidden; those that are generated are not.
        columns: "SELECT name, type, NOT \"notnull\", dflt_value IS NOT NULL OR hidden > 1 \
                  FROM pragma_table_xinfo(?) WHERE hidden <> 1",
        primary_key: "SELECT name FROM pragma_table_info(?) WHERE pk > 0",
        indexes: "SELECT name FROM pragma_index_list(?)",
        references: Some(
            "SELECT 'foreign key', \"table\", \"table\" = ?2 COLLATE NOCASE, on_delete = 'CASCADE' \
             FROM pragma_foreign_key_list(?1) WHERE \"from\" = 'user_id'",
        ),
        rights: Rights::Explain("EXPLAIN QUERY PLAN"),
        unique: "SELECT (SELECT COUNT(*) FROM (SELECT MAX(name) AS key, COUNT(*) AS parts \
                   FROM pragma_table_info(?1) WHERE pk > 0) \
                   WHERE parts = 1 AND key = ?2 COLLATE NOCASE) \
                 + (SELECT COUNT(*) FROM pragma_index_list(?1) AS l WHERE l.\"unique\" AND NOT l.partial \
                   AND (SELECT COUNT(*) = 1 AND MAX(i.name) = ?2 COLLATE NOCASE \
                        FROM pragma_index_info(l.name) AS i))",
    },
    settings: super::settings::SQLITE,
    triggers: Some(Triggers {
        all: SQLITE_TRIGGERS,
        catalogue: "SELECT name, sql FROM sqlite_schema \
                    WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE",
    }),
};

/// Asks by itself whether the user is there.
#[cfg(feature = "sqlite")]
const SQLITE_CREATE: &str = concat!(
    "INSERT INTO {sessions} (",
    columns!(),
    ", id) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19 \
             WHERE EXISTS (SELECT 1 FROM {users} WHERE {user_id} = +?2)"
);

/// What a foreign key does only on connections that have turned it on; the `sqlite3` shell has not.
///
/// The first two end sessions when their user goes. The third is what makes an id safe to use again: a
/// row that is new has no sessions of its predecessor, which may have been left behind: `REPLACE`
/// deletes rows without calling triggers, and restored tables may have had none. A table that is rebuilt
/// loses all three until `migrate`: sessions of ids that were given to others meanwhile cannot be told
/// from those of users who stayed. It is called after the row is there, so neither `ON CONFLICT DO UPDATE` nor `OR IGNORE` calls it.
///
/// `UPDATE OF` would miss `SET rowid = ..`, which changes an `INTEGER PRIMARY KEY` too. The app's
/// column stands on the left of `=`, so that its collation decides, as in the join. Ids that only this
/// collation holds to be equal are different ones.
#[cfg(feature = "sqlite")]
const SQLITE_TRIGGERS: &[(&str, &str)] = &[
    (
        "sessions_user_deleted",
        "CREATE TRIGGER IF NOT EXISTS {sessions_user_deleted} AFTER DELETE ON {users} BEGIN
    DELETE FROM {sessions} WHERE OLD.{user_id} = user_id;
END",
    ),
    (
        "sessions_user_changed",
        "CREATE TRIGGER IF NOT EXISTS {sessions_user_changed} AFTER UPDATE ON {users}
WHEN OLD.{user_id} COLLATE BINARY IS NOT NEW.{user_id} BEGIN
    DELETE FROM {sessions} WHERE OLD.{user_id} = user_id;
    DELETE FROM {sessions} WHERE NEW.{user_id} = user_id;
END",
    ),
    (
        "sessions_user_added",
        "CREATE TRIGGER IF NOT EXISTS {sessions_user_added} AFTER INSERT ON {users} BEGIN
    DELETE FROM {sessions} WHERE NEW.{user_id} = user_id;
END",
    ),
];

/// PostgreSQL.
///
/// Many nodes may sweep at once: each takes rows that no other has locked. Their keys are gathered
/// in an array, because `IN` may be planned as a join that reads the whole table. `to_regclass`
/// finds a table as a statement would, by the search path.
#[cfg(feature = "postgres")]
pub const POSTGRES: Sql = Sql {
    quote: '"',
    schemas: true,
    ignores_case: false,
    uuid: UuidForm::Native,
    patience: PATIENCE,
    writers: Semaphore::MAX_PERMITS,

    begin: "BEGIN",
    find_with_user: concat!("SELECT {columns}, ", read_apart!(), joined!(), "$1"),
    find_user: "SELECT {columns} FROM {users} AS u WHERE u.{user_id} = $1",
    is_packed: false,
    templates: Statements {
        create: concat!(
            "INSERT INTO {sessions} (",
            columns!(),
            ", id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
             $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
        ),
        find: concat!("SELECT ", read_apart!(), joined!(), "$1"),
        renew: "UPDATE {sessions} \
                SET active_expires_at = $1, idle_expires_at = $2, renewed_at = $3 \
                WHERE id = $4 AND active_expires_at = $5 AND secret_hash = $6",
        change_token: "UPDATE {sessions} \
                       SET secret_hash = $1, rotation = $2, authenticated_at = $3, \
                       credential = COALESCE($4, credential) WHERE id = $5 AND secret_hash = $6",
        bind_credential: "UPDATE {sessions} SET credential = $1 WHERE id = $2",
        write_data: "UPDATE {sessions} SET data = $1, data_revision = data_revision + 1 \
                     WHERE id = $2 AND data_revision = $3",
        delete: "DELETE FROM {sessions} WHERE id = $1",
        delete_unchanged: "DELETE FROM {sessions} WHERE id = $1 AND data_revision = $2",
        delete_by_user: "DELETE FROM {sessions} WHERE user_id = $1",
        delete_others: "DELETE FROM {sessions} WHERE user_id = $1 AND id <> $2",
        list_by_user: concat!("SELECT ", read_apart!(), listed!("$1")),
        list_times_by_user: times!("$1"),
        delete_expired: "DELETE FROM {sessions} WHERE id = ANY (ARRAY \
                         (SELECT id FROM {sessions} WHERE idle_expires_at <= $1 \
                          ORDER BY idle_expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
        create_guest: "INSERT INTO {guests} \
                       (secret_hash, data, data_revision, expires_at, id) \
                       VALUES ($1, $2, $3, $4, $5)",
        find_guest: "SELECT secret_hash, data, data_revision, expires_at \
                     FROM {guests} WHERE id = $1",
        write_guest: "UPDATE {guests} SET data = $1, data_revision = $2, expires_at = $3 \
                      WHERE id = $4 AND data_revision = $5",
        delete_guest: "DELETE FROM {guests} WHERE id = $1",
        count_guests: "SELECT COUNT(*) FROM {guests} WHERE expires_at > $1",
        delete_expired_guests: "DELETE FROM {guests} WHERE id = ANY (ARRAY \
                                (SELECT id FROM {guests} WHERE expires_at <= $1 \
                                 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    },
    create_unreferenced: concat!(
        "INSERT INTO {sessions} (",
        columns!(),
        ", id) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, \
         $10, $11, $12, $13, $14, $15, $16, $17, $18, $19 \
         WHERE EXISTS (SELECT 1 FROM {users} WHERE {user_id} = $2)"
    ),
    repeats_user: false,
    is_user_there: None,
    lock_user: None,
    create_sessions: "CREATE TABLE IF NOT EXISTS {sessions} (
    id BYTEA NOT NULL PRIMARY KEY,
    secret_hash BYTEA NOT NULL,
    user_id {key} NOT NULL,
    created_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    active_expires_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    absolute_expires_at BIGINT NOT NULL,
    user_agent TEXT,
    address TEXT,
    renewed_at BIGINT NOT NULL,
    active_period BIGINT,
    idle_period BIGINT,
    is_persistent BIGINT NOT NULL DEFAULT 1,
    actor_session BYTEA,
    data_revision BIGINT NOT NULL DEFAULT 0,
    rotation BYTEA,
    credential BYTEA,
    data TEXT{foreign_key}
)",
    create_guests: "CREATE TABLE IF NOT EXISTS {guests} (
    id BYTEA NOT NULL PRIMARY KEY,
    secret_hash BYTEA NOT NULL,
    data_revision BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data TEXT NOT NULL
)",
    indexes_in_table: false,
    keys_by_affinity: false,
    change_key: Some("ALTER TABLE {sessions} ALTER COLUMN user_id TYPE {key}"),
    can_add_foreign_key: true,
    drop_foreign_key: None,
    migration: Migration {
        begin: Some("BEGIN"),
        lock_timeout: Some("SET LOCAL lock_timeout = '300ms'"),
        try_lock: Some(
            "SELECT pg_try_advisory_xact_lock(hashtext('locals: user_sessions'))::int::bigint",
        ),
        blockers: Some(
            "SELECT format('process %s of %s (%s): %s', pid, usename, state, left(query, 100)) \
             FROM pg_stat_activity \
             WHERE pid <> pg_backend_pid() AND datname = current_database() AND pid IN \
             (SELECT pid FROM pg_locks WHERE granted AND (locktype = 'advisory' OR relation IN \
              (to_regclass($1), to_regclass($2), to_regclass($3)))) ORDER BY xact_start LIMIT 3",
        ),
    },
    types: Types {
        id: "bytea",
        hash: "bytea",
        rotation: "bytea",
        integer: "bigint",
        text: "text",
        data: "text",
    },
    catalogue: Catalogue {
        name: |table| super::names::quoted(table, '"'),
        columns: "SELECT attname::text, format_type(atttypid, atttypmod), \
                  (NOT attnotnull)::int::bigint, (atthasdef OR attidentity <> '')::int::bigint \
                  FROM pg_attribute \
                  WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        primary_key: "SELECT attname::text FROM pg_index JOIN pg_attribute \
                      ON attrelid = indrelid AND attnum = ANY (indkey) \
                      WHERE indrelid = to_regclass($1) AND indisprimary",
        indexes: "SELECT relname::text FROM pg_index JOIN pg_class ON oid = indexrelid \
                  WHERE indrelid = to_regclass($1) AND indisvalid",
        references: Some(
            "SELECT conname::text, confrelid::regclass::text, \
             (confrelid = to_regclass($2))::int::bigint, (confdeltype = 'c')::int::bigint \
             FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND conkey = ARRAY[attnum] \
             WHERE contype = 'f' AND conrelid = to_regclass($1) AND attname = 'user_id'",
        ),
        rights: Rights::Missing(
            "SELECT wanted FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted \
             WHERE NOT has_table_privilege(to_regclass($1)::oid, wanted)",
        ),
        unique: "SELECT COUNT(*) FROM pg_index JOIN pg_attribute \
                 ON attrelid = indrelid AND attnum = indkey[0] \
                 WHERE indrelid = to_regclass($1) AND attname = $2 AND indisunique \
                 AND indnkeyatts = 1 AND indpred IS NULL AND indimmediate AND indisvalid",
    },
    settings: super::settings::POSTGRES,
    triggers: None,
};

/// MySQL and MariaDB.
///
/// MariaDB has a type for UUIDs, and takes its values as text. Indexes stand in the table, because
/// MySQL has no `CREATE INDEX IF NOT EXISTS`. The catalogue's texts are cast, because MySQL gives
/// some of them as bytes. The key takes character set and collation along, which a foreign key
/// demands. Each part of the catalogue is told the table by itself: a join alone would look into
/// every table of the server, and wait for its locks.
#[cfg(feature = "mysql")]
pub const MYSQL: Sql = Sql {
    quote: '`',
    schemas: false,
    ignores_case: true,
    uuid: UuidForm::Text,
    patience: PATIENCE,
    writers: Semaphore::MAX_PERMITS,

    begin: "BEGIN",
    find_with_user: concat!("SELECT {columns}, ", read_apart!(), joined!(), "?"),
    find_user: "SELECT {columns} FROM {users} AS u WHERE u.{user_id} = ?",
    is_packed: false,
    templates: Statements {
        create: concat!(
            "INSERT INTO {sessions} (",
            columns!(),
            ", id) VALUES (",
            parameters!(),
            ", ?)"
        ),
        find: concat!("SELECT ", read_apart!(), joined!(), "?"),
        renew: "UPDATE {sessions} \
                SET active_expires_at = ?, idle_expires_at = ?, renewed_at = ? \
                WHERE id = ? AND active_expires_at = ? AND secret_hash = ?",
        change_token: "UPDATE {sessions} \
                       SET secret_hash = ?, rotation = ?, authenticated_at = ?, \
                       credential = COALESCE(?, credential) WHERE id = ? AND secret_hash = ?",
        bind_credential: "UPDATE {sessions} SET credential = ? WHERE id = ?",
        write_data: "UPDATE {sessions} SET data = ?, data_revision = data_revision + 1 \
                     WHERE id = ? AND data_revision = ?",
        delete: "DELETE FROM {sessions} WHERE id = ?",
        delete_unchanged: "DELETE FROM {sessions} WHERE id = ? AND data_revision = ?",
        delete_by_user: "DELETE FROM {sessions} WHERE user_id = ?",
        delete_others: "DELETE FROM {sessions} WHERE user_id = ? AND id <> ?",
        list_by_user: concat!("SELECT ", read_apart!(), listed!("?")),
        list_times_by_user: times!("?"),
        delete_expired: "DELETE FROM {sessions} WHERE idle_expires_at <= ? \
                         ORDER BY idle_expires_at LIMIT ?",
        create_guest: "INSERT INTO {guests} \
                       (secret_hash, data, data_revision, expires_at, id) \
                       VALUES (?, ?, ?, ?, ?)",
        find_guest: "SELECT secret_hash, data, data_revision, expires_at \
                     FROM {guests} WHERE id = ?",
        write_guest: "UPDATE {guests} SET data = ?, data_revision = ?, expires_at = ? \
                      WHERE id = ? AND data_revision = ?",
        delete_guest: "DELETE FROM {guests} WHERE id = ?",
        count_guests: "SELECT COUNT(*) FROM {guests} WHERE expires_at > ?",
        delete_expired_guests: "DELETE FROM {guests} WHERE expires_at <= ? \
                                ORDER BY expires_at LIMIT ?",
    },
    create_unreferenced: concat!(
        "INSERT INTO {sessions} (",
        columns!(),
        ", id) SELECT ",
        parameters!(),
        ", ? FROM DUAL WHERE EXISTS (SELECT 1 FROM {users} WHERE {user_id} = ?)"
    ),
    repeats_user: true,
    // While a table is altered, foreign keys find nobody in it.
    is_user_there: Some("SELECT 1 FROM {users} WHERE {user_id} = ?"),
    // The foreign key takes a shared lock of the user's row, which two cannot both raise.
    lock_user: Some("SELECT 1 FROM {users} WHERE {user_id} = ? FOR UPDATE"),
    create_sessions: "CREATE TABLE IF NOT EXISTS {sessions} (
    id BINARY(16) NOT NULL PRIMARY KEY,
    secret_hash BINARY(32) NOT NULL,
    user_id {key} NOT NULL,
    created_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    active_expires_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    absolute_expires_at BIGINT NOT NULL,
    user_agent VARCHAR(255),
    address VARCHAR(255),
    renewed_at BIGINT NOT NULL,
    active_period BIGINT,
    idle_period BIGINT,
    is_persistent BIGINT NOT NULL DEFAULT 1,
    actor_session BINARY(16),
    data_revision BIGINT NOT NULL DEFAULT 0,
    rotation BINARY(72),
    credential BINARY(32),
    data MEDIUMTEXT,
    INDEX {sessions_by_user} (user_id),
    INDEX {sessions_by_expiry} (idle_expires_at){foreign_key}
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
    create_guests: "CREATE TABLE IF NOT EXISTS {guests} (
    id BINARY(16) NOT NULL PRIMARY KEY,
    secret_hash BINARY(32) NOT NULL,
    data_revision BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data MEDIUMTEXT NOT NULL,
    INDEX {guests_by_expiry} (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
    indexes_in_table: true,
    keys_by_affinity: false,
    change_key: Some("ALTER TABLE {sessions} MODIFY user_id {key} NOT NULL"),
    can_add_foreign_key: true,
    drop_foreign_key: Some("ALTER TABLE {sessions} DROP FOREIGN KEY {name}"),
    migration: Migration {
        begin: None,
        lock_timeout: Some("SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1"),
        try_lock: Some(
            "SELECT CAST(GET_LOCK(LEFT(CONCAT('locals: ', DATABASE()), 64), 0) AS SIGNED)",
        ),
        blockers: Some(
            "SELECT CONCAT('connection ', IS_USED_LOCK(LEFT(CONCAT('locals: ', DATABASE()), 64)), \
               ': migrates') AS who FROM DUAL \
             WHERE IS_USED_LOCK(LEFT(CONCAT('locals: ', DATABASE()), 64)) IS NOT NULL \
             UNION ALL SELECT CONCAT('connection ', trx_mysql_thread_id, ': ', \
               COALESCE(LEFT(trx_query, 100), '(idle)')) FROM information_schema.innodb_trx \
             WHERE trx_mysql_thread_id <> CONNECTION_ID() AND ? <> '' AND ? <> '' AND ? <> '' LIMIT 3",
        ),
    },
    types: Types {
        id: "binary(16)",
        hash: "binary(32)",
        rotation: "binary(72)",
        integer: "bigint",
        text: "varchar(255)",
        data: "mediumtext",
    },
    catalogue: Catalogue {
        name: str::to_owned,
        columns: "SELECT CAST(column_name AS CHAR), \
                  CAST(CONCAT(column_type, IF(character_set_name IS NULL, '', \
                    CONCAT(' CHARACTER SET ', character_set_name, ' COLLATE ', collation_name))) AS CHAR), \
                  CAST(is_nullable = 'YES' AS SIGNED), \
                  CAST(column_default IS NOT NULL OR extra LIKE '%GENERATED%' AS SIGNED) \
                  FROM information_schema.columns \
                  WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position",
        primary_key: "SELECT CAST(column_name AS CHAR) FROM information_schema.statistics \
                      WHERE table_schema = DATABASE() AND table_name = ? \
                      AND index_name = 'PRIMARY'",
        indexes: "SELECT DISTINCT CAST(index_name AS CHAR) FROM information_schema.statistics \
                  WHERE table_schema = DATABASE() AND table_name = ?",
        // The catalogue hides them from who may not change tables.
        references: None,
        rights: Rights::Explain("EXPLAIN"),
        unique: "SELECT COUNT(*) FROM (SELECT index_name FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0 \
                 GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(column_name) = ?) AS keys_of_one",
    },
    settings: super::settings::MYSQL,
    triggers: None,
};
