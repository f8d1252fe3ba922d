use crate::gcra::{Pace, Taken};
use crate::sync::{AtomicU64, Ordering};

/// One allowance, in one word.
#[derive(Debug)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Whole at that time.
    pub(crate) fn new(whole_at: u64) -> Self {
        Self(AtomicU64::new(whole_at))
    }

    /// None if it is closed.
    pub(crate) fn whole_at(&self) -> Option<u64> {
        let whole_at = self.0.load(Ordering::Acquire);
        (whole_at != CLOSED).then_some(whole_at)
    }

    /// Takes what `pace` says, if it is there; none if the cell is closed.
    pub(crate) fn take(&self, pace: Pace, now: u64) -> Option<Taken> {
        let mut whole_at = self.whole_at()?;
        loop {
            let taken = pace.take(whole_at, now);
            let Taken::Yes { whole_at: after, .. } = taken else { return Some(taken) };
            match self.exchange(whole_at, after) {
                Ok(()) => return Some(taken),
                Err(CLOSED) => return None,
                Err(other) => whole_at = other,
            }
        }
    }

    /// Gives back what was taken when the cell was whole at `taken` afterwards.
    pub(crate) fn give_back(&self, pace: Pace, taken: u64, now: u64) {
        let Some(mut whole_at) = self.whole_at() else { return };
        while let Some(after) = pace.give_back(whole_at, taken, now) {
            match self.exchange(whole_at, after) {
                Ok(()) | Err(CLOSED) => return,
                Err(other) => whole_at = other,
            }
        }
    }

    /// Makes what was used of another quota as much of this one: of `before` in which a unit came back, `now` and all of it.
    pub(crate) fn rescale(&self, before: u64, interval: u64, whole: u64, now: u64) {
        let Some(mut whole_at) = self.whole_at() else { return };
        while whole_at > now {
            let used =
                u128::from(whole_at - now) * u128::from(interval) / u128::from(before.max(1));
            let used = u64::try_from(used).unwrap_or(u64::MAX).min(whole);
            match self.exchange(whole_at, now.saturating_add(used)) {
                Ok(()) | Err(CLOSED) => return,
                Err(other) => whole_at = other,
            }
        }
    }

    /// Closes it if its allowance is whole, so that nobody takes of it until it is opened.
    pub(crate) fn close_if_whole(&self, now: u64) -> bool {
        self.whole_at()
            .is_some_and(|whole_at| whole_at <= now && self.exchange(whole_at, CLOSED).is_ok())
    }

    pub(crate) fn close(&self) {
        self.0.store(CLOSED, Ordering::Release);
    }

    /// Opens it, whole at that time.
    pub(crate) fn open(&self, whole_at: u64) {
        self.0.store(whole_at, Ordering::Release);
    }

    /// The error is what is there instead.
    fn exchange(&self, before: u64, after: u64) -> Result<(), u64> {
        // Acquires, so that who takes of a cell that was opened for another key sees that it was.
        self.0.compare_exchange(before, after, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }
}

const CLOSED: u64 = u64::MAX;
