//! The requests in flight of one service and its clones.

use std::fmt;
use std::sync::Weak;

use http::uri::PathAndQuery;
use http::{Method, Request};
use tokio::time::Instant;

use crate::shutdown::Shutdown;
use crate::slab::Slab;
use crate::sync::{AtomicU8, Mutex, MutexGuard, Ordering, lock};
use crate::{Cut, Phase};

/// A part of the count that one worker has to itself.
///
/// It fills cache lines of its own, so that no other worker's writes slow it down.
#[repr(align(128))]
pub(crate) struct Shard {
    /// A copy of the shutdown's phase, which only changes while `roster` is locked.
    phase: AtomicU8,
    roster: Mutex<Roster>,
    shutdown: Weak<Shutdown>,
}

/// Who is in flight, and how many have been since the signal.
pub(crate) struct Roster {
    running: Slab<Running>,
    completed: usize,
}

/// A request in flight.
pub(crate) struct Running {
    method: Method,
    target: Option<PathAndQuery>,
    since: Instant,
}

impl Shard {
    pub(crate) fn new(phase: Phase, shutdown: Weak<Shutdown>) -> Self {
        let roster = Roster { running: Slab::new(), completed: 0 };
        Self { phase: AtomicU8::new(phase as u8), roster: Mutex::new(roster), shutdown }
    }

    pub(crate) fn phase(&self) -> Phase {
        // Nothing else is read by what this says; who must be exact reads it under the lock.
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }

    /// Notes a request down, unless the time for that has passed.
    pub(crate) fn enter(&self, running: Running) -> Option<usize> {
        let mut roster = self.lock();
        // Looking and noting down are one step: a shard found closed and empty stays empty.
        (self.phase() < Phase::Forced).then(|| roster.running.insert(running))
    }

    /// Crosses a request off, and lets the shutdown know when it may have been the last.
    pub(crate) fn leave(&self, key: usize) {
        let mut roster = self.lock();
        let left = roster.running.remove(key);
        let phase = self.phase();
        if phase > Phase::Ready {
            roster.completed += 1;
        }
        let last = phase >= Phase::Draining && roster.is_idle();
        drop(roster);
        drop(left);

        if last {
            // Without a layer or a handle there is nobody left to tell.
            if let Some(shutdown) = self.shutdown.upgrade() {
                shutdown.settle();
            }
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Roster> {
        lock(&self.roster)
    }

    /// Takes the shutdown's new phase; `roster` proves that it is locked.
    pub(crate) fn follow(&self, _roster: &MutexGuard<'_, Roster>, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

impl Roster {
    pub(crate) const fn in_flight(&self) -> usize {
        self.running.len()
    }

    pub(crate) const fn is_idle(&self) -> bool {
        self.running.len() == 0
    }

    pub(crate) const fn completed(&self) -> usize {
        self.completed
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Running> {
        self.running.iter()
    }
}

impl Running {
    /// What is known of `request`, which begins now.
    pub(crate) fn new<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            since: Instant::now(),
        }
    }

    pub(crate) fn cut(&self, now: Instant) -> Cut {
        let path = self.target.as_ref().map_or("", PathAndQuery::path);
        Cut::new(self.method.clone(), path.to_owned(), now.saturating_duration_since(self.since))
    }
}

// Without the requests, whose queries may hold secrets.
impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
