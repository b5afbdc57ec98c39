//! Whether a database is reached without encryption although it is on another machine.

use std::net::IpAddr;

/// How far an address leads, and what its URL says of encryption.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// The host, as options of sqlx give it.
    pub host: &'a str,
    /// Whether it is a Unix socket, whatever the host.
    pub is_socket: bool,
    /// Whether the URL says itself whether there is to be encryption: `sslmode=disable`, or one of
    /// those without which no connection is opened.
    pub is_decided: bool,
}

/// Whether what is sent to this address is read by whoever is on the way, and nobody has said that
/// it may be. `has_tls`: whether this build can encrypt; then sqlx does where the server can.
pub fn warns(address: Address<'_>, has_tls: bool) -> bool {
    let Address { host, is_socket, is_decided } = address;
    !has_tls && !is_decided && !is_socket && !is_loopback(host)
}

/// Whether a host is this machine, as far as its name tells.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let host = host.to_ascii_lowercase();
    host.is_empty() || host == "localhost" || host.ends_with(".localhost")
}

/// Warns of an address, if there is something to warn of.
pub fn warn(address: Address<'_>) {
    if warns(address, cfg!(any(feature = "tls-rustls", feature = "tls-native"))) {
        tracing::warn!(
            "the connection to the database at {} is not encrypted: turn on the feature \
             `tls-rustls` of `locals`, and write `sslmode=verify-full` (MySQL, MariaDB: \
             `ssl-mode=VERIFY_IDENTITY`) into its URL; or, where nobody can listen on the way, \
             `sslmode=disable` (`ssl-mode=DISABLED`)",
            address.host
        );
    }
}

impl<'a> Address<'a> {
    #[cfg(feature = "postgres")]
    pub fn of_postgres(options: &'a sqlx::postgres::PgConnectOptions) -> Self {
        use sqlx::postgres::PgSslMode::{Allow, Prefer};

        let host = options.get_host();
        Self {
            host,
            is_socket: options.get_socket().is_some() || host.starts_with('/'),
            is_decided: !matches!(options.get_ssl_mode(), Allow | Prefer),
        }
    }

    #[cfg(feature = "mysql")]
    pub fn of_mysql(options: &'a sqlx::mysql::MySqlConnectOptions) -> Self {
        use sqlx::mysql::MySqlSslMode::Preferred;

        Self {
            host: options.get_host(),
            is_socket: options.get_socket().is_some(),
            is_decided: !matches!(options.get_ssl_mode(), Preferred),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str) -> Address<'_> {
        Address { host, is_socket: false, is_decided: false }
    }

    #[test]
    fn another_machine_is_warned_of_and_this_one_is_not() {
        for host in ["db.internal", "db", "10.0.0.7", "[2001:db8::7]", "localhost.example"] {
            assert!(warns(at(host), false), "{host}");
        }
        for host in ["localhost", "LOCALHOST.", "db.localhost", "127.0.0.1", "127.8.8.8", ""] {
            assert!(!warns(at(host), false), "{host}");
        }
        for host in ["::1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(!warns(at(host), false), "{host}");
        }
    }

    #[test]
    fn nobody_is_warned_with_tls_on_a_socket_or_who_has_decided() {
        let remote = at("db.internal");
        assert!(!warns(remote, true));
        assert!(!warns(Address { is_socket: true, ..remote }, false));
        assert!(!warns(Address { is_decided: true, ..remote }, false));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn urls_of_postgres_are_understood_as_its_driver_does() {
        // What a URL leaves open, the variable `PGSSLMODE` may decide.
        let warns_of = |url: &str| {
            let mode = if url.contains('?') { "&sslmode=prefer" } else { "?sslmode=prefer" };
            let is_decided = url.contains("sslmode=");
            let url = if is_decided { url.to_owned() } else { format!("{url}{mode}") };
            let options = url.parse().unwrap();
            warns(Address::of_postgres(&options), false)
        };
        for url in [
            "postgres://app:secret@db.internal/app",
            "postgres://app@127.0.0.1/app?host=db.internal",
            "postgres://app@[2001:db8::7]/app?sslmode=prefer",
            "postgres://app@db.internal/app?sslmode=allow",
        ] {
            assert!(warns_of(url), "{url}");
        }
        for url in [
            "postgres://app:secret@localhost/app",
            "postgres://app@[::1]:5433/app",
            "postgres://app@%2Fvar%2Frun%2Fpostgresql/app",
            "postgres://app@db.internal/app?host=/var/run/postgresql",
            "postgres://app@db.internal/app?sslmode=disable",
            "postgres://app@db.internal/app?sslmode=verify-full",
        ] {
            assert!(!warns_of(url), "{url}");
        }
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn urls_of_mysql_are_understood_as_its_driver_does() {
        let warns_of = |url: &str| {
            let options = url.parse().unwrap();
            warns(Address::of_mysql(&options), false)
        };
        for url in ["mysql://app:secret@db.internal/app", "mysql://app@10.0.0.7/app"] {
            assert!(warns_of(url), "{url}");
        }
        for url in [
            "mysql://app@localhost/app",
            "mysql://app@db.internal/app?socket=/run/mysqld/mysqld.sock",
            "mysql://app@db.internal/app?ssl-mode=DISABLED",
            "mysql://app@db.internal/app?ssl-mode=VERIFY_IDENTITY",
        ] {
            assert!(!warns_of(url), "{url}");
        }
    }
}
