//! What servers of one test alone need.

use std::{fs, net::TcpListener, os::unix::fs::MetadataExt, process::Command};

use tempfile::TempDir;

/// A directory for a server. Most refuse to run as root: then it belongs to the user that the
/// package has made for them.
pub fn directory_of(user: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    if is_root() {
        let owned = Command::new("chown").arg(user).arg(directory.path()).status();
        assert!(owned.unwrap().success(), "no user `{user}`");
    }
    directory
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
