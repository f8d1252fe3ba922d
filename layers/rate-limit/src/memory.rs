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
        let mut each = self.iter();
        let Some(first) = each.next() else { return Verdict::admitted() };
        if each.next().is_none() {
            // One limit is its own check.
            return first.act(Verdict::admitted(), now, Table::take).0;
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
    fn all(&self, now: Instant, act: Act) -> All {
        let mut all = All { verdict: Verdict::admitted(), receipts: [None; MOST_LIMITS] };
        for (demand, receipt) in self.iter().zip(&mut all.receipts) {
            (all.verdict, *receipt) = demand.act(all.verdict, now, act);
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
    /// The verdict with what came of this one.
    fn act(&self, verdict: Verdict, now: Instant, act: Act) -> (Verdict, Option<Receipt>) {
        let (ledger, pace) = (self.ledger(), self.patient_pace());
        let now = ledger.at(now);
        let Some(outcome) = act(&ledger.table, ledger.hash(self.hashed()), pace, now) else {
            return (verdict, None);
        };
        if outcome.given == Some(Given::Anothers) {
            ledger.meter.evicted();
        }
        // Most requests are told nothing of it, and it takes a division.
        let standing = || Standing {
            limit: self.index(),
            left: pace.left(outcome.whole_at, now),
            whole_in: Duration::from_nanos(outcome.whole_at.saturating_sub(now)),
        };
        let mut verdict = verdict.then(self, outcome.taken, standing);
        verdict.crowded |= if outcome.shared { self.bit() } else { 0 };
        (verdict, outcome.receipt)
    }
}

/// [`Table::look`] or [`Table::take`].
type Act = fn(&Table, u64, Pace, u64) -> Option<Outcome>;

struct All {
    verdict: Verdict,
    receipts: [Option<Receipt>; MOST_LIMITS],
}

impl Verdict {
    /// With what came of one more demand.
    pub(crate) fn then(
        self,
        demand: &Demand<'_>,
        taken: Taken,
        standing: impl FnOnce() -> Standing,
    ) -> Self {
        match (taken, self.ruling) {
            (Taken::Yes { wait, .. }, Ruling::Admitted { tightest, wait: other }) => {
                let announced = demand.is_announced().then(standing);
                let tightest = match (tightest, announced) {
                    (Some(known), Some(standing)) if standing.left < known.left => Some(standing),
                    (known, standing) => known.or(standing),
                };
                let wait = other.max(Duration::from_nanos(wait));
                Self { ruling: Ruling::Admitted { tightest, wait }, ..self }
            }
            (Taken::No { retry }, ruling) if demand.is_enforced() => {
                let retry_after = retry.map(Duration::from_nanos);
                let longer = match ruling {
                    Ruling::Refused { retry_after: known, .. } => match (known, retry_after) {
                        (Some(known), Some(retry)) => retry > known,
                        (known, _) => known.is_some(),
                    },
                    Ruling::Admitted { .. } | Ruling::Unavailable => true,
                };
                let refused = || Ruling::Refused { standing: standing(), retry_after };
                Self { ruling: if longer { refused() } else { ruling }, ..self }.exceeded(demand)
            }
            (Taken::No { .. }, _) => self.exceeded(demand),
            (Taken::Yes { .. }, _) => self,
        }
    }
}
