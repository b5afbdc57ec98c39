//! Waiting for and ending sessions, in the orders in which threads can run. The scheduler reports
//! if somebody waits and will never be notified.

use shuttle::{
    Config, Runner,
    future::block_on,
    scheduler::{DfsScheduler, RandomScheduler, Scheduler},
    sync, thread,
};

#[allow(clippy::duplicate_mod, reason = "the same code, with the locks of the scheduler")]
#[path = "waiting.rs"]
mod waiting;

use sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::futures::Notified;
use waiting::{EndNotifier, Ending};

use crate::model::{session_id::SessionId, user_id::UserId};

/// The scheduler does not know Tokio's `Notify`, each of whose operations is a single step. Other
/// threads may run before each of them.
#[derive(Default)]
struct Notify(tokio::sync::Notify);

impl Notify {
    fn new() -> Self {
        Self::default()
    }

    fn notified(&self) -> Notified<'_> {
        thread::yield_now();
        self.0.notified()
    }

    fn notify_waiters(&self) {
        thread::yield_now();
        self.0.notify_waiters();
    }
}

/// The state that the threads share: the notifier, and whether the store has ended the session.
#[derive(Default)]
struct Process {
    end_notifier: EndNotifier,
    has_ended: AtomicBool,
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

impl Process {
    fn watch(&self, number: u8) -> Arc<Ending> {
        self.end_notifier.watch(id(number), UserId::Integer(1), None)
    }

    /// Waits as `Session::ended` does: registers first, then queries, then waits.
    fn wait(&self) {
        let ending = self.watch(1);
        if !self.has_ended.load(Ordering::SeqCst) {
            block_on(ending.wait());
        }
    }

    /// Drops waiters for the same session and for another one, which shrinks the maps.
    fn watch_and_drop(&self) {
        drop(self.watch(1));
        drop(self.watch(2));
    }

    /// Ends the session as `SessionManager` does: first in the store, then for the waiters.
    fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.end_notifier.session_ended(id(1));
    }

    /// Ends it with all sessions of its user.
    fn end_all(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.end_notifier.sessions_of_user_ended(&UserId::Integer(1), None);
    }
}

/// Runs these threads concurrently.
fn run(scheduler: impl Scheduler + 'static, threads: &'static [fn(&Process)]) {
    Runner::new(scheduler, Config::new()).run(move || {
        let process = Arc::new(Process::default());
        let threads = threads.iter().map(|run| {
            let process = Arc::clone(&process);
            thread::spawn(move || run(&process))
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
    });
}

/// A sample of the orders, of which there are too many; the same sample each time.
fn some() -> impl Scheduler {
    RandomScheduler::new_from_seed(1, 2_000)
}

#[test]
fn no_end_is_missed_in_any_order() {
    let every = || DfsScheduler::new(None, false);
    run(every(), &[Process::wait, Process::end]);
    run(every(), &[Process::wait, Process::end_all]);
}

#[test]
fn all_waiters_are_notified() {
    run(some(), &[Process::wait, Process::wait, Process::end]);
}

#[test]
fn a_waiter_is_notified_while_others_are_dropped() {
    run(some(), &[Process::wait, Process::watch_and_drop, Process::end_all]);
}
