//! Taking of allowances in the memory of this process.

use std::future::Ready;
use std::time::Duration;

use tokio::time::Instant;

use crate::bucket::{Given, Outcome, Receipt};
use crate::gcra::{Pace, Taken};
use crate::store::{MOST_LIMITS, Ruling, Standing};
use crate::table::Table;
use crate::{Answer, Demand, Demands, Store, Verdict};

/// Keeps allowances in the memory of this process: a table of a fixed size for each limit.
///
/// A call looks at no more than eight keys for each limit, whatever the number of keys.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct InMemory;

impl Store for InMemory {
    type Future = Ready<Verdict>;

    fn take(&self, demands: Demands<'_>) -> Answer<Self::Future> {
        Answer::Now(demands.take_in_memory())
    }
}

impl Demands<'_> {
    /// Takes what all of them ask for from the memory of this process, or nothing; as [`Store::take`] does.
    pub fn take_in_memory(&self) -> Verdict {
        let now = Instant::now();
        let mut verdict = Verdict::admitted();
        let mut each = self.iter();
        let Some(first) = each.next() else { return verdict };
        if each.next().is_none() {
            // One limit is its own check.
            first.act(&mut verdict, None, now, Table::take);
            return verdict;
        }
        // Of several none is touched before all have been looked at.
        let looked = self.all(now, Table::look);
        if looked.verdict.refused != 0 {
            return looked.verdict;
        }
        let taken = self.all(now, Table::take);
        if taken.verdict.refused != 0 {
            self.give_back(&taken.receipts, now);
        }
        taken.verdict
    }

    /// Looks at all, or takes what they ask for.
    fn all(&self, now: Instant, act: impl Act) -> All {
        let mut all = All { verdict: Verdict::admitted(), receipts: [None; MOST_LIMITS] };
        for (demand, receipt) in self.iter().zip(&mut all.receipts) {
            demand.act(&mut all.verdict, Some(receipt), now, act);
        }
        all
    }

    fn give_back(&self, receipts: &[Option<Receipt>], now: Instant) {
        for (demand, receipt) in self.iter().zip(receipts) {
            if let Some(receipt) = receipt {
                let ledger = demand.ledger();
                let hash = ledger.hash(demand.hashed());
                ledger.table.give_back(hash, *receipt, demand.pace(), ledger.at(now));
            }
        }
    }
}

impl Demand<'_> {
    /// Adds what comes of this one to the verdict, and leaves a receipt with who wants one.
    fn act(
        &self,
        verdict: &mut Verdict,
        receipt: Option<&mut Option<Receipt>>,
        now: Instant,
        act: impl Act,
    ) {
        let (ledger, pace) = (self.ledger(), self.patient_pace());
        let now = ledger.at(now);
        let hash = ledger.hash(self.hashed());
        let Some(outcome) = act(&ledger.table, hash, pace, now) else { return };
        if outcome.given == Some(Given::Anothers) {
            ledger.meter.evicted();
        }
        // Most requests are told nothing of it, and it takes a division.
        let standing = || Standing {
            limit: self.index(),
            left: pace.left(outcome.whole_at, now),
            whole_in: Duration::from_nanos(outcome.whole_at.saturating_sub(now)),
        };
        verdict.add(self, outcome.taken, standing);
        if outcome.shared {
            verdict.crowded |= self.bit();
        }
        if let Some(receipt) = receipt {
            *receipt = outcome.receipt;
        }
    }
}

/// [`Table::look`] or [`Table::take`].
trait Act: Fn(&Table, u64, Pace, u64) -> Option<Outcome> + Copy {}

impl<F: Fn(&Table, u64, Pace, u64) -> Option<Outcome> + Copy> Act for F {}

struct All {
    verdict: Verdict,
    receipts: [Option<Receipt>; MOST_LIMITS],
}

impl Verdict {
    /// Adds what came of one more demand, in place: a verdict is large.
    pub(crate) fn add(
        &mut self,
        demand: &Demand<'_>,
        taken: Taken,
        standing: impl FnOnce() -> Standing,
    ) {
        match (taken, &mut self.ruling) {
            (Taken::Yes { wait: more, .. }, Ruling::Admitted { tightest, wait }) => {
                // Most wait for nothing, and to say how long takes a division.
                if more != 0 {
                    *wait = Duration::from_nanos(more).max(*wait);
                }
                if demand.is_announced() {
                    let standing = standing();
                    if tightest.is_none_or(|known| standing.left < known.left) {
                        *tightest = Some(standing);
                    }
                }
            }
            (Taken::No { retry }, ruling) if demand.is_enforced() => {
                let retry_after = retry.map(Duration::from_nanos);
                let longer = match ruling {
                    Ruling::Refused { retry_after: known, .. } => match (*known, retry_after) {
                        (Some(known), Some(retry)) => retry > known,
                        (known, _) => known.is_some(),
                    },
                    Ruling::Admitted { .. } | Ruling::Unavailable => true,
                };
                if longer {
                    *ruling = Ruling::Refused { standing: standing(), retry_after };
                }
                *self = self.exceeded(demand);
            }
            (Taken::No { .. }, _) => *self = self.exceeded(demand),
            (Taken::Yes { .. }, _) => {}
        }
    }
}
