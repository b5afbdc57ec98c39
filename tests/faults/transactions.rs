//! Sessions inside the app's own transaction: with it, or not at all.

use locals::{Auth, Error, Session, store::MemoryStore};
use sqlx::{Sqlite, Transaction};

use crate::{
    support::{Account, Engine, Fixture, begin},
    tests_on,
};

tests_on!(all: [
    changes_in_a_transaction_commit_or_roll_back_with_it,
]);

const RENAME: &str = "UPDATE accounts SET name = 'renamed' WHERE id = 1";
const RENAMED: &str = "SELECT COUNT(*) FROM accounts WHERE name = 'renamed'";

/// The four verbs.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Create,
    EndOne,
    EndAll,
    EndOthers,
}

const VERBS: [Verb; 4] = [Verb::Create, Verb::EndOne, Verb::EndAll, Verb::EndOthers];

impl Verb {
    /// Does it beside a change of the app's own, the app's change first or last.
    async fn perform<E: Engine>(
        self,
        auth: &Auth<Account>,
        transaction: &mut Transaction<'_, E>,
        session: &Session,
    ) -> Result<Option<Session>, Error> {
        let mut created = None;
        let mut within = auth.within(transaction)?;
        match self {
            Self::Create => created = Some(within.create_session(&Account::numbered(1)).await?),
            Self::EndOne => within.invalidate_session(session.id()).await?,
            Self::EndAll => assert_eq!(within.invalidate_user_sessions(1).await?, 3),
            Self::EndOthers => assert_eq!(within.invalidate_other_sessions(session).await?, 2),
        }
        E::run_on(transaction, RENAME).await.unwrap();
        Ok(created)
    }

    /// Whose of (this session, the two others, a created one) live once it is done.
    fn outcome(self) -> [bool; 3] {
        match self {
            Self::Create => [true, true, true],
            Self::EndOne => [false, true, false],
            Self::EndAll => [false, false, false],
            Self::EndOthers => [true, false, false],
        }
    }
}

/// Three sessions of user 1, one of user 2 that nothing may touch.
struct Scene<'a> {
    auth: &'a Auth<Account>,
    own: [Session; 3],
    foreign: Session,
}

impl<'a> Scene<'a> {
    async fn new<E: Engine>(fixture: &'a Fixture<E>) -> Self {
        crate::support::run(
            &fixture.store,
            "DELETE FROM user_sessions; UPDATE accounts SET name = 'name-1' WHERE id = 1",
        )
        .await;
        let auth = &fixture.auth;
        let new = async |id| auth.create_session(&Account::numbered(id)).await.unwrap();
        Self { auth, own: [new(1).await, new(1).await, new(1).await], foreign: new(2).await }
    }

    async fn lives(&self, session: &Session) -> bool {
        let token = session.token().expose_secret();
        self.auth.validate_session(token).await.unwrap().is_some()
    }

    async fn assert<E: Engine>(
        &self,
        fixture: &Fixture<E>,
        verb: Option<Verb>,
        created: Option<&Session>,
    ) {
        let expected = verb.map_or([true, true, false], Verb::outcome);
        assert_eq!(self.lives(&self.own[0]).await, expected[0], "{verb:?}");
        for other in &self.own[1..] {
            assert_eq!(self.lives(other).await, expected[1], "{verb:?}");
        }
        if let Some(created) = created {
            assert_eq!(self.lives(created).await, expected[2], "{verb:?}");
        }
        assert!(self.lives(&self.foreign).await);
        let count = [expected[0], expected[1], expected[1], expected[2], true];
        let count = count.into_iter().map(i64::from).sum::<i64>();
        assert_eq!(fixture.sessions().await, count, "{verb:?}");
        let renamed = E::number(fixture.store.pool(), RENAMED).await;
        assert_eq!(renamed, i64::from(verb.is_some()), "{verb:?}");
    }
}

