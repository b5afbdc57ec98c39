//! Two nodes whose clocks differ.

use std::time::Duration;

use locals::{Clock, ManualClock, Timestamp, store::SessionStore};
use sqlx::Postgres;

use crate::support::{Account, Engine, Fixture};

const CLOCK_SKEW: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

#[actix_web::test]
async fn nodes_30_seconds_apart_agree_and_never_restore_an_ended_session() {
    let fixture = Fixture::<Postgres>::new().await;
    let second = Postgres::open(&fixture.url).await;
    let start = Timestamp::from_millis(1_800_000_000_000);
    let clocks = [ManualClock::at(start), ManualClock::at(start + CLOCK_SKEW)];
    let nodes = [(&fixture.store, &clocks[0]), (&second, &clocks[1])]
        .map(|(store, clock)| Postgres::builder(store.clone()).clock(clock.clone()).build());
    let nodes = nodes.map(Result::unwrap);
    let go_on = |by: Duration| clocks.iter().for_each(|clock| clock.advance(by));
    let validate =
        async |node: usize, token: &str| nodes[node].validate_session(token).await.unwrap();
    let row = async |id| fixture.store.find(id).await.unwrap();

    // Steps of every length: within the active period, into the idle one, and past the end.
    for (number, step) in [7, 60, 23 * 60 + 58, 24 * 60 + 2, 5 * 24 * 60, 14 * 24 * 60 + 23 * 60]
        .into_iter()
        .enumerate()
    {
        let (maker, other) = (number % 2, (number + 1) % 2);
        let session = nodes[maker].create_session(&Account::numbered(1)).await.unwrap();
        let token = session.token().expose_secret();
        let mut last = row(session.id()).await.unwrap();
        while clocks[1].now() + 2 * MINUTE < last.idle_expires_at.min(last.absolute_expires_at) {
            for node in [maker, other] {
                assert!(validate(node, token).await.is_some(), "step {step}, node {node}");
            }
            let now = row(session.id()).await.unwrap();
            assert!(now.active_expires_at >= last.active_expires_at, "renewal never shortens");
            assert!(now.idle_expires_at >= last.idle_expires_at, "renewal never shortens");
            assert_eq!(now.absolute_expires_at, last.absolute_expires_at);
            last = now;
            go_on(step * MINUTE);
        }
        go_on(2 * MINUTE);
        for node in [0, 1, 0] {
            if clocks[node].now() >= last.idle_expires_at {
                assert!(validate(node, token).await.is_none(), "step {step}, node {node}");
                let renewed = nodes[node].renew_session(&session).await.unwrap();
                assert!(renewed.is_none(), "it has ended");
            }
        }
        assert_eq!(row(session.id()).await.unwrap(), last, "nobody has written it since");
    }

    // Ended on either, it is ended on both, whatever the clocks.
    for (here, there) in [(0, 1), (1, 0)] {
        let session = nodes[here].create_session(&Account::numbered(1)).await.unwrap();
        go_on(25 * HOUR);
        nodes[there].invalidate_session(session.id()).await.unwrap();
        for node in [0, 1] {
            assert!(validate(node, session.token().expose_secret()).await.is_none());
            assert!(nodes[node].renew_session(&session).await.unwrap().is_none());
        }
        assert!(row(session.id()).await.is_none());
    }
}

#[actix_web::test]
async fn a_clock_that_goes_back_an_hour_keeps_tokens_valid_and_shortens_none() {
    let fixture = Fixture::<Postgres>::new().await;
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let auth = Postgres::builder(fixture.store.clone()).clock(clock.clone()).build().unwrap();
    let session = auth.create_session(&Account::numbered(1)).await.unwrap();
    let token = session.token().expose_secret();
    clock.advance(25 * HOUR);
    assert!(auth.validate_session(token).await.unwrap().is_some_and(|found| found.is_fresh()));
    let before = fixture.store.find(session.id()).await.unwrap();

    clock.set(Timestamp::from_millis(clock.now().as_millis() - 3_600_000));
    assert!(auth.validate_session(token).await.unwrap().is_some());
    assert!(auth.renew_session(&session).await.unwrap().is_some());
    assert_eq!(fixture.store.find(session.id()).await.unwrap(), before);
}
