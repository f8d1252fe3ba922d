use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::bucket::{Outcome, Receipt};
use crate::gcra::{Pace, Taken};
use crate::limit::Limit;
use crate::store::{MOST_LIMITS, Ruling, Standing};
use crate::table::Table;
use crate::{Demand, Demands, Key, Verdict};

/// The allowances of this process: a table of a fixed size for each limit.
///
/// A call looks at no more than eight keys for each limit, whatever the number of keys. Keys are told apart by a hash of
/// 64 bits, with a secret made anew for each layer.
pub struct Memory {
    tables: Box<[Table]>,
    secret: RandomState,
    born: Instant,
}

impl Memory {
    pub(crate) fn new(limits: &[Limit]) -> Self {
        Self {
            tables: limits.iter().map(|limit| Table::new(limit.policy.keys)).collect(),
            secret: RandomState::new(),
            born: Instant::now(),
        }
    }

    /// Takes what all demands ask for, or nothing; as [`Store::take`](crate::Store::take) does.
    pub fn take(&self, demands: Demands<'_>, patience: Duration) -> Verdict {
        let now = self.now();
        let patience = nanos(patience);
        let mut each = demands.iter();
        let Some(first) = each.next() else { return Verdict::admitted() };
        if each.next().is_none() {
            // One limit is its own check.
            return self.act(&first, Verdict::admitted(), patience, now, Table::take).0;
        }
        // Of several none is touched before all have been looked at.
        let looked = self.all(demands, patience, now, Table::look);
        if looked.verdict.refused != 0 {
            return looked.verdict;
        }
        let taken = self.all(demands, patience, now, Table::take);
        if taken.verdict.refused != 0 {
            self.give_back(demands, &taken.receipts, now);
        }
        taken.verdict
    }

    /// Looks at all demands, or takes what they ask for.
    fn all(&self, demands: Demands<'_>, patience: u64, now: u64, act: Act) -> All {
        let mut all = All { verdict: Verdict::admitted(), receipts: [None; MOST_LIMITS] };
        for (demand, receipt) in demands.iter().zip(&mut all.receipts) {
            (all.verdict, *receipt) = self.act(&demand, all.verdict, patience, now, act);
        }
        all
    }

    /// The verdict with what came of one more demand.
    fn act(
        &self,
        demand: &Demand<'_>,
        verdict: Verdict,
        patience: u64,
        now: u64,
        act: Act,
    ) -> (Verdict, Option<Receipt>) {
        let pace = demand.pace(patience);
        let hash = self.secret.hash_one(demand.hashed());
        let table = self.tables.get(usize::from(demand.index()));
        let Some(outcome) = table.and_then(|table| act(table, hash, pace, now)) else {
            return (verdict, None);
        };
        let standing = Standing {
            limit: demand.index(),
            left: pace.left(outcome.whole_at, now),
            whole_in: Duration::from_nanos(outcome.whole_at.saturating_sub(now)),
        };
        let mut verdict = verdict.then(demand, outcome.taken, standing);
        verdict.crowded |= if outcome.shared { demand.bit() } else { 0 };
        (verdict, outcome.receipt)
    }

    fn give_back(&self, demands: Demands<'_>, receipts: &[Option<Receipt>], now: u64) {
        for (demand, receipt) in demands.iter().zip(receipts) {
            let table = self.tables.get(usize::from(demand.index()));
            if let (Some(receipt), Some(table)) = (receipt, table) {
                let hash = self.secret.hash_one(demand.hashed());
                table.give_back(hash, *receipt, demand.pace(0), now);
            }
        }
    }

    pub(crate) fn table(&self, limit: usize) -> Option<&Table> {
        self.tables.get(limit)
    }

    pub(crate) fn used(&self, limit: usize) -> usize {
        self.tables.get(limit).map_or(0, |table| table.used(self.now()))
    }

    pub(crate) fn forget(&self, limit: usize, key: &Key) {
        if let Some(table) = self.tables.get(limit) {
            table.forget(self.secret.hash_one(key));
        }
    }

    fn now(&self) -> u64 {
        nanos(Instant::now().saturating_duration_since(self.born))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.tables.iter().map(Table::bytes).sum::<usize>();
        f.debug_struct("Memory").field("bytes", &bytes).finish_non_exhaustive()
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
    pub(crate) fn then(self, demand: &Demand<'_>, taken: Taken, standing: Standing) -> Self {
        match (taken, self.ruling) {
            (Taken::Yes { wait, .. }, Ruling::Admitted { tightest, wait: other }) => {
                let tighter = demand.is_enforced()
                    && tightest.is_none_or(|known: Standing| standing.left < known.left);
                let tightest = if tighter { Some(standing) } else { tightest };
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
                let refused = Ruling::Refused { standing, retry_after };
                Self { ruling: if longer { refused } else { ruling }, ..self }.exceeded(demand)
            }
            (Taken::No { .. }, _) => self.exceeded(demand),
            (Taken::Yes { .. }, _) => self,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(time.subsec_nanos().into())
        .min(LONGEST)
}

/// So that a sum of two fits.
const LONGEST: u64 = u64::MAX / 2;
