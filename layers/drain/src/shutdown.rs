//! One shutdown: how far it has come, whom it waits for, and what came of it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::phase::Event;
use crate::shard::Shard;
use crate::sync::{Mutex, lock};
use crate::{Deadlines, Phase, Report};

/// What a layer, its clones, its handles and its services have in common.
///
/// Locks are taken in one order: the ledger, then shards. A request takes that of its own shard alone.
pub(crate) struct Shutdown {
    deadlines: Deadlines,
    announced: watch::Sender<Phase>,
    ledger: Mutex<Ledger>,
    /// Where what no service has brought is in flight.
    tasks: Arc<Shard>,
}

impl Shutdown {
    pub(crate) fn new(deadlines: Deadlines) -> Arc<Self> {
        Arc::new_cyclic(|shutdown| {
            let mut ledger = Ledger::default();
            let tasks = ledger.open_shard(&deadlines, shutdown.clone());
            let announced = watch::Sender::new(Phase::Ready);
            Self { deadlines, announced, ledger: Mutex::new(ledger), tasks }
        })
    }

    pub(crate) const fn tasks(&self) -> &Arc<Shard> {
        &self.tasks
    }

    pub(crate) const fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// A shard of its own for a new service.
    pub(crate) fn open_shard(self: &Arc<Self>) -> Arc<Shard> {
        lock(&self.ledger).open_shard(&self.deadlines, Arc::downgrade(self))
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.announced.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.announced.subscribe()
    }

    pub(crate) fn in_flight(&self) -> usize {
        lock(&self.ledger).in_flight()
    }

    /// Begins, unless it has begun; says when.
    pub(crate) fn begin(&self) -> Instant {
        let began = lock(&self.ledger).begin(Instant::now());
        self.apply(Event::Begin);
        began
    }

    /// Lets `event` happen.
    pub(crate) fn apply(&self, event: Event) {
        self.advance(Some(event));
    }

    /// Looks whether nothing is in flight.
    pub(crate) fn settle(&self) {
        self.advance(None);
    }

    fn advance(&self, event: Option<Event>) {
        let phase = lock(&self.ledger).advance(event);
        // Woken without a lock held, for a waker may run anything. Of two that race the later phase stands.
        self.announced.send_if_modified(|announced| {
            let later = phase > *announced;
            *announced = phase.max(*announced);
            later
        });
    }

    pub(crate) fn report(&self) -> Option<Report> {
        lock(&self.ledger).report()
    }

    /// Waits for the report.
    pub(crate) async fn reported(&self) -> Report {
        // Listening comes before looking, so as not to miss the announcement.
        let mut announced = self.subscribe();
        loop {
            if let Some(report) = self.report() {
                return report;
            }
            let _ = announced.changed().await; // the sender is ours
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("deadlines", &self.deadlines)
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}
