//! The limit of sessions under simultaneous logins.

use std::cmp::Reverse;

use futures_util::future::join_all;
use locals::{Auth, AuthUser, Session, UserKey, store::suite::Harness};

/// Simultaneous logins on two nodes leave exactly the newest sessions, whatever the store does meanwhile.
pub async fn remain<H>(harness: &H, user: H::User)
where
    H: Harness<Store: Clone, User: Clone>,
{
    let store = harness.store().await;
    let id = user.id().to_user_id();
    harness.add_user(&store, id.clone()).await;
    for (at_once, most, rounds) in [(2, 1, 40), (12, 5, 20)] {
        let node = || Auth::builder(store.clone()).max_sessions(most).build().unwrap();
        let nodes: [Auth<H::User>; 2] = [node(), node()];
        for round in 0..rounds {
            let log_ins = (0..at_once).map(|number| nodes[number % 2].create_session(&user));
            let made = join_all(log_ins).await.into_iter().collect::<Result<Vec<Session>, _>>();
            let mut made = made.unwrap();
            made.sort_by_key(|session| Reverse((session.created_at(), session.id())));
            let newest: Vec<_> = made.iter().take(most).map(Session::id).collect();
            let left = nodes[0].user_sessions(id.clone()).await.unwrap();
            let left: Vec<_> = left.iter().map(|session| session.id).collect();
            assert_eq!(left, newest, "{at_once} at once, in round {round}");
            nodes[0].invalidate_user_sessions(id.clone()).await.unwrap();
        }
    }
}
