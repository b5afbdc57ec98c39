//! `WithLoader`: a store of sessions alone, and users from elsewhere.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use locals::{
    Auth, AuthUser, Error, GuestRecord, SecretHash, Session, SessionId, StoreError, Timestamp,
    UserId, UserKey, WrongIdKind,
    store::{
        MemoryStore, SessionStore, SessionUserStore, SqlStore, StoreFuture, UserLoader, WithLoader,
        suite::{Harness, store_suite},
    },
};

/// A user with any type of id.
#[derive(Debug, Clone, PartialEq)]
pub struct Person<I> {
    pub id: I,
}

impl<I: Id> AuthUser for Person<I> {
    type Id = I;

    const ID_COLUMN: &'static str = "id";
    const TABLE: &'static str = "persons";

    fn id(&self) -> &I {
        &self.id
    }
}

pub trait Id: UserKey + TryFrom<UserId, Error = WrongIdKind> + Send + Sync + 'static {}

impl<I: UserKey + TryFrom<UserId, Error = WrongIdKind> + Send + Sync + 'static> Id for I {}

/// The users of an app that keeps them elsewhere. Clones share them.
#[derive(Clone, Default)]
pub struct Directory {
    users: Arc<Mutex<HashSet<UserId>>>,
    asked: Arc<AtomicUsize>,
}

impl Directory {
    pub fn add(&self, id: impl Into<UserId>) {
        self.users.lock().unwrap().insert(id.into());
    }

    pub fn remove(&self, id: &UserId) {
        self.users.lock().unwrap().remove(id);
    }
}

impl<I: Id> UserLoader<Person<I>> for Directory {
    fn load(&self, id: I) -> StoreFuture<'_, Option<Person<I>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let known = self.users.lock().unwrap().contains(&id.to_user_id());
        Box::pin(async move { Ok(known.then_some(Person { id })) })
    }
}

/// A user as the store of sessions knows them: by a text that names their table.
fn stored(id: &UserId) -> Person<String> {
    let kind = match id {
        UserId::Integer(_) => "i",
        UserId::Uuid(_) => "u",
        UserId::Text(_) => "t",
        other => panic!("a kind of id that is not known here: {other:?}"),
    };
    Person { id: format!("persons/{kind}:{id}") }
}

/// `MemoryStore` knows all users here, so that who is found is for the directory to say.
struct Joined(Directory);

impl Harness for Joined {
    type Store = WithLoader<MemoryStore<Person<String>>, Directory, Person<i64>>;
    type User = Person<i64>;

    async fn store(&self) -> Self::Store {
        WithLoader::new(MemoryStore::new(), self.0.clone())
    }

    async fn add_user(&self, store: &Self::Store, id: UserId) {
        store.sessions().insert_user(stored(&id));
        self.0.add(id);
    }

    async fn remove_user(&self, store: &Self::Store, id: UserId) {
        self.0.remove(&id);
        store.delete_by_user(&id, None).await.expect("a store without faults");
    }
}

mod conformance {
    use super::*;

    store_suite!(Joined(Directory::default()));
}

/// A memory with one user, whom the loader knows or not.
fn memory() -> MemoryStore<Person<String>> {
    let memory = MemoryStore::new();
    memory.insert_user(stored(&UserId::from(7_i64)));
    memory
}

#[actix_web::test]
async fn sessions_of_a_missing_user_are_hidden() {
    let directory = Directory::default();
    directory.add(7_i64);
    let store = WithLoader::<_, _, Person<i64>>::new(memory(), directory.clone());
    let auth = Auth::builder(store.clone()).build().unwrap();
    let session = auth.create_session(&Person { id: 7_i64 }).await.unwrap();
    assert!(store.find(session.id()).await.unwrap().is_some());

    directory.remove(&UserId::from(7_i64));

    assert!(store.find(session.id()).await.unwrap().is_none());
    assert!(store.find_with_user(session.id()).await.unwrap().is_none());
    assert!(store.sessions().find(session.id()).await.unwrap().is_some(), "it is there");
}

