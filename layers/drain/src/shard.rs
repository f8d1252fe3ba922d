//! What is in flight in one service and its clones.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use http::uri::PathAndQuery;
use http::{Method, Request};
use tokio::time::Instant;

use crate::shutdown::Shutdown;
use crate::slab::Slab;
use crate::sync::{AtomicU8, AtomicU32, Mutex, MutexGuard, Ordering, lock};
use crate::{ClosePolicy, Cut, Deadlines, Kind, Phase};

/// A part of the count that one worker has to itself.
///
/// It fills cache lines of its own, so that no other worker's writes slow it down.
#[repr(align(128))]
pub(crate) struct Shard {
    /// A copy of the shutdown's phase, which only changes while `roster` is locked.
    phase: AtomicU8,
    roster: Mutex<Roster>,
    deadlines: Deadlines,
    /// When the shutdown began, once it has.
    began: OnceLock<Instant>,
    /// The responses that were asked whether to tell the client to close, while it lingers.
    asked: AtomicU32,
    shutdown: Weak<Shutdown>,
}

/// Who is in flight, and how many have been since the signal.
pub(crate) struct Roster {
    running: Slab<Running>,
    completed: usize,
}

/// What is in flight.
pub(crate) struct Running {
    kind: Kind,
    method: Option<Method>,
    name: Name,
    since: Instant,
}

/// What it is called in the report.
enum Name {
    Target(Option<PathAndQuery>),
    Task(Cow<'static, str>),
}

impl Shard {
    pub(crate) fn new(phase: Phase, deadlines: Deadlines, shutdown: Weak<Shutdown>) -> Self {
        let roster = Roster { running: Slab::new(), completed: 0 };
        Self {
            phase: AtomicU8::new(phase as u8),
            roster: Mutex::new(roster),
            deadlines,
            began: OnceLock::new(),
            asked: AtomicU32::new(0),
            shutdown,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        // Nothing else is read by what this says; who must be exact reads it under the lock.
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }

    /// What this is a part of; nothing once there is neither a layer nor a handle, and so nobody who could begin.
    pub(crate) fn shutdown(&self) -> Option<Arc<Shutdown>> {
        self.shutdown.upgrade()
    }

    /// When what is in flight is given up; none before the signal, or if that is never.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.began.get()?.checked_add(self.deadlines.deadline())
    }

    /// Whether a response that goes out now is to tell its client to close.
    pub(crate) fn closes(&self) -> bool {
        let (close, linger) = (self.deadlines.close(), self.deadlines.linger());
        match (self.phase(), self.began.get()) {
            (Phase::Ready, _) => false,
            (Phase::Lingering, Some(began)) => {
                // Relaxed, as the count orders nothing else.
                close.applies(self.asked.fetch_add(1, Ordering::Relaxed), began.elapsed(), linger)
            }
            _ => close != ClosePolicy::Never,
        }
    }

    /// Notes down that it has become a tunnel.
    pub(crate) fn becomes_tunnel(&self, key: usize) {
        if let Some(running) = self.lock().running.get_mut(key) {
            running.kind = Kind::Tunnel;
        }
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
    pub(crate) fn follow(
        &self,
        _roster: &MutexGuard<'_, Roster>,
        phase: Phase,
        began: Option<Instant>,
    ) {
        if let Some(began) = began {
            // Set before the phase that makes anyone look, and never changed: who finds none takes it for the end.
            let _ = self.began.set(began);
        }
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
    pub(crate) fn request<B>(request: &Request<B>) -> Self {
        Self {
            kind: Kind::Request,
            method: Some(request.method().clone()),
            name: Name::Target(request.uri().path_and_query().cloned()),
            since: Instant::now(),
        }
    }

    /// A task that begins now.
    pub(crate) fn task(name: Cow<'static, str>) -> Self {
        Self { kind: Kind::Task, method: None, name: Name::Task(name), since: Instant::now() }
    }

    pub(crate) fn cut(&self, now: Instant) -> Cut {
        let name = match &self.name {
            Name::Target(target) => target.as_ref().map_or("", PathAndQuery::path),
            Name::Task(name) => name,
        };
        let age = now.saturating_duration_since(self.since);
        Cut::new(self.kind, self.method.clone(), name.to_owned(), age)
    }
}

// Without the requests, whose queries may hold secrets.
impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("phase", &self.phase()).finish_non_exhaustive()
    }
}
