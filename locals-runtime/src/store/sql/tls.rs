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
mod tests;