#[actix_web::test]
async fn the_loader_is_asked_once_for_a_session_and_never_without_one() {
    let directory = Directory::default();
    directory.add(7_i64);
    let store = WithLoader::<_, _, Person<i64>>::new(memory(), directory.clone());
    let auth = Auth::builder(store.clone()).build().unwrap();
    let session = auth.create_session(&Person { id: 7_i64 }).await.unwrap();
    let asked = || directory.asked.swap(0, Ordering::Relaxed);
    assert_eq!(asked(), 1, "whether the user is there");

    store.find(session.id()).await.unwrap();
    assert_eq!(asked(), 1);
    store.find_with_user(session.id()).await.unwrap();
    assert_eq!(asked(), 1);
    store.delete(session.id()).await.unwrap();
    store.find_with_user(session.id()).await.unwrap();
    assert_eq!(asked(), 0);
}

#[actix_web::test]
async fn a_closure_is_a_loader() {
    let store = WithLoader::new(memory(), |id: i64| async move {
        Ok::<_, std::io::Error>((id == 7).then_some(Person { id }))
    });
    let auth = Auth::<Person<i64>>::builder(store).build().unwrap();
    let session = auth.create_session(&Person { id: 7_i64 }).await.unwrap();
    let token = session.token().expose_secret();
    let (_, user) = auth.validate_session_user(token).await.unwrap().unwrap();
    assert_eq!(*user, Person { id: 7 });
}

#[actix_web::test]
async fn a_loader_that_fails_is_a_fault_of_the_store_and_logs_nobody_out() {
    let sessions = memory();
    let works = WithLoader::new(sessions.clone(), |id: i64| async move {
        Ok::<_, StoreError>(Some(Person { id }))
    });
    let auth = Auth::<Person<i64>>::builder(works).build().unwrap();
    let session = auth.create_session(&Person { id: 7_i64 }).await.unwrap();
    let fails = WithLoader::new(sessions, |_: i64| async {
        Err::<Option<Person<i64>>, _>("the directory is down")
    });
    let auth = Auth::<Person<i64>>::builder(fails).build().unwrap();
    let found = auth.validate_session(session.token().expose_secret()).await.map(drop);
    let created = auth.create_session(&Person { id: 7_i64 }).await.map(drop);
    for failed in [found, created] {
        let Err(Error::Store(StoreError::Backend(cause))) = failed else {
            panic!("a fault, not {failed:?}");
        };
        assert_eq!(cause.to_string(), "the directory is down");
    }
}

#[actix_web::test]
async fn a_session_with_an_id_of_another_kind_opens_nothing() {
    let memory = memory();
    let directory = Directory::default();
    directory.add(7_i64);
    let numbers = WithLoader::<_, _, Person<i64>>::new(memory.clone(), directory.clone());
    let auth = Auth::builder(numbers).build().unwrap();
    let session = auth.create_session(&Person { id: 7_i64 }).await.unwrap();
    let texts = WithLoader::<_, _, Person<String>>::new(memory, directory.clone());
    directory.add("7".to_owned());
    assert_eq!(texts.find_with_user(session.id()).await.unwrap(), None);
}

/// A user of another type, whose ids are the same numbers.
#[derive(Clone, AuthUser)]
#[auth_user(table = "staff")]
struct Staff {
    id: i64,
}

