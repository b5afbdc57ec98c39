//! The lists of columns that the statements of all databases share.

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
