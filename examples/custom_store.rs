//! A custom store: sessions in an append-only file, for a single process.
//!
//! `cargo run --example custom_store`, log in, stop the program and start it again: you are still
//! logged in. `cargo test --example custom_store` runs the tests that every store must pass.
//!
//! It implements [`SessionStore`], which does not load users: [`WithLoader`] adds that.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    convert::Infallible,
    env,
    fs::{self, File},
    future::ready,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use actix_web::{App, HttpServer, Responder, get, post, web};
use locals::{
    Auth, AuthUser, CookieConfig, CredentialHash, DataChange, Error, GuestRecord, Locals, Periods,
    Renewal, Rotation, SecretHash, SessionId, SessionRecord, SessionTimes, StoreError, Timestamp,
    TokenChange, User, UserId,
    store::{End, Ends, SessionStore, StoreFuture, WithLoader},
    with_session,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Sessions and guests in memory, and in a file that is read at startup.
///
/// Each line of the file is a transaction. It is written to disk before it takes effect, and an
/// incomplete line is ignored, so transactions are atomic even if the power fails. Clones share the
/// same data.
#[derive(Clone)]
struct FileStore(Arc<Shared>);

struct Shared {
    /// The current data. This lock is never held while waiting for the disk.
    content: RwLock<Content>,
    /// The file. Only the holder of this lock may change anything.
    journal: Mutex<Journal>,
}

#[derive(Default)]
struct Content {
    sessions: BTreeMap<SessionId, SessionRecord>,
    guests: BTreeMap<SessionId, GuestRecord>,
}

/// A change of one record.
#[allow(clippy::large_enum_variant, reason = "the values are short-lived")]
#[derive(Serialize, Deserialize)]
enum Change {
    Session(#[serde(with = "SessionInFile")] SessionRecord),
    DeleteSession(SessionId),
    Guest(#[serde(with = "GuestInFile")] GuestRecord),
    DeleteGuest(SessionId),
}

type Transaction = Vec<Change>;

impl Content {
    fn apply(&mut self, transaction: Transaction) {
        for change in transaction {
            match change {
                Change::Session(session) => drop(self.sessions.insert(session.id, session)),
                Change::DeleteSession(id) => drop(self.sessions.remove(&id)),
                Change::Guest(guest) => drop(self.guests.insert(guest.id, guest)),
                Change::DeleteGuest(id) => drop(self.guests.remove(&id)),
            }
        }
    }

    /// Returns the change of this session, if it exists and matches.
    fn changed(
        &self,
        id: SessionId,
        matches: impl FnOnce(&SessionRecord) -> bool,
        change: impl FnOnce(&mut SessionRecord),
    ) -> Option<Change> {
        let mut session = self.sessions.get(&id).filter(|session| matches(session))?.clone();
        change(&mut session);
        Some(Change::Session(session))
    }

    /// Returns the new guest, if it exists with this revision of its data. The secret is kept.
    fn overwritten(&self, mut guest: GuestRecord, replaces: i64) -> Option<Change> {
        let found = self.guests.get(&guest.id).filter(|found| found.data_revision == replaces)?;
        guest.secret_hash = found.secret_hash;
        Some(Change::Guest(guest))
    }

    /// Returns the deletion of each session that matches.
    fn deletions(&self, matches: impl Fn(&SessionRecord) -> bool) -> impl Iterator<Item = Change> {
        let found = self.sessions.values().filter(move |session| matches(session));
        found.map(|session| Change::DeleteSession(session.id))
    }
}

impl FileStore {
    /// Opens the file or creates it. Only one process can have it open.
    fn open(path: &Path) -> io::Result<Self> {
        let (journal, content) = Journal::open(path)?;
        Ok(Self(Arc::new(Shared { content: RwLock::new(content), journal: Mutex::new(journal) })))
    }

    fn content(&self) -> RwLockReadGuard<'_, Content> {
        // Nothing panics in the middle of a transaction, so the data is consistent.
        self.0.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides on a transaction, writes it to disk and applies it. Returns the number of changes.
    ///
    /// This runs on a blocking thread, which continues even if the request is dropped.
    async fn write(
        &self,
        decide: impl FnOnce(&Content) -> Result<Transaction, StoreError> + Send + 'static,
    ) -> Result<u64, StoreError> {
        let store = self.clone();
        let work = move || {
            let mut journal = store.0.journal.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = decide(&store.content())?;
            let count = transaction.len() as u64;
            if count > 0 {
                let line = line_of(&transaction).map_err(StoreError::backend)?;
                // Apply what the line says, as at the next start. So the tests detect fields that
                // are missing in the file.
                let transaction = serde_json::from_str(&line).map_err(StoreError::backend)?;
                journal.append(&line).map_err(StoreError::backend)?;
                store.0.content.write().unwrap_or_else(PoisonError::into_inner).apply(transaction);
            }
            Ok(count)
        };
        web::block(work).await.map_err(StoreError::backend)?
    }

    /// The same for a single change. Returns whether there was one.
    fn write_one(
        &self,
        decide: impl FnOnce(&Content) -> Option<Change> + Send + 'static,
    ) -> StoreFuture<'_, bool> {
        let written = self.write(|content| Ok(decide(content).into_iter().collect()));
        Box::pin(async move { Ok(written.await? == 1) })
    }
}

impl SessionStore for FileStore {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        let session = session.clone();
        let ended = ends.sessions.to_vec();
        let guest = ends.guest.map(|change| (change.replaces, change.record.clone()));
        let written = self.write(move |content| {
            if content.sessions.contains_key(&session.id) {
                return Err(StoreError::Collision);
            }
            // The data of the ended sessions must not have changed since it was read.
            let is_current = |end: &End| {
                let stored = content.sessions.get(&end.id).map(|it| it.data_revision);
                end.data_revision.is_none() || end.data_revision == stored
            };
            if !ended.iter().all(is_current) {
                return Ok(Transaction::new());
            }
            let guest = match guest {
                Some((replaces, guest)) => match content.overwritten(guest, replaces) {
                    Some(change) => Some(change),
                    None => return Ok(Transaction::new()),
                },
                None => None,
            };
            let ended = ended.into_iter().map(|end| Change::DeleteSession(end.id));
            Ok(ended.chain(guest).chain([Change::Session(session)]).collect())
        });
        Box::pin(async move { Ok(written.await? > 0) })
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        let found = self.content().sessions.get(&id).cloned();
        Box::pin(ready(Ok(found)))
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        let matches = move |session: &SessionRecord| {
            session.active_expires_at == renewal.replaces
                && session.secret_hash == renewal.secret_hash
        };
        self.write_one(move |content| {
            content.changed(id, matches, |session| {
                session.active_expires_at = renewal.active_expires_at;
                session.idle_expires_at = renewal.idle_expires_at;
                session.renewed_at = renewal.renewed_at;
            })
        })
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        let change = *change;
        self.write_one(move |content| {
            let matches = |session: &SessionRecord| session.secret_hash == change.replaces;
            content.changed(id, matches, |session| {
                session.secret_hash = change.secret_hash;
                session.rotation = change.rotation;
                session.authenticated_at = change.authenticated_at;
                session.credential = change.credential.or(session.credential);
            })
        })
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        let change = change.clone();
        self.write_one(move |content| {
            let matches = |session: &SessionRecord| session.data_revision == change.replaces;
            content.changed(id, matches, |session| {
                session.data = Some(change.data);
                session.data_revision += 1;
            })
        })
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.write_one(move |content| {
            content.sessions.contains_key(&id).then_some(Change::DeleteSession(id))
        })
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        let user = user.clone();
        Box::pin(self.write(move |content| {
            let ended =
                |session: &SessionRecord| session.user_id == user && Some(session.id) != keep;
            Ok(content.deletions(ended).collect())
        }))
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        let content = self.content();
        let own = content.sessions.values().filter(|session| session.user_id == *user);
        let mut list: Vec<SessionRecord> = own.cloned().collect();
        list.sort_by_key(|session| Reverse(session.created_at));
        Box::pin(ready(Ok(list)))
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        let content = self.content();
        let own = content.sessions.values().filter(|session| session.user_id == *user);
        Box::pin(ready(Ok(own.map(SessionTimes::from).collect())))
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(self.write(move |content| {
            let guests = content.guests.values().filter(|guest| guest.expires_at <= now);
            let guests = guests.map(|guest| Change::DeleteGuest(guest.id));
            let sessions = content.deletions(|session| session.idle_expires_at <= now);
            Ok(sessions.chain(guests).take(limit as usize).collect())
        }))
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        let found = self.content().guests.get(&id).cloned();
        Box::pin(ready(Ok(found)))
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        let guest = guest.clone();
        let written = self.write(move |content| {
            let change = match replaces {
                Some(revision) => content.overwritten(guest, revision),
                None if content.guests.contains_key(&guest.id) => {
                    return Err(StoreError::Collision);
                }
                None => Some(Change::Guest(guest)),
            };
            Ok(change.into_iter().collect())
        });
        Box::pin(async move { Ok(written.await? == 1) })
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.write_one(move |content| {
            content.guests.contains_key(&id).then_some(Change::DeleteGuest(id))
        })
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        let active = self.content().guests.values().filter(|it| it.expires_at > now).count();
        Box::pin(ready(Ok(active as u64)))
    }
}

/// The file.
struct Journal {
    file: File,
    /// The position of the next line. An error if an incomplete line could not be removed.
    end: io::Result<u64>,
    /// Locked until this process ends: two processes would corrupt the file.
    _lock: File,
}

impl Journal {
    /// Reads the file and rewrites it without outdated lines.
    fn open(path: &Path) -> io::Result<(Self, Content)> {
        let lock = File::create(path.with_extension("lock"))?;
        lock.try_lock()?;
        let content = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            lines => read_lines(&lines?)?,
        };
        let new = path.with_extension("new");
        let mut journal = Self { file: File::create(&new)?, end: Ok(0), _lock: lock };
        let sessions = content.sessions.values().cloned().map(Change::Session);
        let guests = content.guests.values().cloned().map(Change::Guest);
        journal.append(&line_of(&sessions.chain(guests).collect())?)?;
        fs::rename(&new, path)?;
        // The rename is durable only after the directory has been synced.
        File::open(std::path::absolute(path)?.parent().unwrap_or(path))?.sync_all()?;
        Ok((journal, content))
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        let Ok(end) = self.end else { return Err(io::Error::other("the file is corrupt")) };
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        self.end = match &written {
            Ok(()) => Ok(end + line.len() as u64),
            // Remove the incomplete line, so that it is not there at the next start.
            Err(_) => self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end))),
        };
        written
    }
}

