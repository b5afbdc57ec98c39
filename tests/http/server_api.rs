//! `Auth<T>` without a request: create, validate, renew, end, list, sweep.

use std::time::Duration;

use locals::{Error, SessionState, StoreError, UserId};

use crate::support::{Account, DAY, Fixture};

#[actix_web::test]
async fn a_created_session_is_valid_active_and_fresh() {
    let fixture = Fixture::new().await;
    let account = fixture.account(1).await;
    let session = fixture.auth.create_session(&account).await.unwrap();
    assert_eq!(session.user_id(), &UserId::Integer(1));
    assert_eq!((session.state(), session.is_fresh()), (SessionState::Active, true));
    assert_eq!(session.created_at(), fixture.now());
    assert_eq!(session.authenticated_at(), fixture.now());
    assert_eq!(session.active_expires_at(), fixture.now() + DAY);
    assert_eq!(session.idle_expires_at(), fixture.now() + 15 * DAY);
    assert_eq!(session.absolute_expires_at(), fixture.now() + 30 * DAY);

    let token = session.token().expose_secret();
    let found = fixture.auth.validate_session(token).await.unwrap().unwrap();
    assert_eq!((found.id(), found.is_fresh()), (session.id(), false));
    let (found, user) = fixture.auth.validate_session_user(token).await.unwrap().unwrap();
    assert_eq!((found.id(), &*user), (session.id(), &account));
}

#[actix_web::test]
async fn validating_an_idle_session_renews_it_once() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let token = session.token().expose_secret();
    fixture.clock.advance(2 * DAY);
    let found = fixture.auth.validate_session(token).await.unwrap().unwrap();
    assert_eq!((found.state(), found.is_fresh()), (SessionState::Idle, true));
    assert_eq!(found.idle_expires_at(), fixture.now() + 15 * DAY);
    let (again, _) = fixture.auth.validate_session_user(token).await.unwrap().unwrap();
    assert_eq!((again.state(), again.is_fresh()), (SessionState::Active, false));
    assert_eq!(again.idle_expires_at(), found.idle_expires_at());
    assert_eq!(fixture.store.writes(), 1);
}

#[actix_web::test]
async fn a_token_that_opens_nothing_is_none_and_a_malformed_one_costs_no_query() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    for malformed in ["", "x", &session.id().to_string(), &"a".repeat(65)] {
        assert!(fixture.auth.validate_session(malformed).await.unwrap().is_none());
        assert!(fixture.auth.validate_session_user(malformed).await.unwrap().is_none());
    }
    assert_eq!(fixture.store.calls(), 0);
    assert!(fixture.auth.validate_session(&"a".repeat(64)).await.unwrap().is_none());

    fixture.clock.advance(15 * DAY);
    let token = session.token().expose_secret();
    assert!(fixture.auth.validate_session(token).await.unwrap().is_none());
    assert!(fixture.auth.validate_session_user(token).await.unwrap().is_none());
}

#[actix_web::test]
async fn ending_a_session_deletes_its_row_and_an_unknown_id_is_no_error() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    for _ in 0..2 {
        fixture.auth.invalidate_session(session.id()).await.unwrap();
        assert_eq!(fixture.rows().await, 0);
    }
    let token = session.token().expose_secret();
    assert!(fixture.auth.validate_session(token).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_session_can_be_renewed_before_it_is_idle_but_not_after_it_has_ended() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    fixture.clock.advance(DAY / 2);
    let renewed = fixture.auth.renew_session(&session).await.unwrap().unwrap();
    assert!(renewed.is_fresh());
    assert_eq!(renewed.active_expires_at(), fixture.now() + DAY);
    assert_eq!(renewed.absolute_expires_at(), session.absolute_expires_at());
    let row = fixture.row(&session).await.unwrap();
    assert_eq!(row.active_expires_at, renewed.active_expires_at());

    fixture.auth.invalidate_session(session.id()).await.unwrap();
    assert!(fixture.auth.renew_session(&renewed).await.unwrap().is_none());
    assert_eq!(fixture.rows().await, 0);
}

