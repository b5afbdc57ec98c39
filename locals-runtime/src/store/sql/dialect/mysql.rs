//! MySQL and MariaDB.

use tokio::sync::Semaphore;

use crate::store::sql::{
    dialect::sql::{Catalog, Migration, Rights, Sql, Statements, Types, UuidForm},
    settings,
};

/// MySQL and MariaDB.
///
/// - MariaDB has a type for UUIDs and takes its values as text.
/// - Indexes are part of `CREATE TABLE`, because MySQL has no `CREATE INDEX IF NOT EXISTS`.
/// - Texts of the catalog are cast, because MySQL returns some of them as bytes.
/// - The type of the key includes the character set and collation, as a foreign key requires.
/// - Each query of the catalog filters by the table itself: a join would open every table of the server,
///   and wait for its locks.
pub const MYSQL: Sql = Sql {
    quote: '`',
    schemas: false,
    ignores_case: true,
    uuid: UuidForm::Text,
    timeout: Some(settings::TIMEOUT),
    writers: Semaphore::MAX_PERMITS,

    begin: "BEGIN",
    find_with_user: concat!("SELECT {columns}, ", select_columns!(), joined!(), "?"),
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
        find: concat!("SELECT ", select_columns!(), joined!(), "?"),
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
        list_by_user: concat!("SELECT ", select_columns!(), listed!("?")),
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
    // While a table is being altered, foreign keys may not find its rows.
    user_exists: Some("SELECT 1 FROM {users} WHERE {user_id} = ?"),
    // The foreign key takes a shared lock on the user's row, which two transactions cannot both upgrade.
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
    catalog: Catalog {
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
        // The catalog hides them from users who may not change tables.
        references: None,
        rights: Rights::Explain("EXPLAIN"),
        unique: "SELECT COUNT(*) FROM (SELECT index_name FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0 \
                 GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(column_name) = ?) AS keys_of_one",
    },
    settings: settings::MYSQL,
    triggers: None,
};
