//! Whether a store has room for one more guest, without a question for each of them.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::clock::Timestamp;

/// How long a count of the guests is good for, and how often a full store is logged.
pub(crate) const COUNT_LASTS: Duration = Duration::from_mins(1);

/// How many guests there are, as far as this process knows: those that were counted, and those that
/// it has added since.
///
/// Within a process there are never more than there may be. Others may add as many more as they do
/// between two counts.
#[derive(Debug, Default)]
pub(crate) struct GuestRoom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the last count was asked for; `None` if there is to be another.
    counted_at: Option<Timestamp>,
    /// `None` before the first count.
    guests: Option<u64>,
    /// Those that are being written: a count may or may not find them.
    pending: u64,
    /// All that were ever given a place here.
    admitted: u64,
    /// There may be fewer than `guests`: a full store is to be counted again before it is said to be.
    may_be_fewer: bool,
    warned_at: Option<Timestamp>,
}

/// Whether one more may come.
#[derive(Debug)]
pub(crate) enum Room<'a> {
    Free(Place<'a>),
    /// `is_news`: nobody has been told for a while.
    Full {
        is_news: bool,
    },
    /// The guests are to be counted.
    Unknown(Count<'a>),
}

impl GuestRoom {
    /// Gives a place to one more guest, if there are fewer than `most`.
    pub(crate) fn enter(&self, now: Timestamp, most: u64) -> Room<'_> {
        let mut state = self.state();
        match state.guests.filter(|_| is_within(state.counted_at, now)) {
            Some(guests) if guests < most => {
                state.guests = Some(guests + 1);
                state.admitted += 1;
                state.pending += 1;
                Room::Free(Place { room: self, is_taken: false })
            }
            Some(_) if !state.may_be_fewer => {
                let is_news = !is_within(state.warned_at, now);
                if is_news {
                    state.warned_at = Some(now);
                }
                Room::Full { is_news }
            }
            _ => {
                // Meanwhile the others go by the last count, if there is one.
                state.counted_at = state.guests.map(|_| now);
                state.may_be_fewer = false;
                let (admitted, pending) = (state.admitted, state.pending);
                Room::Unknown(Count {
                    room: self,
                    asked_at: now,
                    admitted,
                    pending,
                    is_done: false,
                })
            }
        }
    }

    /// Notes that guests have ended.
    pub(crate) fn some_ended(&self) {
        self.state().may_be_fewer = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers are never left half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for a guest who is about to be written.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    room: &'a GuestRoom,
    is_taken: bool,
}

impl Place<'_> {
    /// The guest is there.
    pub(crate) fn take(mut self) {
        self.is_taken = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.room.state();
        state.pending -= 1;
        // It is not known whether one whose writing failed is there: the next count tells.
        state.may_be_fewer |= !self.is_taken;
    }
}

/// A count of the guests that is under way. One that fails or is dropped is asked for again.
#[derive(Debug)]
pub(crate) struct Count<'a> {
    room: &'a GuestRoom,
    asked_at: Timestamp,
    /// As they were when it was asked for.
    admitted: u64,
    pending: u64,
    is_done: bool,
}

impl Count<'_> {
    /// What the store has counted.
    pub(crate) fn finish(mut self, counted: u64) {
        self.is_done = true;
        let mut state = self.room.state();
        let unseen = self.pending + (state.admitted - self.admitted);
        state.guests = Some(counted.saturating_add(unseen));
        state.counted_at = Some(self.asked_at);
        state.may_be_fewer |= unseen > 0;
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.room.state().counted_at = None;
        }
    }
}

