//! Macros for the lists of columns in the statements of all databases.

/// Passes the columns of `user_sessions` except the id to another macro, in the order of the statements:
/// first the common columns, then those that usually have their default.
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

/// The names of the columns.
macro_rules! columns {
    () => { for_columns!(columns) };
    ($first:literal $(, $name:literal)*) => { concat!($first $(, ", ", $name)*) };
}

/// The columns in a `SELECT`. Their aliases cannot collide with columns of a user, so that `FromRow` finds
/// the user's columns.
#[cfg(any(feature = "postgres", feature = "mysql"))]
macro_rules! select_columns {
    () => { for_columns!(select_columns) };
    ($first:literal $(, $name:literal)*) => {
        concat!(
            "s.", $first, " AS session__", $first
            $(, ", s.", $name, " AS session__", $name)*
        )
    };
}

/// The same for SQLite: the common columns, and the others packed into one text, which is null if they all
/// have their defaults.
///
/// This is faster, because the driver of SQLite allocates memory for each column of a row. (On PostgreSQL
/// the expression would cost more than the columns.)
#[cfg(feature = "sqlite")]
macro_rules! select_packed {
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

/// The rest of the `SELECT` that lists the sessions of a user, who is bound.
macro_rules! listed {
    ($user:literal) => {
        concat!(
            ", s.id AS session__id FROM {sessions} AS s WHERE s.user_id = ",
            $user,
            " ORDER BY s.created_at DESC, s.id DESC"
        )
    };
}

/// The `SELECT` that lists the ids and times of the sessions of a user, who is bound.
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

/// A parameter for each column, for databases without numbered parameters.
#[cfg(feature = "mysql")]
macro_rules! parameters {
    () => { for_columns!(parameters) };
    (@one $name:literal) => { ", ?" };
    ($first:literal $(, $name:literal)*) => { concat!("?" $(, parameters!(@one $name))*) };
}

/// The `FROM` and `WHERE` of a lookup of a session with its user; the key follows.
macro_rules! joined {
    () => {
        " FROM {sessions} AS s JOIN {users} AS u ON u.{user_id} = s.user_id WHERE s.id = "
    };
}
