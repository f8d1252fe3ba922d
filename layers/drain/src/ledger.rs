//! All shards together, and the steps that take all of them at once.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use crate::phase::Event;
use crate::shard::Shard;
use crate::shutdown::Shutdown;
use crate::{Deadlines, Phase, Report};

/// The truth about a shutdown, under one lock that no request takes until the last ones leave.
#[derive(Default)]
pub(crate) struct Ledger {
    phase: Phase,
    began: Option<Instant>,
    report: Option<Report>,
    shards: Vec<Arc<Shard>>,
    completed: usize, // in shards that have been forgotten
}

impl Ledger {
    pub(crate) fn open_shard(
        &mut self,
        deadlines: &Deadlines,
        shutdown: Weak<Shutdown>,
    ) -> Arc<Shard> {
        if self.shards.len() == self.shards.capacity() {
            self.forget_dropped();
            // Room to double: looking through all is paid for by as many that come.
            self.shards.reserve(self.shards.len().max(1));
        }
        let shard = Arc::new(Shard::new(self.phase, deadlines.clone(), shutdown));
        shard.follow(&shard.lock(), self.phase, self.began);
        self.shards.push(shard.clone());
        shard
    }

    /// Forgets the shards that have neither a service nor a request in flight.
    fn forget_dropped(&mut self) {
        let Self { shards, completed, .. } = self;
        shards.retain_mut(|shard| match Arc::get_mut(shard) {
            Some(shard) => {
                *completed += shard.lock().completed();
                false
            }
            None => true,
        });
    }

    pub(crate) fn in_flight(&mut self) -> usize {
        self.forget_dropped();
        self.shards.iter().map(|shard| shard.lock().in_flight()).sum()
    }

    /// When it began: `now`, unless it has before.
    pub(crate) fn begin(&mut self, now: Instant) -> Instant {
        *self.began.get_or_insert(now)
    }

    pub(crate) fn report(&self) -> Option<Report> {
        self.report.clone()
    }

    /// Lets `event` happen, and whatever follows from nothing being in flight.
    pub(crate) fn advance(&mut self, event: Option<Event>) -> Phase {
        // A busy one is heard of again when its last request leaves: no need to stop them all.
        if event.is_none() && self.shards.iter().any(|shard| !shard.lock().is_idle()) {
            return self.phase;
        }

        // With every shard locked nobody comes or goes: what is found idle is closed idle.
        let rosters: Vec<_> = self.shards.iter().map(|shard| shard.lock()).collect();

        let before = self.phase;
        let mut phase = event.map_or(before, |event| before.next(event));
        if rosters.iter().all(|roster| roster.is_idle()) {
            phase = phase.next(Event::Idle);
        }
        for (shard, roster) in self.shards.iter().zip(&rosters) {
            shard.follow(roster, phase, self.began);
        }
        self.phase = phase;

        if before < Phase::Forced && phase >= Phase::Forced {
            let now = Instant::now();
            let ended: usize = rosters.iter().map(|roster| roster.completed()).sum();
            let cut = rosters.iter().flat_map(|roster| roster.running()).map(|one| one.cut(now));
            self.report = Some(Report::new(self.completed + ended, cut.collect()));
        }
        phase
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn open(ledger: &mut Ledger) -> Arc<Shard> {
        ledger.open_shard(&Deadlines::default(), Weak::new())
    }

    #[test]
    fn dropped_shards_are_forgotten() {
        let mut ledger = Ledger::default();
        let kept: Vec<_> = (0..3).map(|_| open(&mut ledger)).collect();
        for _ in 0..1000 {
            drop(open(&mut ledger));
        }

        assert!(ledger.shards.len() <= 16);
        assert_eq!(ledger.in_flight(), 0);
        assert_eq!(ledger.shards.len(), 3);
        assert!(kept.iter().all(|kept| ledger.shards.iter().any(|shard| Arc::ptr_eq(kept, shard))));
    }
}

#[cfg(all(test, loom))]
mod tests {
    use http::Request;
    use loom::thread::JoinHandle;

    use super::*;
    use crate::shard::Newcomer;

    fn enter(shard: &Shard) -> Option<usize> {
        shard.enter(&Newcomer::request(&Request::new(())))
    }

    /// Lets a request come and go in a thread of its own, which returns whether it was let in.
    fn visit(shard: Arc<Shard>) -> JoinHandle<bool> {
        loom::thread::spawn(move || enter(&shard).map(|key| shard.leave(key)).is_some())
    }

    #[test]
    fn the_last_one_out_is_not_missed() {
        loom::model(|| {
            let shutdown = Shutdown::new(Deadlines::default());
            let shards = [shutdown.open_shard(), shutdown.open_shard()];
            let visitors = shards.clone().map(visit);

            shutdown.begin();
            shutdown.apply(Event::Lingered);
            for visitor in visitors {
                visitor.join().unwrap();
            }

            assert_eq!(shutdown.phase(), Phase::Done);
            assert!(shutdown.report().unwrap().cut().is_empty());
        });
    }

    #[test]
    fn nobody_comes_in_once_the_time_is_up_and_all_who_did_are_in_the_report() {
        loom::model(|| {
            let shutdown = Shutdown::new(Deadlines::default());
            let shard = shutdown.open_shard();
            let early = enter(&shard).unwrap();
            shutdown.begin();
            let visitor = visit(shard.clone());
            let leaver = loom::thread::spawn({
                let shard = shard.clone();
                move || shard.leave(early)
            });

            shutdown.apply(Event::Force);
            assert!(enter(&shard).is_none());
            if shutdown.phase() == Phase::Done {
                assert_eq!(shutdown.in_flight(), 0);
            }

            let admitted = 1 + usize::from(visitor.join().unwrap());
            leaver.join().unwrap();
            let report = shutdown.report().unwrap();
            assert_eq!(report.completed() + report.cut().len(), admitted);
            assert_eq!(shutdown.phase(), Phase::Done);
        });
    }
}
