//! Those who wait for the end of a session, and those who bring it, in the orders in which their
//! threads can run. Where somebody waits and nobody will tell them, the scheduler says so.

use shuttle::{
    Config, Runner,
    future::block_on,
    scheduler::{DfsScheduler, RandomScheduler, Scheduler},
    sync, thread,
};

#[allow(clippy::duplicate_mod, reason = "the same code on locks that the scheduler knows")]
#[path = "waiting.rs"]
mod waiting;

use sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::futures::Notified;
use waiting::{EndNotifier, Ending};

use crate::model::{session_id::SessionId, user_id::UserId};

/// The scheduler does not know that of Tokio, whose operations are each one step: before one,
/// others may run.
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

/// The threads of this process, and what the store says.
#[derive(Default)]
struct Process {
    end_notifier: EndNotifier,
    has_ended: AtomicBool,
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

impl Process {
    fn of(&self, number: u8) -> Arc<Ending> {
        self.end_notifier.of(id(number), UserId::Integer(1), None)
    }

    /// Waits as `Session::ended` does: first there, then the question, then the wait.
    fn wait(&self) {
        let ending = self.of(1);
        if !self.has_ended.load(Ordering::SeqCst) {
            block_on(ending.come());
        }
    }

    /// Leaves the same session, and others, for whose entries room is made.
    fn come_and_go(&self) {
        drop(self.of(1));
        drop(self.of(2));
    }

    /// Ends the session as `SessionManager` does: first in the store, then for those who wait.
    fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.end_notifier.session_ended(id(1));
    }

    /// Ends it with all of its user.
    fn end_all(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
        self.end_notifier.sessions_of_user_ended(&UserId::Integer(1), None);
    }
}

/// Runs these beside each other.
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

/// Some of the orders, which are too many, the same each time.
fn some() -> impl Scheduler {
    RandomScheduler::new_from_seed(1, 2_000)
}

#[test]
fn no_end_is_missed_whenever_it_comes() {
    let every = || DfsScheduler::new(None, false);
    run(every(), &[Process::wait, Process::end]);
    run(every(), &[Process::wait, Process::end_all]);
}

#[test]
fn all_who_wait_are_told() {
    run(some(), &[Process::wait, Process::wait, Process::end]);
}

#[test]
fn nobody_is_forgotten_with_those_who_leave() {
    run(some(), &[Process::wait, Process::come_and_go, Process::end_all]);
}