async fn changes_in_a_transaction_commit_or_roll_back_with_it<E: Engine>() {
    let fixture = Fixture::<E>::new().await;
    for verb in VERBS {
        for commits in [true, false] {
            let scene = Scene::new(&fixture).await;
            let mut transaction = begin(&fixture.store).await;
            let created = verb.perform(&fixture.auth, &mut transaction, &scene.own[0]).await;
            let created = created.unwrap();
            if commits {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
            scene.assert(&fixture, commits.then_some(verb), created.as_ref()).await;
        }
        let scene = Scene::new(&fixture).await;
        let mut transaction = begin(&fixture.store).await;
        verb.perform(&fixture.auth, &mut transaction, &scene.own[0]).await.unwrap();
        drop(transaction);
        scene.assert(&fixture, None, None).await;
    }
}

#[actix_web::test]
async fn a_transaction_of_another_store_is_refused() {
    let fixture = Fixture::<Sqlite>::new().await;
    let memory = Auth::<Account>::builder(MemoryStore::new()).build().unwrap();
    let mut transaction = begin(&fixture.store).await;
    assert!(matches!(
        memory.within(&mut transaction),
        Err(Error::WrongStore { transaction: "SQLite", .. })
    ));
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
mod on_servers {
    use super::{Error, Fixture, Scene, Sqlite, VERBS, begin};
    use crate::{proxied::Proxied, proxy::Way, servers::Server, support::Engine, tests_on};

    tests_on!(servers: [
        a_connection_lost_before_the_commit_leaves_neither_change,
        a_connection_lost_during_the_commit_leaves_both_changes_or_neither,
        a_transaction_of_another_database_is_refused,
    ]);

    async fn a_connection_lost_before_the_commit_leaves_neither_change<E: Engine + Server>() {
        let Proxied { fixture, proxy } = Proxied::<E>::new().await;
        for verb in VERBS {
            let scene = Scene::new(&fixture).await;
            let mut transaction = begin(&fixture.store).await;
            let created = verb.perform(&fixture.auth, &mut transaction, &scene.own[0]).await;
            proxy.cut();
            transaction.commit().await.expect_err("the connection is lost");
            scene.assert(&fixture, None, created.unwrap().as_ref()).await;
        }
    }

    async fn a_connection_lost_during_the_commit_leaves_both_changes_or_neither<
        E: Engine + Server,
    >() {
        let Proxied { fixture, proxy } = Proxied::<E>::new().await;
        let mut committed = 0;
        for verb in VERBS {
            for (way, bytes) in
                [(Way::ToServer, 0), (Way::ToServer, 5), (Way::FromServer, 0), (Way::FromServer, 5)]
            {
                let scene = Scene::new(&fixture).await;
                let mut transaction = begin(&fixture.store).await;
                let created = verb.perform(&fixture.auth, &mut transaction, &scene.own[0]).await;
                fixture.settle(1).await;
                proxy.cut_after(way, bytes);
                transaction.commit().await.expect_err("the connection is lost");
                assert!(!proxy.call_off());
                // The server notices by itself, and may still be at it.
                let renamed = settled(&fixture, way == Way::FromServer).await;
                committed += i32::from(renamed);
                let done = renamed.then_some(verb);
                scene.assert(&fixture, done, created.unwrap().as_ref()).await;
            }
        }
        assert_eq!(committed, 8, "those whose commit has reached the server");
    }

    /// Whether the app's own change is there, waiting a little for one that is on its way.
    async fn settled<E: Engine>(fixture: &Fixture<E>, expected: bool) -> bool {
        for _ in 0..100 {
            let renamed = E::number(fixture.store.pool(), super::RENAMED).await == 1;
            if renamed == expected {
                return renamed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        !expected
    }

    async fn a_transaction_of_another_database_is_refused<E: Engine + Server>() {
        let embedded = Fixture::<Sqlite>::new().await;
        let server = Fixture::<E>::new().await;
        let mut transaction = begin(&embedded.store).await;
        let refused = server.auth.within(&mut transaction).map(drop);
        assert!(matches!(refused, Err(Error::WrongStore { .. })), "{refused:?}");
        let mut transaction = begin(&server.store).await;
        let refused = embedded.auth.within(&mut transaction).map(drop);
        assert!(matches!(refused, Err(Error::WrongStore { .. })), "{refused:?}");
    }
}
