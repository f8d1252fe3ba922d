//! Where it is decided who asks an issuer for its keys and who waits, and where lies what came of it.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::fetch::Document;
use crate::keys::Keys;
use crate::refresh::{Advice, Need, Refresh};
use crate::snapshot::{Set, Snapshot};
use crate::sync::{Mutex, MutexGuard, Swap, watch};
use crate::{RefreshError, RefreshPolicy, Unauthorized};

/// Requests read a snapshot, without a lock. The lock is for who asks, and for what a snapshot cannot answer.
pub(crate) struct Desk {
    snapshot: Swap<Snapshot>,
    refresh: Mutex<Refresh>,
    /// Changes whenever somebody has asked, with or without success. It closes with the desk.
    landings: watch::Sender<u64>,
}

/// What an issuer has sent.
pub(crate) struct Found {
    pub(crate) keys: Keys,
    pub(crate) skipped: usize,
    pub(crate) document: Document,
}

/// What somebody has waited for.
pub(crate) type Landings = watch::Receiver<u64>;

impl Desk {
    pub(crate) fn new(policy: RefreshPolicy) -> Self {
        Self {
            snapshot: Swap::default(),
            refresh: Mutex::new(Refresh::new(policy)),
            landings: watch::Sender::new(0),
        }
    }

    /// What is known, to look at and let go.
    pub(crate) fn look(&self) -> impl Deref<Target = Arc<Snapshot>> + use<'_> {
        self.snapshot.load()
    }

    /// What is known, to keep.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Changes when somebody has asked, from now on. An error says that the desk is gone.
    pub(crate) fn watch(&self) -> Landings {
        self.landings.subscribe()
    }

    /// What to do. Who is told to ask must say what came of it.
    pub(crate) fn advise(&self, need: Need, now: Instant) -> Advice {
        self.advise_locked(&mut self.lock(), need, now)
    }

    /// What to do about what was missing in the snapshot with that many landings; nothing is said if there is a newer one,
    /// which may have it.
    pub(crate) fn advise_after(&self, landings: u64, need: Need, now: Instant) -> Option<Advice> {
        let mut refresh = self.lock();
        if self.snapshot.load().landings != landings {
            return None;
        }
        Some(self.advise_locked(&mut refresh, need, now))
    }

    /// The end for a token that has waited, unless there is a newer snapshot: it is refused for `reason`, or, where none is
    /// given or the issuer is away, because nobody can tell.
    pub(crate) fn give_up(
        &self,
        landings: u64,
        reason: Option<Unauthorized>,
        name: Option<u64>,
        now: Instant,
    ) -> Option<Unauthorized> {
        let mut refresh = self.lock();
        if self.snapshot.load().landings != landings {
            return None;
        }
        if let Some(reason) = reason.filter(|_| !refresh.failing()) {
            if let Some(name) = name {
                refresh.absent(name, now);
            }
            return Some(reason);
        }
        let due = refresh.due(now);
        let retry_after = due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
        Some(Unauthorized::KeysUnavailable { retry_after })
    }

    /// Takes what came of asking, calls `tell` with what was known before and what is now, and wakes who waits.
    pub(crate) fn land(
        &self,
        result: Result<Found, RefreshError>,
        now: Instant,
        random: f64,
        tell: impl FnOnce(&Snapshot, &Snapshot),
    ) {
        let mut refresh = self.lock();
        let before = self.snapshot();
        match result {
            Ok(found) => {
                let set = renewed(&before, found.keys, found.skipped, found.document.bytes);
                let changed = set.generation != before.generation();
                refresh.landed(changed, found.document.lifetime, now, random);
                self.publish(|snapshot| {
                    snapshot.set = Some(set);
                    snapshot.good = refresh.good();
                    snapshot.due = refresh.due(now);
                    snapshot.failure = None;
                    snapshot.landings += 1;
                });
            }
            Err(error) => {
                refresh.failed(now, random);
                self.publish(|snapshot| {
                    snapshot.due = refresh.due(now);
                    snapshot.failure = Some(error);
                    snapshot.landings += 1;
                });
            }
        }
        let after = self.snapshot();
        drop(refresh);
        tell(&before, &after);
        // Last: who waits then finds what has come.
        self.landings.send_modify(|landings| *landings = after.landings);
    }

    fn advise_locked(&self, refresh: &mut Refresh, need: Need, now: Instant) -> Advice {
        let advice = refresh.advise(need, now);
        if advice == Advice::Ask {
            // Nobody else finds it due meanwhile.
            let due = refresh.due(now);
            self.publish(|snapshot| snapshot.due = due);
        }
        advice
    }

    /// Replaces the snapshot. Only who holds the lock does.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        change(&mut snapshot);
        self.snapshot.store(Arc::new(snapshot));
    }

    fn lock(&self) -> MutexGuard<'_, Refresh> {
        // Nothing panics halfway through a change here, so a poisoned lock guards nothing broken.
        self.refresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The set as it was, if this is it again, or the next one.
fn renewed(before: &Snapshot, keys: Keys, skipped: usize, document: Vec<u8>) -> Arc<Set> {
    match before.set.as_ref().filter(|set| set.document == document) {
        Some(set) => set.clone(),
        None => Arc::new(Set { keys, skipped, generation: before.generation() + 1, document }),
    }
}

