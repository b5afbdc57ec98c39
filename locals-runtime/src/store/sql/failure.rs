//! Classifies the errors of `sqlx`: outages of the database, and faults of a query.

use sqlx::error::DatabaseError;

/// Returns a timeout as an I/O error, which counts as an outage.
pub(super) fn timed_out(what: &str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what))
}

/// What to do after an error of one of the store's statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Retry: the database aborted the statement because of a conflict, and changed nothing.
    Again,
    /// Retry after preparing the statement again: the prepared one is outdated.
    FreshStatement,
    /// Use another connection: this one is lost, or its server is down.
    OtherConnection,
    /// Use another server: this one is read-only, for example because it is no longer the primary. Nothing
    /// was changed.
    OtherServer,
    /// Nothing helps. `closes` says whether the connection must be closed, too.
    None { closes: bool },
}

pub(super) fn remedy(error: &sqlx::Error) -> Remedy {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            Remedy::OtherConnection
        }
        sqlx::Error::Database(error) => remedy_of(&**error),
        _ => Remedy::None { closes: false },
    }
}

fn remedy_of(error: &dyn DatabaseError) -> Remedy {
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        match error.number() {
            // A deadlock; a row that has changed since the transaction began to read.
            1213 | 1020 => return Remedy::Again,
            // `--read-only`, `innodb_read_only`, a transaction that may only read.
            1290 | 1792 | 1836 => return Remedy::OtherServer,
            // A statement that is no longer prepared, or must be prepared again.
            1243 | 1615 => return Remedy::FreshStatement,
            // Killed (MySQL, MariaDB), idle for too long, going down.
            1317 | 1927 | 4031 | 1053 => return Remedy::OtherConnection,
            _ => {}
        }
    }
    match error.code().as_deref() {
        // Serialization failure, deadlock.
        Some("40001" | "40P01") => Remedy::Again,
        // "cached plan must not change result type".
        Some("0A000") => Remedy::FreshStatement,
        Some("25006") => Remedy::OtherServer,
        Some(_) if is_mixed_up(error) => Remedy::None { closes: true },
        // Class 08: connection exceptions. 57P: PostgreSQL shuts down. 70100: MySQL killed the
        // connection.
        Some(code) if code.starts_with("08") || code.starts_with("57P") || code == "70100" => {
            Remedy::OtherConnection
        }
        _ => Remedy::None { closes: false },
    }
}

/// Whether a prepared statement is missing, already exists, or takes other parameters than it should:
/// the statements of several clients are mixed up on one server connection. The state of such a
/// connection is unknown.
#[cfg(feature = "postgres")]
fn is_mixed_up(error: &dyn DatabaseError) -> bool {
    use sqlx::postgres::{PgDatabaseError, PgSeverity};

    // Poolers use the last of these states for their own fatal errors, too, and then disconnect.
    error.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| {
        error.severity() == PgSeverity::Error && matches!(error.code(), "26000" | "42P05" | "08P01")
    })
}

#[cfg(not(feature = "postgres"))]
fn is_mixed_up(_error: &dyn DatabaseError) -> bool {
    false
}

/// Whether a statement names a column or table that does not exist, as after a change of the schema.
pub(super) fn is_of_another_schema(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    #[cfg(feature = "sqlite")]
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return error.message().starts_with("no such column");
    }
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return error.number() == 1054;
    }
    error.code().is_some_and(|state| state == "42703")
}

/// Whether the database user of the app lacks a privilege.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        // A database, a table, a column, a routine.
        return matches!(error.number(), 1044 | 1142 | 1143 | 1370);
    }
    error.code().is_some_and(|state| state == "42501")
}

/// Whether a lock could not be taken: because of a timeout or a deadlock.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    if remedy(error) == Remedy::Again {
        return true;
    }
    let sqlx::Error::Database(error) = error else { return false };
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
        return error.number() == 1205;
    }
    error.code().is_some_and(|state| state == "55P03")
}

/// The message if a connection pooler mixes up prepared statements.
pub(super) const POOLER: &str = "a pooler between the app and PostgreSQL shares connections between \
     transactions and mixes up their prepared statements: in pgbouncer.ini, set \
     `max_prepared_statements = 200` (PgBouncer 1.21 or later), or `pool_mode = session`";

/// Whether the database or the network failed, so that the same query may succeed later. Any other error
/// would occur again, or must be handled by the app.
pub(super) fn is_outage(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Io(_)
        | E::Tls(_)
        | E::Protocol(_)
        | E::PoolTimedOut
        | E::PoolClosed
        | E::WorkerCrashed => true,
        E::Database(error) => is_outage_of(&**error),
        _ => false,
    }
}

fn is_outage_of(error: &dyn DatabaseError) -> bool {
    #[cfg(feature = "sqlite")]
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return error.code().and_then(|code| code.parse().ok()).is_some_and(is_outage_in_sqlite);
    }
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        && is_outage_in_mysql(error.number())
    {
        return true;
    }
    error.code().is_some_and(|state| is_outage_state(&state))
}