fn line_of(transaction: &Transaction) -> serde_json::Result<String> {
    Ok(serde_json::to_string(transaction)? + "\n")
}

/// Applies all transactions of a file. An incomplete last line is ignored: it was never confirmed.
fn read_lines(lines: &[u8]) -> io::Result<Content> {
    let mut content = Content::default();
    for line in lines.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        content.apply(serde_json::from_slice(line)?);
    }
    Ok(content)
}

/// The format of a session in the file. Because of the getter, serde reads it by the `From` below.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SessionRecord")]
struct SessionInFile {
    id: SessionId,
    #[serde(with = "hash", getter = "session_hash")]
    secret_hash: SecretHash,
    #[serde(with = "user_id")]
    user_id: UserId,
    created_at: Timestamp,
    authenticated_at: Timestamp,
    renewed_at: Timestamp,
    active_expires_at: Timestamp,
    idle_expires_at: Timestamp,
    absolute_expires_at: Timestamp,
    #[serde(with = "periods")]
    periods: Option<Periods>,
    is_persistent: bool,
    user_agent: Option<String>,
    address: Option<String>,
    actor_session: Option<SessionId>,
    data: Option<String>,
    data_revision: i64,
    #[serde(with = "rotation")]
    rotation: Option<Rotation>,
    #[serde(with = "credential", default)]
    credential: Option<CredentialHash>,
}

