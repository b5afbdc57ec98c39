//! Warns about unencrypted connections to a database on another machine.

use std::net::IpAddr;

/// The address of a database server, and what its URL says about encryption.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// The host, as the options of sqlx return it.
    pub host: &'a str,
    /// Whether it is a Unix socket, whatever the host.
    pub is_socket: bool,
    /// Whether the URL decides about encryption: `sslmode=disable`, or a mode that requires it.
    pub is_decided: bool,
}

/// Whether connections to this address are unencrypted although nobody has chosen that. `has_tls` says
/// whether this build supports TLS; sqlx then encrypts if the server supports it.
pub fn warns(address: Address<'_>, has_tls: bool) -> bool {
    let Address { host, is_socket, is_decided } = address;
    !has_tls && !is_decided && !is_socket && !is_loopback(host)
}

/// Whether a host is this machine, judging by its name.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_canonical().is_loopback();
    }
    let host = host.to_ascii_lowercase();
    host.is_empty() || host == "localhost" || host.ends_with(".localhost")
}

/// Logs a warning if connections to the address are unencrypted.
pub fn warn(address: Address<'_>) {
    if warns(address, cfg!(any(feature = "tls-rustls", feature = "tls-native"))) {
        tracing::warn!(
            "the connection to the database at {} is not encrypted: enable the feature \
             `tls-rustls` of `locals` and add `sslmode=verify-full` (MySQL, MariaDB: \
             `ssl-mode=VERIFY_IDENTITY`) to its URL; or, on a trusted network, add \
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
    fn only_addresses_of_other_machines_cause_a_warning() {
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
    fn there_is_no_warning_with_tls_on_a_socket_or_with_an_explicit_mode() {
        let remote = at("db.internal");
        assert!(!warns(remote, true));
        assert!(!warns(Address { is_socket: true, ..remote }, false));
        assert!(!warns(Address { is_decided: true, ..remote }, false));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgres_urls_are_interpreted_as_by_the_driver() {
        // If a URL has no mode, the variable `PGSSLMODE` may set it.
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
    fn mysql_urls_are_interpreted_as_by_the_driver() {
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
