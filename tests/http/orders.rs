//! Requests that run beside each other, one question to the store at a time: in every order there is.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use locals::{
    DataChange, GuestRecord, Renewal, SessionId, SessionRecord, SessionTimes, Timestamp,
    TokenChange, UserId,
    store::{Ends, SessionStore, SessionUserStore, StoreFuture},
};

use crate::support::Account;

/// A store that, while it is told to, stops before each operation.
///
/// What a request does between two operations concerns nobody else, so the order of the operations
/// is all that can differ from one run to another.
#[derive(Clone)]
pub struct Stepped {
    inner: Arc<dyn SessionUserStore<Account>>,
    stops: Arc<AtomicBool>,
    has_stopped: Arc<AtomicBool>,
}

impl Stepped {
    pub fn new(inner: impl SessionUserStore<Account>) -> Self {
        Self { inner: Arc::new(inner), stops: Arc::default(), has_stopped: Arc::default() }
    }

    /// Runs these to their ends, in the next order; `answered` is called as soon as one has come
    /// there, with its number and what it gave.
    pub async fn interleave<R>(
        &self,
        orders: &mut Orders,
        requests: Vec<impl Future<Output = R>>,
        mut answered: impl AsyncFnMut(usize, R),
    ) {
        let mut running: Vec<_> = requests.into_iter().map(Box::pin).enumerate().collect();
        // They have all come before the first is let on.
        for (_, request) in &mut running {
            assert!(self.step(request.as_mut()).await.is_none(), "it asks the store nothing");
        }
        while !running.is_empty() {
            let next = orders.choose(running.len());
            if let Some(result) = self.step(running[next].1.as_mut()).await {
                let (number, _) = running.remove(next);
                answered(number, result).await;
            }
        }
    }

    /// Runs one until it is about to ask the store, or has come to its end.
    async fn step<R>(&self, mut request: Pin<&mut impl Future<Output = R>>) -> Option<R> {
        self.stops.store(true, Ordering::SeqCst);
        let step = poll_fn(|context| match request.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if self.has_stopped.swap(false, Ordering::SeqCst) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        // So many steps of one task would use up its turn, and then nothing of Tokio's goes on.
        let result = tokio::task::unconstrained(step).await;
        self.stops.store(false, Ordering::SeqCst);
        result
    }

    fn after_a_stop<'a, V: Send + 'a>(
        &'a self,
        operation: impl FnOnce(&'a dyn SessionUserStore<Account>) -> StoreFuture<'a, V> + Send + 'a,
    ) -> StoreFuture<'a, V> {
        Box::pin(async move {
            let mut goes_on = !self.stops.load(Ordering::SeqCst);
            poll_fn(|_| {
                if std::mem::replace(&mut goes_on, true) {
                    return Poll::Ready(());
                }
                self.has_stopped.store(true, Ordering::SeqCst);
                Poll::Pending
            })
            .await;
            operation(&*self.inner).await
        })
    }
}

/// All orders, one after the other: each run makes the same choices as the one before it up to the
/// last that has another way to go.
#[derive(Default)]
pub struct Orders {
    /// What is chosen, and among how many.
    path: Vec<(usize, usize)>,
    depth: usize,
    /// Where some orders are drawn, and not all are had: the next draw.
    draw: Option<u64>,
}

impl Orders {
    /// Some orders, drawn from all, the same each time.
    pub fn drawn() -> Self {
        Self { draw: Some(1), ..Self::default() }
    }

    pub fn choose(&mut self, among: usize) -> usize {
        if self.depth == self.path.len() {
            let chosen = self.draw(among);
            self.path.push((chosen, among));
        }
        let (chosen, of) = self.path[self.depth];
        assert_eq!(of, among, "the same choices lead to the same place");
        self.depth += 1;
        chosen
    }

    /// Whether there is another order to run.
    pub fn advance(&mut self) -> bool {
        self.depth = 0;
        if self.draw.is_some() {
            self.path.clear();
            return true;
        }
        while let Some((chosen, among)) = self.path.pop() {
            if chosen + 1 < among {
                self.path.push((chosen + 1, among));
                return true;
            }
        }
        false
    }