#[actix_web::test]
async fn two_types_of_user_in_one_store_never_have_each_others_sessions() {
    let memory = memory();
    memory.insert_user(Person { id: "staff/i:7".to_owned() });
    let persons = WithLoader::new(memory.clone(), |id: i64| async move {
        Ok::<_, StoreError>(Some(Person { id }))
    });
    let staff =
        WithLoader::new(memory, |id: i64| async move { Ok::<_, StoreError>(Some(Staff { id })) });
    let persons = Auth::<Person<i64>>::builder(persons).build().unwrap();
    let staff = Auth::<Staff>::builder(staff).build().unwrap();
    let session = persons.create_session(&Person { id: 7_i64 }).await.unwrap();
    let token = session.token().expose_secret();

    assert!(staff.validate_session(token).await.unwrap().is_none(), "it opens nothing there");
    assert!(staff.validate_session_user(token).await.unwrap().is_none());
    assert!(staff.user_sessions(7_i64).await.unwrap().is_empty(), "and is not listed");
    assert_eq!(staff.invalidate_user_sessions(7_i64).await.unwrap(), 0, "nor ended with theirs");
    assert!(persons.validate_session(token).await.unwrap().is_some());
    assert_eq!(persons.user_sessions(7_i64).await.unwrap().len(), 1);
}

#[actix_web::test]
async fn two_types_of_user_in_one_store_never_have_each_others_guests() {
    let memory = memory();
    let persons = WithLoader::<_, _, Person<i64>>::new(memory.clone(), Directory::default());
    let staff =
        WithLoader::new(memory, |id: i64| async move { Ok::<_, StoreError>(Some(Staff { id })) });
    let (id, hash) = (SessionId::from_bytes([7; 16]), SecretHash::from_bytes([7; 32]));
    let guest = GuestRecord::new(id, hash, "{}", Timestamp::from_millis(i64::MAX));
    assert!(persons.write_guest(&guest, None).await.unwrap());
    assert_eq!(persons.find_guest(guest.id).await.unwrap().as_ref(), Some(&guest));
    assert_eq!(staff.find_guest(guest.id).await.unwrap(), None);
    assert!(!staff.delete_guest(guest.id).await.unwrap());
    assert!(persons.delete_guest(guest.id).await.unwrap());
}

/// Another type for the rows of the same table, such as one that has only what sessions need.
#[cfg(feature = "sqlite")]
#[derive(AuthUser)]
#[auth_user(table = "persons")]
struct PersonId {
    id: i64,
}

#[cfg(feature = "sqlite")]
#[actix_web::test]
async fn sessions_in_the_table_beside_the_users_go_with_them_and_know_them_by_their_own_ids() {
    go_with_their_users::<Person<i64>>().await;
    go_with_their_users::<PersonId>().await;
}

#[cfg(feature = "sqlite")]
async fn go_with_their_users<T: AuthUser>() {
    let sessions = SqlStore::<_, T>::sqlite("sqlite::memory:").await.unwrap();
    let persons = "CREATE TABLE persons (id INTEGER PRIMARY KEY AUTOINCREMENT); \
                   INSERT INTO persons VALUES (1), (2)";
    sqlx::raw_sql(persons).execute(sessions.pool()).await.unwrap();
    sessions.migrate().await.unwrap();
    let directory = Directory::default();
    directory.add(1_i64);
    directory.add(2_i64);
    let store = WithLoader::new(sessions.clone(), directory.clone());
    let auth = Auth::<Person<i64>>::builder(store).build().unwrap();
    let [first, second, third] = [
        auth.create_session(&Person { id: 1 }).await,
        auth.create_session(&Person { id: 1 }).await,
        auth.create_session(&Person { id: 2 }).await,
    ]
    .map(Result::unwrap);
    let is_open = async |session: &Session| {
        let token = session.token().expose_secret();
        auth.validate_session_user(token).await.unwrap().map(|(_, user)| user.id)
    };
    assert_eq!(is_open(&first).await, Some(1));
    assert_eq!(auth.user_sessions(1_i64).await.unwrap().len(), 2);
    assert_eq!(auth.invalidate_other_sessions(&first).await.unwrap(), 1);
    assert_eq!((is_open(&second).await, is_open(&third).await), (None, Some(2)));

    sqlx::query("DELETE FROM persons WHERE id = 1").execute(sessions.pool()).await.unwrap();
    assert_eq!(is_open(&first).await, None, "the directory still knows them");
    directory.remove(&2_i64.into());
    assert_eq!(is_open(&third).await, None, "the table still has them");
}
