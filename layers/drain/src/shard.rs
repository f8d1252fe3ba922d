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
    since: Instant,
    /// What it is called in the report, as far as it is short: a copy, which neither allocates nor keeps the buffer that
    /// the request was read into.
    short: [u8; SHORT],
    length: u8,
    /// In place of that.
    long: Option<Box<str>>,
}

/// Who wants to be in flight.
#[derive(Clone, Copy)]
pub(crate) struct Newcomer<'a> {
    kind: Kind,
    method: Option<&'a Method>,
    name: &'a str,
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
        let phase = self.phase();
        if phase == Phase::Ready {
            return false;
        }
        let (close, linger) = (self.deadlines.close(), self.deadlines.linger());
        match (phase, self.began.get()) {
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

    /// Notes a request down, which begins now, unless the time for that has passed.
    pub(crate) fn enter(&self, newcomer: &Newcomer<'_>) -> Option<usize> {
        let now = Instant::now();
        let mut roster = self.lock();
        // Looking and noting down are one step: a shard found closed and empty stays empty.
        (self.phase() < Phase::Forced).then(|| {
            roster.running.insert(|| Running::new(now), |running| running.begin(newcomer, now))
        })
    }

    /// Crosses a request off, and lets the shutdown know when it may have been the last.
    pub(crate) fn leave(&self, key: usize) {
        let mut roster = self.lock();
        let left = roster.running.remove(key).and_then(Running::end);
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
    const fn new(since: Instant) -> Self {
        let (kind, method) = (Kind::Request, None);
        Self { kind, method, since, short: [0; SHORT], length: 0, long: None }
    }

    /// Becomes `newcomer`, in the place of whoever was there before.
    fn begin(&mut self, newcomer: &Newcomer<'_>, since: Instant) {
        self.kind = newcomer.kind;
        self.method = newcomer.method.cloned();
        self.since = since;
        let name = newcomer.name;
        if let (Some(short), Ok(length)) =
            (self.short.get_mut(..name.len()), u8::try_from(name.len()))
        {
            short.copy_from_slice(name.as_bytes());
            self.length = length;
        } else {
            self.long = Some(name.into());
        }
    }

    /// Leaves no long name behind, which is better dropped without a lock held.
    fn end(&mut self) -> Option<Box<str>> {
        self.long.take()
    }

    fn name(&self) -> Cow<'_, str> {
        match &self.long {
            Some(name) => Cow::Borrowed(name),
            None => {
                let short = self.short.get(..usize::from(self.length));
                String::from_utf8_lossy(short.unwrap_or_default())
            }
        }
    }

    pub(crate) fn cut(&self, now: Instant) -> Cut {
        let age = now.saturating_duration_since(self.since);
        Cut::new(self.kind, self.method.clone(), self.name().into_owned(), age)
    }
}

impl<'a> Newcomer<'a> {
    /// By its path, without the query, which may hold secrets.
    pub(crate) fn request<B>(request: &'a Request<B>) -> Self {
        let path = request.uri().path_and_query().map_or("", PathAndQuery::path);
        Self { kind: Kind::Request, method: Some(request.method()), name: path }
    }

    pub(crate) const fn task(name: &'a str) -> Self {
        Self { kind: Kind::Task, method: None, name }
    }
}

// Without the requests, whose queries may hold secrets.
impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

/// As much of a name as fits a place in the roster of two pairs of cache lines: a longer path takes an allocation.
const SHORT: usize = 176;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_own_path_whatever_its_length_and_whoever_had_its_place_before() {
        let shard = Shard::new(Phase::Ready, Deadlines::default(), Weak::new());
        for length in [1, 500, 7, SHORT - 1, SHORT, SHORT - 2, 10_000, 0] {
            let path = format!("/{}", "a".repeat(length));
            let request = Request::get(format!("{path}?token=secret")).body(()).unwrap();

            let key = shard.enter(&Newcomer::request(&request)).unwrap();

            let names: Vec<_> = shard.lock().running().map(|one| one.name().into_owned()).collect();
            assert_eq!((key, names), (0, vec![path]));
            shard.leave(key);
        }
    }

    #[test]
    fn a_place_fills_two_pairs_of_cache_lines_and_keeps_no_long_name() {
        let shard = Shard::new(Phase::Ready, Deadlines::default(), Weak::new());
        assert_eq!(Slab::<Running>::PLACE, 256);
        let path = format!("/{}", "a".repeat(1000));
        let key = shard.enter(&Newcomer::request(&Request::get(path).body(()).unwrap())).unwrap();

        let left = shard.lock().running.get_mut(key).and_then(Running::end);

        assert!(left.is_some_and(|name| name.len() == 1001));
        assert!(shard.lock().running.get_mut(key).is_some_and(|one| one.long.is_none()));
    }
}
