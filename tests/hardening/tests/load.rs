//! A short load: `cargo xtask load` makes long ones, and measures the memory.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use hardening::load::{self, Settings};

/// A directory in memory, if there is one. A disk that others use at the same time may take longer
/// for a write than a store waits, and then 503 is the right answer.
fn directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { env::temp_dir() }
}

#[actix_web::test]
async fn every_response_and_row_under_load_matches_the_model() {
    let settings = Settings {
        program: env!("CARGO_BIN_EXE_hardening").into(),
        directory: directory(),
        server: None,
        time: Duration::from_secs(10),
        memory_may_not_grow: false,
        seed: 7,
    };
    let report = load::run(&settings).await.unwrap();
    assert!(report.violations.is_empty(), "{report}");
    // It means something only if something has happened, on a slow machine too.
    assert!(report.members.right > 0 && report.strangers.right > 0, "{report}");
    assert_eq!(report.compared.len(), 11, "each operation has been done: {report}");
    assert!(report.memory.warm > 0 && report.memory.end > 0, "{report}");
}
