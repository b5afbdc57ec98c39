//! PostgreSQL.

use tokio::sync::Semaphore;

use crate::store::sql::{
    dialect::sql::{Catalog, Migration, Rights, Sql, Statements, Types, UuidForm},
    names::quoted,
    settings,
};

/// PostgreSQL.
///
/// - Several nodes may sweep at the same time: each skips rows that another has locked. The keys are
///   collected in an array, because `IN` may be planned as a join that reads the whole table.
/// - `to_regclass` finds a table by the search path, as a statement does.
pub const POSTGRES: Sql = Sql {
    quote: '"',
    schemas: true,
    ignores_case: false,
    uuid: UuidForm::Native,
    timeout: Some(settings::TIMEOUT),
    writers: Semaphore::MAX_PERMITS,

    begin: "BEGIN",
    find_with_user: concat!("SELECT {columns}, ", select_columns!(), joined!(), "$1"),
    find_user: "SELECT {columns} FROM {users} AS u WHERE u.{user_id} = $1",
    is_packed: false,
    templates: Statements {
        create: concat!(
            "INSERT INTO {sessions} (",
            columns!(),
            ", id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
             $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
        ),
        find: concat!("SELECT ", select_columns!(), joined!(), "$1"),
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
        list_by_user: concat!("SELECT ", select_columns!(), listed!("$1")),
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
    user_exists: None,
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
    catalog: Catalog {
        name: |table| quoted(table, '"'),
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
    settings: settings::POSTGRES,
    triggers: None,
};
