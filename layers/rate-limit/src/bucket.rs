//! A few keys that share a place in the table.

use crate::cell::Cell;
use crate::gcra::{Pace, Taken};
use crate::sync::{AtomicU64, Mutex, Ordering, lock};

/// Eight keys with a cell each, and one more cell for all keys that find no place.
///
/// Whoever finds its key takes no lock. A place is given to another key only when its allowance is whole, so that nobody
/// gains by being forgotten; who gives it does so under the lock, with the cell closed meanwhile.
pub(crate) struct Bucket {
    places: [Place; PLACES],
    shared: Cell,
    moves: Mutex<()>,
}

struct Place {
    key: AtomicU64,
    cell: Cell,
}

/// What was taken, and of which cell, to be given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    place: Option<usize>,
    key: u64,
    whole_at: u64,
}

/// What came of taking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) taken: Taken,
    /// When the cell's allowance is whole, after all.
    pub(crate) whole_at: u64,
    /// Whether it is the cell of all that have no place.
    pub(crate) shared: bool,
    pub(crate) receipt: Option<Receipt>,
    /// Whether a place was given to the key, and whether it was another's before.
    pub(crate) given: Option<Given>,
}

/// A place that a key did not have before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Given {
    New,
    /// Another key's, whose allowance was whole.
    Anothers,
}

impl Bucket {
    pub(crate) fn new() -> Self {
        Self {
            places: std::array::from_fn(|_| Place {
                key: AtomicU64::new(NOBODY),
                cell: Cell::new(0),
            }),
            shared: Cell::new(0),
            moves: Mutex::new(()),
        }
    }

    /// What taking would come to. Nothing is taken, and no place given.
    pub(crate) fn look(&self, key: u64, pace: Pace, now: u64) -> Outcome {
        let found = self.find(key).and_then(|(_, place)| place.cell.whole_at());
        let free = || self.places.iter().any(|place| place.is_free(now));
        let (whole_at, shared) = match found {
            Some(whole_at) => (whole_at, false),
            None if free() => (now, false),
            None => (self.shared.whole_at().unwrap_or(now), true),
        };
        let taken = pace.take(whole_at, now);
        Outcome { taken, whole_at, shared, receipt: None, given: None }
    }

    /// Takes what `pace` says, if it is there.
    #[inline(always)] // so that most outcomes, which are large, are never written to memory
    pub(crate) fn take(&self, key: u64, pace: Pace, now: u64) -> Outcome {
        if let Some(outcome) = self.take_of_own(key, pace, now) {
            return outcome;
        }
        self.take_anew(key, pace, now)
    }

    /// Takes for a key that has no place yet, or none any more.
    #[cold]
    fn take_anew(&self, key: u64, pace: Pace, now: u64) -> Outcome {
        if pace.is_never() {
            return self.look(key, pace, now); // nothing to keep a place for
        }
        // A flood that finds all places taken takes no lock either.
        if self.places.iter().any(|place| place.is_free(now)) {
            let _moving = lock(&self.moves);
            // Somebody may have been faster. Under the lock no place changes hands, so that this is final.
            let own = self.take_of_own(key, pace, now);
            let mut places = self.places.iter().enumerate();
            let given = || places.find_map(|(index, place)| place.give(index, key, pace, now));
            if let Some(outcome) = own.or_else(given) {
                return outcome;
            }
        }
        let taken = self.shared.take(pace, now).unwrap_or(Taken::No { retry: None });
        Outcome::new(taken, &self.shared, None, key, now)
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, receipt: Receipt, pace: Pace, now: u64) {
        let cell = match receipt.place.and_then(|index| self.places.get(index)) {
            None => &self.shared,
            // Of another key by now, so that time had given it back before.
            Some(place) if place.key.load(Ordering::Acquire) != receipt.key => return,
            Some(place) => &place.cell,
        };
        cell.give_back(pace, receipt.whole_at, now);
    }

    /// Gives the cost back to the cell that `key` has now, or shares.
    pub(crate) fn credit(&self, key: u64, pace: Pace, now: u64) {
        let cell = self.find(key).map_or(&self.shared, |(_, place)| &place.cell);
        if let Some(whole_at) = cell.whole_at() {
            cell.give_back(pace, whole_at, now);
        }
    }

    /// Forgets what `key` has used, and that it was there; whether it was.
    pub(crate) fn forget(&self, key: u64) -> bool {
        let _moving = lock(&self.moves);
        let Some((_, place)) = self.find(key) else { return false };
        place.cell.close();
        place.key.store(NOBODY, Ordering::Release);
        place.cell.open(0);
        true
    }

    /// See [`Cell::rescale`].
    pub(crate) fn rescale(&self, before: u64, interval: u64, whole: u64, now: u64) {
        for cell in self.places.iter().map(|place| &place.cell).chain([&self.shared]) {
            cell.rescale(before, interval, whole, now);
        }
    }

    /// How many keys have used some of their allowance.
    pub(crate) fn used(&self, now: u64) -> usize {
        self.places.iter().filter(|place| !place.is_free(now)).count()
    }

    fn find(&self, key: u64) -> Option<(usize, &Place)> {
        let mut places = self.places.iter().enumerate();
        places.find(|(_, place)| place.key.load(Ordering::Acquire) == key)
    }

    /// Takes of the cell that `key` has; none if it has none.
    #[inline(always)] // as above
    fn take_of_own(&self, key: u64, pace: Pace, now: u64) -> Option<Outcome> {
        let (index, place) = self.find(key)?;
        let taken = place.cell.take(pace, now)?;
        let outcome = Outcome::new(taken, &place.cell, Some(index), key, now);
        if place.key.load(Ordering::Acquire) == key {
            return Some(outcome);
        }
        // The place was given away between the two looks at it, and what was taken was somebody else's.
        if let Taken::Yes { whole_at, .. } = taken {
            place.cell.give_back(pace, whole_at, now);
        }
        None
    }
}

impl Place {
    /// Whether another key may have it.
    fn is_free(&self, now: u64) -> bool {
        self.cell.whole_at().is_some_and(|whole_at| whole_at <= now)
    }

    /// Gives it to `key`, with its cell, if that is whole. Only under the lock.
    fn give(&self, index: usize, key: u64, pace: Pace, now: u64) -> Option<Outcome> {
        if !self.cell.close_if_whole(now) {
            return None;
        }
        let given = match self.key.swap(key, Ordering::AcqRel) {
            NOBODY => Given::New,
            _ => Given::Anothers,
        };
        let taken = pace.take(now, now);
        let whole_at = match taken {
            Taken::Yes { whole_at, .. } => whole_at,
            Taken::No { .. } => now,
        };
        // After the key, so that who takes of the cell sees whose it is.
        self.cell.open(whole_at);
        let receipt = Some(Receipt { place: Some(index), key, whole_at });
        Some(Outcome { taken, whole_at, shared: false, receipt, given: Some(given) })
    }
}

impl Outcome {
    fn new(taken: Taken, cell: &Cell, place: Option<usize>, key: u64, now: u64) -> Self {
        let (whole_at, receipt) = match taken {
            Taken::Yes { whole_at, .. } => (whole_at, Some(Receipt { place, key, whole_at })),
            Taken::No { .. } => (cell.whole_at().unwrap_or(now), None),
        };
        Self { taken, whole_at, shared: place.is_none(), receipt, given: None }
    }
}

/// How many keys share a bucket: the most that a call ever looks at.
pub(crate) const PLACES: usize = 8;

/// No key is zero.
const NOBODY: u64 = 0;