fn session_hash(session: &SessionRecord) -> &SecretHash {
    &session.secret_hash
}

impl From<SessionInFile> for SessionRecord {
    fn from(found: SessionInFile) -> Self {
        let mut session = Self::new(found.id, found.secret_hash, found.user_id, found.created_at);
        session.authenticated_at = found.authenticated_at;
        session.renewed_at = found.renewed_at;
        session.active_expires_at = found.active_expires_at;
        session.idle_expires_at = found.idle_expires_at;
        session.absolute_expires_at = found.absolute_expires_at;
        session.periods = found.periods;
        session.is_persistent = found.is_persistent;
        session.user_agent = found.user_agent;
        session.address = found.address;
        session.actor_session = found.actor_session;
        session.data = found.data;
        session.data_revision = found.data_revision;
        session.rotation = found.rotation;
        session.credential = found.credential;
        session
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GuestRecord")]
struct GuestInFile {
    id: SessionId,
    #[serde(with = "hash", getter = "guest_hash")]
    secret_hash: SecretHash,
    data: String,
    data_revision: i64,
    expires_at: Timestamp,
}

fn guest_hash(guest: &GuestRecord) -> &SecretHash {
    &guest.secret_hash
}

impl From<GuestInFile> for GuestRecord {
    fn from(found: GuestInFile) -> Self {
        let mut guest = Self::new(found.id, found.secret_hash, found.data, found.expires_at);
        guest.data_revision = found.data_revision;
        guest
    }
}

/// Creates a module for `#[serde(with = "..")]`: the type, its format in the file, and the conversions
/// to it and from it.
macro_rules! in_file {
    ($name:ident: $type:ty as $form:ty, $write:expr, $read:expr) => {
        mod $name {
            use super::*;

            pub fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$type) -> $form = $write;
                write(value).serialize(to)
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let read: fn($form) -> Option<$type> = $read;
                read(<$form>::deserialize(from)?).ok_or_else(|| D::Error::custom("unreadable"))
            }
        }
    };
}

