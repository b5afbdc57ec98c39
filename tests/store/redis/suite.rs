//! The published suite, on one server and on a cluster of three, with each type of id.

use std::{marker::PhantomData, sync::OnceLock};

use locals::{
    UserId,
    store::{
        RedisStore, SessionStore, WithLoader,
        suite::{Harness, store_suite},
    },
};

use super::{
    Keys, Store, new_prefix,
    server::{Server, start_cluster},
};
use crate::{
    conformance::suites,
    loader::{Directory, Id, Person},
};

/// A cluster for all tests of this process.
pub fn cluster() -> impl Iterator<Item = String> {
    static CLUSTER: OnceLock<Vec<Server>> = OnceLock::new();
    CLUSTER.get_or_init(|| start_cluster(0)).iter().map(Server::url)
}

struct OneServer<I> {
    keys: Keys,
    users: Directory,
    id: PhantomData<I>,
}

struct Cluster<I> {
    users: Directory,
    id: PhantomData<I>,
}

fn one_server<I>() -> OneServer<I> {
    OneServer { keys: Keys::new(), users: Directory::default(), id: PhantomData }
}

fn three_nodes<I>() -> Cluster<I> {
    Cluster { users: Directory::default(), id: PhantomData }
}

impl<I: Id> Harness for OneServer<I> {
    type Store = Store<I>;
    type User = Person<I>;

    async fn store(&self) -> Self::Store {
        WithLoader::new(self.keys.store().await, self.users.clone())
    }

    async fn add_user(&self, _: &Self::Store, id: UserId) {
        self.users.add(id);
    }

    async fn remove_user(&self, store: &Self::Store, id: UserId) {
        remove(&self.users, store, &id).await;
    }
}

impl<I: Id> Harness for Cluster<I> {
    type Store = Store<I>;
    type User = Person<I>;

    async fn store(&self) -> Self::Store {
        let sessions = RedisStore::cluster(cluster()).await.expect("a cluster");
        WithLoader::new(sessions.prefix(&new_prefix()), self.users.clone())
    }

    async fn add_user(&self, _: &Self::Store, id: UserId) {
        self.users.add(id);
    }

    async fn remove_user(&self, store: &Self::Store, id: UserId) {
        remove(&self.users, store, &id).await;
    }
}

/// No foreign key does it, so the app ends the sessions of a user whom it deletes.
async fn remove<I: Id>(users: &Directory, store: &Store<I>, id: &UserId) {
    users.remove(id);
    store.delete_by_user(id, None).await.expect("a store without faults");
}

suites! {
    one_server_i64: one_server::<i64>();
    one_server_text: one_server::<String>();
    one_server_uuid: one_server::<uuid::Uuid>();
    cluster_i64: three_nodes::<i64>();
    cluster_text: three_nodes::<String>();
    cluster_uuid: three_nodes::<uuid::Uuid>();
}

#[actix_web::test]
async fn simultaneous_logins_leave_the_newest_sessions_on_one_server() {
    crate::newest::remain(&one_server::<i64>(), Person { id: 1 }).await;
}

#[actix_web::test]
async fn simultaneous_logins_leave_the_newest_sessions_on_a_cluster() {
    crate::newest::remain(&three_nodes::<i64>(), Person { id: 1 }).await;
}