/// Classifies result codes of SQLite by their lowest byte, the primary code.
#[cfg(feature = "sqlite")]
fn is_outage_in_sqlite(code: i32) -> bool {
    // In order: PERM, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN,
    // PROTOCOL, SCHEMA, NOLFS, NOTADB.
    matches!(code & 0xff, 3 | 5..=11 | 13..=15 | 17 | 22 | 26)
}

/// Classifies error numbers of MySQL and `MariaDB` whose SQLSTATE is too general or misleading.
#[cfg(feature = "mysql")]
fn is_outage_in_mysql(number: u16) -> bool {
    matches!(
        number,
        // Disk full; files that cannot be read, written or opened; no memory.
        1016 | 1021 | 1023 | 1024 | 1026 | 1030 | 1037 | 1038 | 1041 | 1114
        // Too many connections, of all or of one user; too many queries of one user.
        | 1040 | 1203 | 1226
        // Shutdown; blocked hosts; crashed tables; a failed commit or rollback.
        | 1053 | 1129 | 1180 | 1181 | 1194 | 1195
        // Lock timeout; too many locks.
        | 1205 | 1206
        // Read-only, like a replica: `--read-only`, `innodb_read_only`.
        | 1290 | 1792 | 1836
        // Interrupted; killed; statement timeout (MySQL, MariaDB); idle timeout.
        | 1317 | 1927 | 1969 | 3024 | 4031
    )
}

/// Classifies SQLSTATE codes of PostgreSQL, MySQL and the standard.
fn is_outage_state(state: &str) -> bool {
    match state {
        // An integrity constraint that failed at the commit.
        "40002" => false,
        // Read-only, like a replica; lock timeout; idle timeout in a transaction.
        "25006" | "55P03" | "25P03" => true,
        _ => {
            let class = state.get(..2).unwrap_or_default();
            // Connection; login refused; unknown database; rollback (deadlock, serialization); resources;
            // operator intervention; system; configuration; internal error.
            matches!(class, "08" | "28" | "3D" | "40" | "53" | "57" | "58" | "70" | "F0" | "XX")
        }
    }
}

/// Returns advice about an error, in addition to its own message.
pub(crate) fn advice(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        sqlx::Error::RowNotFound => {
            Some("read a row that may be missing with `fetch_optional`, and handle `None`")
        }
        sqlx::Error::Database(error) if error.is_unique_violation() => {
            Some("handle a value that is already taken where `is_unique_violation()` is true")
        }
        sqlx::Error::Database(error) if is_mixed_up(&**error) => Some(POOLER),
        sqlx::Error::PoolTimedOut => Some(
            "either all connections are in use, or the server refuses new ones: check its log and the \
             size of the pool",
        ),
        sqlx::Error::Database(_) if remedy(error) == Remedy::OtherServer => {
            Some("the database is read-only, for example because it is no longer the primary")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_driver_are_outages_if_they_are_temporary() {
        use sqlx::Error as E;
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let outages = [
            E::Io(io),
            E::Tls("handshake".into()),
            E::Protocol("unexpected".into()),
            E::PoolTimedOut,
            E::PoolClosed,
            E::WorkerCrashed,
        ];
        for error in outages {
            assert!(is_outage(&error), "{error:?}");
        }
        let faults = [
            E::RowNotFound,
            E::Configuration("url".into()),
            E::InvalidArgument("argument".into()),
            E::TypeNotFound { type_name: "mood".into() },
            E::ColumnIndexOutOfBounds { index: 1, len: 1 },
            E::ColumnNotFound("name".into()),
            E::ColumnDecode { index: "0".into(), source: "text".into() },
            E::Encode("value".into()),
            E::Decode("value".into()),
            E::AnyDriverError("mapping".into()),
            E::InvalidSavePointStatement,
            E::BeginFailed,
        ];
        for error in faults {
            assert!(!is_outage(&error), "{error:?}");
        }
    }

    #[test]
    fn sql_states_are_classified_by_their_class() {
        for state in [
            "08000", "08006", "08S01", "28P01", "28000", "3D000", "40001", "40P01", "40003",
            "53100", "53300", "57014", "57P01", "57P02", "57P03", "58030", "70100", "XX000",
            "XX001", "25006", "55P03", "25P03",
        ] {
            assert!(is_outage_state(state), "{state}");
        }
        for state in [
            "22001", "22P02", "23000", "23502", "23503", "23505", "23514", "40002", "42000",
            "42501", "42601", "42703", "42P01", "0A000", "25001", "25P02", "55000", "HY000", "",
            "4",
        ] {
            assert!(!is_outage_state(state), "{state}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_result_codes_are_classified_by_their_lowest_byte() {
        let outages = [3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 17, 22, 26];
        for primary in 0..=28 {
            let is_expected = outages.contains(&primary);
            for extended in [primary, primary | 1 << 8, primary | 8 << 8] {
                assert_eq!(is_outage_in_sqlite(extended), is_expected, "{extended}");
            }
        }
    }
}