in_file!(hash: SecretHash as [u8; 32], |it| *it.as_bytes(), |it| Some(SecretHash::from_bytes(it)));
in_file!(user_id: UserId as String, UserId::to_text, |it| UserId::from_text(&it));
in_file!(periods: Option<Periods> as Option<(i64, i64)>, |it| it.map(Periods::to_millis), |it| {
    Some(it.map(|(active, idle)| Periods::from_millis(active, idle)))
});
in_file!(
    rotation: Option<Rotation> as Option<Vec<u8>>,
    |it| it.map(|it| it.to_bytes().into()),
    |it| match it {
        Some(bytes) => Some(Some(Rotation::from_bytes(bytes.as_slice().try_into().ok()?))),
        None => Some(None),
    }
);

in_file!(
    credential: Option<CredentialHash> as Option<[u8; 32]>,
    |it| it.map(|it| *it.as_bytes()),
    |it| Some(it.map(CredentialHash::from_bytes))
);

// The app: hard-coded users, and sessions in the file.

const NAMES: [&str; 2] = ["Ada", "Grace"];

#[derive(AuthUser)]
struct Person {
    id: i64,
    name: &'static str,
}

/// Loads a user. In your app they could come from anywhere.
async fn load(id: i64) -> Result<Option<Person>, Infallible> {
    let name = usize::try_from(id).ok().and_then(|index| NAMES.get(index));
    Ok(name.map(|name| Person { id, name }))
}

#[get("/")]
#[with_session]
async fn home(user: Option<User<Person>>) -> impl Responder {
    web::Html::new(match user {
        Some(user) => format!(
            "Logged in as {}.<form method=post action=/logout><button>Log out</button></form>",
            user.name
        ),
        None => "<form method=post action=/login><button>Log in as Ada</button></form>".to_owned(),
    })
}

/// Without a password, to keep the example short. `quickstart` verifies one.
#[post("/login")]
#[with_session]
async fn login(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_in(&Person { id: 0, name: NAMES[0] }).await?;
    Ok(web::Redirect::to("/").see_other())
}

