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
