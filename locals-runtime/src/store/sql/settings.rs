//! What a store relies on of a connection: set where it opens the database itself, demanded of a pool
//! of the app's own.
//!
//! Each fact stands here once. What is only set, such as how long a lock is waited for, keeps a request
//! from waiting in vain; what is demanded keeps a promise, and an app that breaks it is told at its start.

use std::time::Duration;

/// How long a statement may take, with the wait for a connection and for locks.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// The settings of one database.
#[derive(Debug)]
pub struct Settings {
    /// Statements that make a new connection as it should be. One that fails is of no weight: what counts
    /// is demanded afterwards.
    pub set: &'static [&'static str],
    /// Give the names and the values of the settings below, as texts.
    pub queries: &'static [&'static str],
    pub demanded: &'static [Setting],
}

/// A setting that some promise depends on.
#[derive(Debug)]
pub struct Setting {
    /// Its name; older versions may have called it otherwise.
    pub names: &'static [&'static str],
    pub is_right: fn(&str) -> bool,
    /// What to write.
    pub wanted: &'static str,
    /// What happens otherwise.
    pub otherwise: &'static str,
    /// Whether it matters only where sessions have a foreign key to their users.
    pub is_for_foreign_keys: bool,
}

impl Settings {
    /// What is wrong with these values.
    pub fn complaints(&self, found: &[(String, String)], has_foreign_key: bool) -> Vec<String> {
        let demanded = self.demanded.iter();
        let demanded = demanded.filter(|setting| has_foreign_key || !setting.is_for_foreign_keys);
        demanded.filter_map(|setting| setting.complaint(found)).collect()
    }
}

impl Setting {
    fn complaint(&self, found: &[(String, String)]) -> Option<String> {
        let is_named = |name: &str| self.names.iter().any(|it| it.eq_ignore_ascii_case(name));
        // A server that does not know a setting cannot have it wrong.
        let (name, value) = found.iter().find(|(name, _)| is_named(name))?;
        (!(self.is_right)(value)).then(|| {
            format!(
                "connections have `{name} = {value}`, by which {}: give them `{}`, or let the store \
                 open the database",
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

/// What is set here besides stands with the options of the database, in `open`.
#[cfg(feature = "sqlite")]
pub const SQLITE: Settings = Settings {
    set: &[],
    queries: &["SELECT 'query_only', CAST(query_only AS TEXT) FROM pragma_query_only"],
    demanded: &[Setting {
        names: &["query_only"],
        is_right: |value| value == "0",
        wanted: "PRAGMA query_only = OFF",
        otherwise: "nothing can be written",
        is_for_foreign_keys: false,
    }],
};

/// Whatever somebody has chosen for the app's own queries stays as it is, as long as sessions can live
/// with it: the level of isolation, a time to wait for locks.
#[cfg(feature = "postgres")]
pub const POSTGRES: Settings = Settings {
    set: &[
        "SELECT set_config('lock_timeout', CASE current_setting('lock_timeout') \
           WHEN '0' THEN '2s' ELSE current_setting('lock_timeout') END, false), \
         set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
           WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
        // Of version 14, and not on every system.
        "SELECT set_config(name, '1s', false) FROM pg_settings \
         WHERE name = 'client_connection_check_interval' AND setting = '0'",
    ],
    queries: &["SELECT name, setting FROM pg_settings \
                WHERE name IN ('transaction_read_only', 'session_replication_role')"],
    demanded: &[
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

/// The driver sets the time zone, by which it reads the app's own times, and more of the SQL mode.
#[cfg(feature = "mysql")]
pub const MYSQL: Settings = Settings {
    set: &[
        // By the name that it has on this kind of server.
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
        // It cuts off the other list, too, but nothing that has a limit of its own.
        "SELECT 'sql_select_limit', CAST(@@sql_select_limit AS CHAR) LIMIT 1",
        "SHOW SESSION VARIABLES WHERE Variable_name IN ('autocommit', 'tx_isolation', \
         'transaction_isolation', 'tx_read_only', 'transaction_read_only', 'completion_type', \
         'foreign_key_checks', 'sql_mode')",
    ],
    demanded: &[
        Setting {
            names: &["autocommit"],
            is_right: is_on,
            wanted: "autocommit = 1",
            otherwise: "what is answered is never committed",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["transaction_isolation", "tx_isolation"],
            is_right: |value| !value.eq_ignore_ascii_case("READ-UNCOMMITTED"),
            wanted: "transaction_isolation = 'REPEATABLE-READ'",
            otherwise: "what is rolled back is read as if it had happened",
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
            otherwise: "a transaction goes on behind its end, and what is written there is lost",
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
            otherwise: "values that do not fit are changed in silence",
            is_for_foreign_keys: false,
        },
        Setting {
            names: &["sql_select_limit"],
            // The default of either kind of server, and more than any user has sessions.
            is_right: |value| value.parse::<u64>().is_ok_and(|limit| limit >= 1 << 31),
            wanted: "sql_select_limit = 18446744073709551615",
            otherwise: "lists are cut off",
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
    fn a_setting_is_demanded_under_each_of_its_names() {
        for name in ["tx_isolation", "transaction_isolation"] {
            assert_eq!(complaints(&[(name, "READ-UNCOMMITTED")], true), 1, "{name}");
            assert_eq!(complaints(&[(name, "SERIALIZABLE")], true), 0, "{name}");
        }
    }

    #[test]
    fn foreign_keys_are_demanded_only_where_there_are_any() {
        assert_eq!(complaints(&[("foreign_key_checks", "OFF")], true), 1);
        assert_eq!(complaints(&[("foreign_key_checks", "OFF")], false), 0);
    }

    #[test]
    fn a_complaint_says_what_was_found_what_it_does_and_what_to_write() {
        let found = [("autocommit".to_owned(), "OFF".to_owned())];
        assert_eq!(
            MYSQL.complaints(&found, true),
            [
                "connections have `autocommit = OFF`, by which what is answered is never committed: give \
              them `autocommit = 1`, or let the store open the database"
            ]
        );
    }
}
