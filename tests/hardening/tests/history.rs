//! A short history, with all that can go wrong: `cargo xtask history` makes long ones.

use std::time::Duration;

use hardening::{
    database,
    history::{self, Outcome, Settings},
};

#[actix_web::test]
async fn no_client_sees_a_wrong_response_during_faults() {
    let settings = Settings {
        program: env!("CARGO_BIN_EXE_hardening").into(),
        server: database::default_server(),
        time: Duration::from_secs(12),
        clients: 12,
        seed: 7,
    };
    let report = history::run(&settings).await.unwrap();
    assert!(report.violations.is_empty(), "{report}");
    // It means something only if something has happened, on a slow machine too.
    assert!(report.with(Outcome::Done) > 0 && report.with(Outcome::Refused) > 0, "{report}");
    let failed = [Outcome::Unavailable, Outcome::Lost, Outcome::NotSent];
    assert!(failed.into_iter().map(|outcome| report.with(outcome)).sum::<usize>() > 0, "{report}");
    assert!(report.faults.len() >= 3, "{report}");
    assert_eq!(report.operations.len(), 11, "each operation has been done: {report}");
}
