//! The settings of connections that a store needs. They are set if the store opens the database, and
//! checked on a pool that the app has opened itself.
//!
//! Settings that are only set, such as the lock timeout, improve response times. Settings that are
//! required protect a guarantee of the library; if one of them is wrong, the app gets an error at
//! start-up.

use std::time::Duration;

/// The timeout of a statement, including the wait for a connection and for locks.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// The settings of one database.
#[derive(Debug)]
pub struct Settings {
    /// Statements that set up a new connection. Their failures are ignored, because what matters is checked
    /// afterwards.
    pub set: &'static [&'static str],
    /// Queries that return the names and values of the settings below, as text.
    pub queries: &'static [&'static str],
    pub required: &'static [Setting],
}

/// A setting that a guarantee of the library depends on.
#[derive(Debug)]
pub struct Setting {
    /// Its names in the different versions of the server.
    pub names: &'static [&'static str],
    pub is_right: fn(&str) -> bool,
    /// The right setting, as it is written.
    pub wanted: &'static str,
    /// The consequence of a wrong value.
    pub otherwise: &'static str,
    /// Whether it matters only if sessions have a foreign key to their users.
    pub is_for_foreign_keys: bool,
}

impl Settings {
    /// Returns a message for each wrong value.
    pub fn complaints(&self, found: &[(String, String)], has_foreign_key: bool) -> Vec<String> {
        let required = self.required.iter();
        let required = required.filter(|setting| has_foreign_key || !setting.is_for_foreign_keys);
        required.filter_map(|setting| setting.complaint(found)).collect()
    }
}

impl Setting {
    fn complaint(&self, found: &[(String, String)]) -> Option<String> {
        let is_named = |name: &str| self.names.iter().any(|it| it.eq_ignore_ascii_case(name));
        // A server without the setting cannot have a wrong value.
        let (name, value) = found.iter().find(|(name, _)| is_named(name))?;
        (!(self.is_right)(value)).then(|| {
            format!(
                "connections have `{name} = {value}`, so {}: set `{}`, or let the store open the \
                 database",
                self.otherwise, self.wanted
            )
        })
    }
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
fn is_off(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "off" | "0")
}

#[cfg(feature = "mysql")]
fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "on" | "1")
}

/// The other settings of SQLite are options of the connection, see `open`.
#[cfg(feature = "sqlite")]
pub const SQLITE: Settings = Settings {
    set: &[],
    queries: &["SELECT 'query_only', CAST(query_only AS TEXT) FROM pragma_query_only"],
    required: &[Setting {
        names: &["query_only"],
        is_right: |value| value == "0",
        wanted: "PRAGMA query_only = OFF",
        otherwise: "nothing can be written",
        is_for_foreign_keys: false,
    }],
};

/// Settings that the app has chosen for its own queries are kept if they are safe for sessions, such as
/// the isolation level or a lock timeout.
#[cfg(feature = "postgres")]
pub const POSTGRES: Settings = Settings {
    set: &[
        "SELECT set_config('lock_timeout', CASE current_setting('lock_timeout') \
           WHEN '0' THEN '2s' ELSE current_setting('lock_timeout') END, false), \
         set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
           WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
        // Since version 14, and not on every platform.
        "SELECT set_config(name, '1s', false) FROM pg_settings \
         WHERE name = 'client_connection_check_interval' AND setting = '0'",
    ],
    queries: &["SELECT name, setting FROM pg_settings \
                WHERE name IN ('transaction_read_only', 'session_replication_role')"],
    required: &[
        Setting {
            names: &["transaction_read_only"],
            is_right: is_off,
            wanted: "default_transaction_read_only = off",
            otherwise: "nothing can be written (as on a standby)",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["session_replication_role"],
            is_right: |value| value != "replica",
            wanted: "session_replication_role = origin",
            otherwise: "foreign keys are not enforced, and sessions outlive their users",
            is_for_foreign_keys: true,
        },
    ],
};