#[post("/logout")]
#[with_session]
async fn logout(locals: Locals) -> Result<impl Responder, Error> {
    locals.log_out().await?;
    Ok(web::Redirect::to("/").see_other())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = env::var_os("SESSIONS").map(PathBuf::from);
    let file = file.unwrap_or_else(|| env::temp_dir().join("locals-custom-store.jsonl"));
    let store = WithLoader::new(FileStore::open(&file)?, load);

    // For plain HTTP during development. Behind HTTPS, keep the default.
    let cookie = CookieConfig::default().secure(false);
    let auth = Auth::<Person>::builder(store).cookie(cookie).build()?;
    let _sweeper = auth.spawn_sweeper(Duration::from_mins(10))?;

    let address = env::var("ADDR").unwrap_or_else(|_| "127.0.0.1:8080".to_owned());
    println!("Open http://{address}; the sessions are in {}", file.display());
    let app = move || App::new().configure(auth.configure()).service((home, login, logout));
    HttpServer::new(app).bind(address)?.run().await?;
    Ok(())
}

/// The test suite for stores, and a test of the file itself.
#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use locals::store::{
        UserLoader,
        suite::{Harness, store_suite},
    };
    use tempfile::TempDir;

    use super::*;

    #[derive(AuthUser)]
    struct Account {
        id: i64,
    }

    /// The users that the suite adds and removes.
    #[derive(Clone, Default)]
    struct Accounts(Arc<Mutex<HashSet<UserId>>>);

    impl UserLoader<Account> for Accounts {
        fn load(&self, id: i64) -> StoreFuture<'_, Option<Account>> {
            let is_there = self.0.lock().unwrap().contains(&UserId::from(id));
            Box::pin(async move { Ok(is_there.then_some(Account { id })) })
        }
    }

    struct InFile {
        directory: TempDir,
        accounts: Accounts,
    }

    impl InFile {
        fn new() -> Self {
            Self { directory: TempDir::new().unwrap(), accounts: Accounts::default() }
        }
    }

    impl Harness for InFile {
        type Store = WithLoader<FileStore, Accounts, Account>;
        type User = Account;

        async fn store(&self) -> Self::Store {
            let file = self.directory.path().join("sessions.jsonl");
            WithLoader::new(FileStore::open(&file).unwrap(), self.accounts.clone())
        }

        async fn add_user(&self, _: &Self::Store, id: UserId) {
            self.accounts.0.lock().unwrap().insert(id);
        }

        /// There is no foreign key, so the app deletes the sessions.
        async fn remove_user(&self, store: &Self::Store, id: UserId) {
            self.accounts.0.lock().unwrap().remove(&id);
            store.delete_by_user(&id, None).await.unwrap();
        }
    }

    store_suite!(InFile::new());

    /// Not covered by the suite: a restart after a power failure in the middle of a line.
    #[actix_web::test]
    async fn the_file_contains_all_transactions_and_incomplete_lines_are_ignored() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("sessions.jsonl");
        let store = FileStore::open(&path).unwrap();
        assert!(FileStore::open(&path).is_err(), "it is already open");

        let auth = Auth::builder(WithLoader::new(store.clone(), load)).build().unwrap();
        let person = Person { id: 0, name: NAMES[0] };
        let kept = auth.create_session(&person).await.unwrap();
        let ended = auth.create_session(&person).await.unwrap();
        auth.invalidate_session(ended.id()).await.unwrap();
        let before = fs::read(&path).unwrap().len();
        let hash = SecretHash::from_bytes([7; 32]);
        let guest = GuestRecord::new(ended.id(), hash, "\"Юникод\"", Timestamp::from_millis(0));
        assert!(store.write_guest(&guest, None).await.unwrap());

        let lines = fs::read(&path).unwrap();
        for cut in before..=lines.len() {
            let Content { sessions, guests } = read_lines(&lines[..cut]).unwrap();
            assert_eq!(sessions.into_keys().collect::<Vec<_>>(), [kept.id()]);
            let expected: &[_] =
                if cut == lines.len() { std::slice::from_ref(&guest) } else { &[] };
            assert_eq!(guests.into_values().collect::<Vec<_>>(), expected, "{cut}");
        }
    }
}