/// Run by `RUSTFLAGS="--cfg loom" cargo test -p portcullis-jwt-auth --lib --release desk`.
#[cfg(all(test, loom))]
mod models {
    use loom::future::block_on;
    use loom::thread;

    use super::*;

    fn found(document: &[u8]) -> Found {
        let document = Document { bytes: document.to_vec(), lifetime: None };
        Found { keys: [].into_iter().collect(), skipped: 0, document }
    }

    fn desk() -> Arc<Desk> {
        Arc::new(Desk::new(RefreshPolicy::new()))
    }

    /// A request that misses keys, as `Store` has it. Returns how often it asked.
    fn miss(desk: &Desk, answer: impl Fn() -> Result<Found, RefreshError>) -> usize {
        let now = Instant::now();
        let mut asked = 0;
        loop {
            let snapshot = desk.snapshot();
            assert_eq!(snapshot.set.is_some(), snapshot.good.is_some(), "a snapshot is whole");
            if snapshot.set.is_some() || snapshot.failure.is_some() {
                return asked;
            }
            let mut landings = desk.watch();
            match desk.advise_after(snapshot.landings, Need::Keys, now) {
                Some(Advice::Ask) => {
                    asked += 1;
                    desk.land(answer(), now, 0.5, |_, _| ());
                }
                Some(Advice::Wait) => block_on(landings.changed()).unwrap(),
                None => {}
                Some(advice @ (Advice::Settled | Advice::Unavailable(_))) => {
                    panic!("{advice:?}, though there are newer keys")
                }
            }
        }
    }

    #[test]
    fn who_miss_keys_together_ask_once_and_all_have_them() {
        loom::model(|| {
            let desk = desk();
            let other = thread::spawn({
                let desk = desk.clone();
                move || miss(&desk, || Ok(found(b"a")))
            });
            let asked = miss(&desk, || Ok(found(b"b")));

            assert_eq!(asked + other.join().unwrap(), 1);
            assert_eq!(desk.snapshot().generation(), 1);
        });
    }

    #[test]
    fn who_waits_is_woken_when_asking_fails() {
        loom::model(|| {
            let desk = desk();
            let other = thread::spawn({
                let desk = desk.clone();
                move || miss(&desk, || Err(RefreshError::Aborted))
            });
            let asked = miss(&desk, || Err(RefreshError::Aborted));

            assert_eq!(asked + other.join().unwrap(), 1);
        });
    }

    #[test]
    fn a_snapshot_is_old_or_new_and_never_between() {
        loom::model(|| {
            let desk = desk();
            let now = Instant::now();
            assert_eq!(desk.advise(Need::Now, now), Advice::Ask);
            desk.land(Ok(found(&[1])), now, 0.5, |_, _| ());
            let writer = thread::spawn({
                let desk = desk.clone();
                move || {
                    assert_eq!(desk.advise(Need::Now, now), Advice::Ask);
                    desk.land(Ok(found(&[2])), now, 0.5, |_, _| ());
                }
            });
            let mut newest = 1;
            for _ in 0..2 {
                let snapshot = desk.snapshot();
                let set = snapshot.set.as_ref().unwrap();
                assert_eq!(set.document, [u8::try_from(set.generation).unwrap()]);
                assert_eq!(snapshot.landings, set.generation);
                assert!(set.generation >= newest, "it does not go back");
                newest = set.generation;
            }
            writer.join().unwrap();
            assert_eq!(desk.snapshot().generation(), 2);
        });
    }

    #[test]
    fn nobody_is_forgotten_who_gives_up_while_keys_land() {
        loom::model(|| {
            let desk = desk();
            let now = Instant::now();
            assert_eq!(desk.advise(Need::Now, now), Advice::Ask);
            desk.land(Ok(found(b"old")), now, 0.5, |_, _| ());
            let seen = desk.snapshot().landings;
            assert_eq!(desk.advise(Need::Now, now), Advice::Ask);
            let flight = thread::spawn({
                let desk = desk.clone();
                move || desk.land(Ok(found(b"new")), now, 0.5, |_, _| ())
            });
            let reason = Unauthorized::UnknownKey;
            let refused = desk.give_up(seen, Some(reason), Some(7), now);
            // Refused by the old keys, or told to look at the new ones; then nothing is remembered against them.
            assert!(refused == Some(reason) || desk.snapshot().generation() == 2);
            flight.join().unwrap();
            let later = now + RefreshPolicy::new().unknown_kid_interval;
            assert_eq!(desk.advise(Need::Key(Some(7)), later), Advice::Ask);
        });
    }

    #[test]
    fn who_keeps_keys_fresh_ends_with_the_last_who_needs_them() {
        loom::model(|| {
            let desk = desk();
            let mut landings = desk.watch();
            let keeper = thread::spawn(move || {
                let mut seen = 0;
                while block_on(landings.changed()).is_ok() {
                    seen += 1;
                }
                seen
            });
            let last = thread::spawn({
                let desk = desk.clone();
                move || desk.land(Err(RefreshError::Aborted), Instant::now(), 0.5, |_, _| ())
            });
            drop(desk);
            last.join().unwrap();
            assert_eq!(keeper.join().unwrap(), 1);
        });
    }
}