/// Whether a time lies less than a minute back. One that lies ahead, on a clock that was set back, does
/// not.
fn is_within(time: Option<Timestamp>, now: Timestamp) -> bool {
    time.is_some_and(|time| time <= now && now < time + COUNT_LASTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn free(room: Room<'_>) -> Place<'_> {
        match room {
            Room::Free(place) => place,
            other => panic!("not free: {other:?}"),
        }
    }

    fn unknown(room: Room<'_>) -> Count<'_> {
        match room {
            Room::Unknown(count) => count,
            other => panic!("known: {other:?}"),
        }
    }

    fn is_full(room: &Room<'_>) -> bool {
        matches!(room, Room::Full { .. })
    }

    #[test]
    fn a_count_is_good_for_a_minute_and_goes_on_by_what_is_added() {
        let room = GuestRoom::default();
        unknown(room.enter(at(0), 3)).finish(1);
        free(room.enter(at(0), 3)).take();
        free(room.enter(at(59), 3)).take();
        assert!(is_full(&room.enter(at(59), 3)));
        unknown(room.enter(at(60), 3)).finish(2);
        free(room.enter(at(60), 3)).take();
        assert!(is_full(&room.enter(at(119), 3)));
    }

    #[test]
    fn a_count_of_a_time_ahead_is_none() {
        let room = GuestRoom::default();
        unknown(room.enter(at(1_000), 3)).finish(0);
        drop(unknown(room.enter(at(999), 3)));
    }

    #[test]
    fn a_full_store_is_news_once_a_minute() {
        let room = GuestRoom::default();
        let is_news = |now| loop {
            match room.enter(now, 1) {
                Room::Unknown(count) => count.finish(1),
                Room::Full { is_news } => break is_news,
                Room::Free(place) => panic!("free: {place:?}"),
            }
        };
        let news = [0, 1, 59, 60, 61, 119, 120].map(|second| is_news(at(second)));
        assert_eq!(news, [true, false, false, true, false, false, true]);
    }

    #[test]
    fn a_full_store_is_counted_again_once_guests_have_ended() {
        let room = GuestRoom::default();
        unknown(room.enter(at(0), 1)).finish(1);
        assert!(is_full(&room.enter(at(1), 1)));
        room.some_ended();
        unknown(room.enter(at(1), 1)).finish(1);
        assert!(is_full(&room.enter(at(1), 1)));
        room.some_ended();
        unknown(room.enter(at(1), 1)).finish(0);
        free(room.enter(at(1), 1)).take();
        assert!(is_full(&room.enter(at(1), 1)));
    }

    #[test]
    fn those_that_are_being_written_are_counted_whether_the_count_has_found_them_or_not() {
        for found in [0, 1] {
            let room = GuestRoom::default();
            unknown(room.enter(at(0), 2)).finish(0);
            let place = free(room.enter(at(0), 2));
            unknown(room.enter(at(60), 2)).finish(found);
            place.take();
            let mut admitted = 1;
            for _ in 0..4 {
                match room.enter(at(60), 2) {
                    Room::Free(place) => {
                        place.take();
                        admitted += 1;
                    }
                    Room::Unknown(count) => count.finish(admitted),
                    Room::Full { .. } => {}
                }
            }
            assert_eq!(admitted, 2, "neither one more nor one less, where {found} was found");
        }
    }

    #[test]
    fn those_who_come_during_a_count_go_by_the_last_one_and_are_added_to_the_next() {
        let room = GuestRoom::default();
        unknown(room.enter(at(0), 4)).finish(1);
        let count = unknown(room.enter(at(60), 4));
        free(room.enter(at(60), 4)).take();
        free(room.enter(at(60), 4)).take();
        count.finish(1);
        free(room.enter(at(60), 4)).take();
        drop(unknown(room.enter(at(60), 4)));
    }

    #[test]
    fn a_count_that_fails_is_asked_for_again_by_the_next() {
        let room = GuestRoom::default();
        drop(unknown(room.enter(at(0), 1)));
        unknown(room.enter(at(0), 1)).finish(0);
        drop(unknown(room.enter(at(60), 1)));
        drop(unknown(room.enter(at(60), 1)));
    }

    #[test]
    fn a_place_that_is_not_taken_has_a_full_store_counted_again() {
        let room = GuestRoom::default();
        unknown(room.enter(at(0), 1)).finish(0);
        drop(free(room.enter(at(0), 1)));
        unknown(room.enter(at(0), 1)).finish(0);
        free(room.enter(at(0), 1)).take();
    }
}