    /// By the generator of Knuth's MMIX, whose high bits will do.
    fn draw(&mut self, among: usize) -> usize {
        let Some(draw) = &mut self.draw else { return 0 };
        *draw =
            draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*draw >> 33).unwrap() % among
    }

    /// The choices of this run, to find it again.
    pub fn chosen(&self) -> Vec<usize> {
        self.path.iter().map(|(chosen, _)| *chosen).collect()
    }
}

#[test]
fn every_order_occurs_once() {
    let mut orders = Orders::default();
    let mut had = Vec::new();
    loop {
        // Two of two steps each.
        let (mut left, mut order) = (vec![('a', 2), ('b', 2)], String::new());
        while !left.is_empty() {
            let next = orders.choose(left.len());
            order.push(left[next].0);
            left[next].1 -= 1;
            left.retain(|(_, steps)| *steps > 0);
        }
        had.push(order);
        if !orders.advance() {
            break;
        }
    }
    assert_eq!(had, ["aabb", "abab", "abba", "baab", "baba", "bbaa"]);
}

impl SessionStore for Stepped {
    fn create<'a>(&'a self, session: &'a SessionRecord, ends: Ends<'a>) -> StoreFuture<'a, bool> {
        self.after_a_stop(move |inner| inner.create(session, ends))
    }

    fn find(&self, id: SessionId) -> StoreFuture<'_, Option<SessionRecord>> {
        self.after_a_stop(move |inner| inner.find(id))
    }

    fn renew(&self, id: SessionId, renewal: Renewal) -> StoreFuture<'_, bool> {
        self.after_a_stop(move |inner| inner.renew(id, renewal))
    }

    fn change_token<'a>(&'a self, id: SessionId, change: &'a TokenChange) -> StoreFuture<'a, bool> {
        self.after_a_stop(move |inner| inner.change_token(id, change))
    }

    fn write_data<'a>(&'a self, id: SessionId, change: &'a DataChange) -> StoreFuture<'a, bool> {
        self.after_a_stop(move |inner| inner.write_data(id, change))
    }

    fn delete(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.after_a_stop(move |inner| inner.delete(id))
    }

    fn delete_by_user<'a>(
        &'a self,
        user: &'a UserId,
        keep: Option<SessionId>,
    ) -> StoreFuture<'a, u64> {
        self.after_a_stop(move |inner| inner.delete_by_user(user, keep))
    }

    fn list_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionRecord>> {
        self.after_a_stop(move |inner| inner.list_by_user(user))
    }

    fn list_times_by_user<'a>(&'a self, user: &'a UserId) -> StoreFuture<'a, Vec<SessionTimes>> {
        self.after_a_stop(move |inner| inner.list_times_by_user(user))
    }

    fn delete_expired(&self, now: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.after_a_stop(move |inner| inner.delete_expired(now, limit))
    }

    fn find_guest(&self, id: SessionId) -> StoreFuture<'_, Option<GuestRecord>> {
        self.after_a_stop(move |inner| inner.find_guest(id))
    }

    fn write_guest<'a>(
        &'a self,
        guest: &'a GuestRecord,
        replaces: Option<i64>,
    ) -> StoreFuture<'a, bool> {
        self.after_a_stop(move |inner| inner.write_guest(guest, replaces))
    }

    fn delete_guest(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.after_a_stop(move |inner| inner.delete_guest(id))
    }

    fn count_guests(&self, now: Timestamp) -> StoreFuture<'_, u64> {
        // Once a minute, so it would stand in the way of one order of many.
        self.inner.count_guests(now)
    }
}

impl SessionUserStore<Account> for Stepped {
    fn find_with_user(&self, id: SessionId) -> StoreFuture<'_, Option<(SessionRecord, Account)>> {
        self.after_a_stop(move |inner| inner.find_with_user(id))
    }

    fn find_user<'a>(&'a self, id: &'a UserId) -> StoreFuture<'a, Option<Account>> {
        self.after_a_stop(move |inner| inner.find_user(id))
    }
}
