//! SQLite.

use crate::store::sql::{
    dialect::sql::{Catalog, Migration, Rights, Sql, Statements, Triggers, Types, UuidForm},
    settings,
};

/// SQLite.
///
/// Bound keys are written `+?`: after `ANALYZE`, SQLite (with `STAT4`, as bundled) would otherwise
/// prepare the join again at every execution, to inspect the value. The tables are `WITHOUT ROWID`, so
/// that a session is found by a single tree lookup.
///
/// On a pool that the app has opened, foreign keys may be disabled. So the insert itself checks that the
/// user exists.
pub const SQLITE: Sql = Sql {
    quote: '"',
    schemas: false,
    ignores_case: true,
    uuid: UuidForm::Bytes,
    timeout: None,
    writers: 1,

    begin: "BEGIN IMMEDIATE",
    find_with_user: concat!("SELECT {columns}, ", select_packed!(), joined!(), "+?"),
    find_user: "SELECT {columns} FROM {users} AS u WHERE u.{user_id} = ?",
    is_packed: true,
    templates: Statements {
        create: SQLITE_CREATE,
        find: concat!("SELECT ", select_packed!(), joined!(), "+?"),
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
        list_by_user: concat!("SELECT ", select_packed!(), listed!("?")),
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
    user_exists: None,
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
    catalog: Catalog {
        name: str::to_owned,
        // Excludes the hidden columns of virtual tables, but not generated columns.
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
    settings: settings::SQLITE,
    triggers: Some(Triggers {
        all: SQLITE_TRIGGERS,
        catalog: "SELECT name, sql FROM sqlite_schema \
                    WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE",
    }),
};

/// Checks that the user exists.
const SQLITE_CREATE: &str = concat!(
    "INSERT INTO {sessions} (",
    columns!(),
    ", id) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
             ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19 \
             WHERE EXISTS (SELECT 1 FROM {users} WHERE {user_id} = +?2)"
);

/// Triggers that replace the foreign key on connections that do not enforce it, such as those of the
/// `sqlite3` shell.
///
/// The first two end sessions when their user is deleted or gets another id. The third makes it safe to
/// reuse an id: it deletes sessions of the previous user that may remain, because `REPLACE` deletes rows
/// without firing triggers, and restored tables may have had no triggers. It fires after the row has been
/// inserted, so not for `ON CONFLICT DO UPDATE` or `OR IGNORE`.
///
/// When the table of users is rebuilt, all three are lost until `migrate` runs again. Sessions whose ids
/// were reused in the meantime cannot be distinguished from those of users who stayed.
///
/// `UPDATE OF` would miss `SET rowid = ..`, which also changes an `INTEGER PRIMARY KEY`. The app's column
/// is on the left of `=`, so that its collation is used, as in the join. Ids that are equal only in this
/// collation count as different.
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