/// The driver itself sets the time zone and further parts of the SQL mode.
#[cfg(feature = "mysql")]
pub const MYSQL: Settings = Settings {
    set: &[
        // Under both names, of which each kind of server has one.
        "SET SESSION tx_isolation = \
         IF(@@tx_isolation = 'READ-UNCOMMITTED', 'READ-COMMITTED', @@tx_isolation)",
        "SET SESSION transaction_isolation = IF(@@transaction_isolation = 'READ-UNCOMMITTED', \
         'READ-COMMITTED', @@transaction_isolation)",
        "SET autocommit = 1, completion_type = 0, foreign_key_checks = 1, \
         sql_select_limit = 18446744073709551615, \
         sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'), \
         lock_wait_timeout = LEAST(@@lock_wait_timeout, 2), \
         innodb_lock_wait_timeout = LEAST(@@innodb_lock_wait_timeout, 2)",
    ],
    queries: &[
        // Read by itself with a `LIMIT`, because the setting truncates results without one, such as the
        // list below.
        "SELECT 'sql_select_limit', CAST(@@sql_select_limit AS CHAR) LIMIT 1",
        "SHOW SESSION VARIABLES WHERE Variable_name IN ('autocommit', 'tx_isolation', \
         'transaction_isolation', 'tx_read_only', 'transaction_read_only', 'completion_type', \
         'foreign_key_checks', 'sql_mode')",
    ],
    required: &[
        Setting {
            names: &["autocommit"],
            is_right: is_on,
            wanted: "autocommit = 1",
            otherwise: "acknowledged writes are never committed",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["transaction_isolation", "tx_isolation"],
            is_right: |value| !value.eq_ignore_ascii_case("READ-UNCOMMITTED"),
            wanted: "transaction_isolation = 'REPEATABLE-READ'",
            otherwise: "uncommitted changes are read",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["transaction_read_only", "tx_read_only"],
            is_right: is_off,
            wanted: "transaction_read_only = 0",
            otherwise: "nothing can be written",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["completion_type"],
            is_right: |value| matches!(value, "NO_CHAIN" | "0"),
            wanted: "completion_type = NO_CHAIN",
            otherwise: "a new transaction begins after each commit, and its writes are lost",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["sql_mode"],
            is_right: |value| {
                ["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL"]
                    .iter()
                    .any(|strict| value.contains(strict))
            },
            wanted: "sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES')",
            otherwise: "values that do not fit are silently changed",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["sql_select_limit"],
            // Accepts the defaults of both kinds of server, and any limit above the sessions of a user.
            is_right: |value| value.parse::<u64>().is_ok_and(|limit| limit >= 1 << 31),
            wanted: "sql_select_limit = 18446744073709551615",
            otherwise: "lists are truncated",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["foreign_key_checks"],
            is_right: is_on,
            wanted: "foreign_key_checks = 1",
            otherwise: "sessions outlive their users",
            is_for_foreign_keys: true,
        },
    ],
};

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use super::*;

    fn complaints(found: &[(&str, &str)], has_foreign_key: bool) -> usize {
        let found: Vec<_> =
            found.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        MYSQL.complaints(&found, has_foreign_key).len()
    }

    #[test]
    fn a_setting_is_checked_under_each_of_its_names() {
        for name in ["tx_isolation", "transaction_isolation"] {
            assert_eq!(complaints(&[(name, "READ-UNCOMMITTED")], true), 1, "{name}");
            assert_eq!(complaints(&[(name, "SERIALIZABLE")], true), 0, "{name}");
        }
    }

    #[test]
    fn foreign_key_checks_are_required_only_with_foreign_keys() {
        assert_eq!(complaints(&[("foreign_key_checks", "OFF")], true), 1);
        assert_eq!(complaints(&[("foreign_key_checks", "OFF")], false), 0);
    }

    #[test]
    fn a_message_names_the_value_its_consequence_and_the_right_setting() {
        let found = [("autocommit".to_owned(), "OFF".to_owned())];
        assert_eq!(
            MYSQL.complaints(&found, true),
            [
                "connections have `autocommit = OFF`, so acknowledged writes are never committed: set \
                 `autocommit = 1`, or let the store open the database"
            ]
        );
    }
}