#[actix_web::test]
async fn the_sessions_of_a_user_are_listed_and_ended_by_the_users_id() {
    let fixture = Fixture::new().await;
    let account = fixture.account(1).await;
    let other = fixture.session(2).await;
    let kept = fixture.auth.create_session(&account).await.unwrap();
    for _ in 0..2 {
        fixture.auth.create_session(&account).await.unwrap();
    }
    assert_eq!(fixture.auth.user_sessions(account.id).await.unwrap().len(), 3);
    assert_eq!(fixture.auth.invalidate_other_sessions(&kept).await.unwrap(), 2);
    assert_eq!(fixture.auth.invalidate_user_sessions(account.id).await.unwrap(), 1);
    assert_eq!(fixture.auth.invalidate_user_sessions(account.id).await.unwrap(), 0);
    assert!(fixture.row(&other).await.is_some());
}

#[actix_web::test]
async fn an_id_of_another_type_is_an_error_and_not_a_user_without_sessions() {
    let fixture = Fixture::new().await;
    let session = fixture.session(7).await;
    let ended = fixture.auth.invalidate_user_sessions("7").await;
    assert!(matches!(ended, Err(Error::WrongUserId(_))), "{ended:?}");
    assert!(fixture.auth.user_sessions(uuid::Uuid::nil()).await.is_err());
    assert!(fixture.row(&session).await.is_some());
}

#[actix_web::test]
async fn the_sweeper_deletes_expired_rows_in_batches_and_nothing_else() {
    let fixture = Fixture::new().await;
    let account = fixture.account(1).await;
    let open = fixture.auth.create_session(&account).await.unwrap();
    let expired =
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
        INSERT INTO user_sessions (id, secret_hash, user_id, created_at, authenticated_at,
            renewed_at, active_expires_at, idle_expires_at, absolute_expires_at)
        SELECT randomblob(16), randomblob(32), 1, 0, 0, 0, 1, 2, 3 FROM n";
    sqlx::query(expired).execute(fixture.pool()).await.unwrap();
    fixture.store.forget();
    assert_eq!(fixture.auth.delete_expired_sessions().await.unwrap(), 2_500);
    assert_eq!(fixture.store.writes(), 3, "a thousand at a time");
    assert_eq!(fixture.rows().await, 1);
    assert!(fixture.row(&open).await.is_some());
}

#[actix_web::test]
async fn a_sweeper_with_an_interval_of_zero_is_an_error() {
    let fixture = Fixture::new().await;
    let error = fixture.auth.spawn_sweeper(Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("interval") && error.contains("zero"), "{error}");
    let ended = fixture.session(1).await;
    fixture.clock.advance(30 * DAY);
    let sweeper = fixture.auth.spawn_sweeper(Duration::from_millis(1)).unwrap();
    while fixture.rows().await > 0 {
        actix_web::rt::task::yield_now().await;
    }
    drop((sweeper, ended));
}

#[actix_web::test]
async fn a_fault_of_the_store_is_an_error_and_never_none() {
    let fixture = Fixture::new().await;
    let session = fixture.session(1).await;
    let token = session.token().expose_secret();
    fixture.store.fail(true);
    let account = Account { id: 1, name: String::new() };
    let results = [
        fixture.auth.validate_session(token).await.err(),
        fixture.auth.validate_session_user(token).await.err(),
        fixture.auth.create_session(&account).await.err(),
        fixture.auth.renew_session(&session).await.err(),
        fixture.auth.invalidate_session(session.id()).await.err(),
        fixture.auth.invalidate_user_sessions(1).await.err(),
        fixture.auth.user_sessions(1).await.err(),
        fixture.auth.delete_expired_sessions().await.err(),
    ];
    for error in results {
        assert!(matches!(error, Some(Error::Store(StoreError::Backend(_)))), "{error:?}");
    }
}
