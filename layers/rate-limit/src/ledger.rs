use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::gcra::Pace;
use crate::meters::Meter;
use crate::refusals::Refusals;
use crate::sync::{AtomicU64, Mutex, lock};
use crate::table::Table;
use crate::wait::Waiters;
use crate::{Demand, Key, LimitPolicy, Quota, Verdict};

/// What one limit knows: how much is allowed, and what its keys have used of it in this process.
///
/// Keys are told apart by a hash of 64 bits, with a secret made anew for each limit.
pub(crate) struct Ledger {
    pub(crate) name: Arc<str>,
    pub(crate) table: Table,
    pub(crate) waiters: Waiters,
    pub(crate) meter: Meter,
    pub(crate) refusals: Refusals,
    secret: RandomState,
    born: Instant,
    quota: Mutex<Quota>,
    /// What requests read of the quota without its lock. Between two changes one request may see a half of each, which
    /// makes it neither free nor impossible.
    interval: AtomicU64,
    burst: AtomicU64,
    /// That a request had no key has been said.
    warned: AtomicBool,
}

impl Ledger {
    pub(crate) fn new(name: Arc<str>, policy: &LimitPolicy) -> Self {
        let (interval, burst) = policy.quota.interval_and_burst();
        Self {
            table: Table::new(policy.keys),
            waiters: Waiters::default(),
            meter: Meter::new(&name),
            refusals: Refusals::default(),
            secret: RandomState::new(),
            born: Instant::now(),
            quota: Mutex::new(policy.quota),
            interval: AtomicU64::new(interval),
            burst: AtomicU64::new(burst.get().into()),
            warned: AtomicBool::new(false),
            name,
        }
    }

    pub(crate) fn quota(&self) -> Quota {
        *lock(&self.quota)
    }

    /// Allows another quota. What keys have used they have used, by number, up to all of it.
    pub(crate) fn change_quota(&self, quota: Quota) {
        let mut known = lock(&self.quota);
        if *known == quota {
            return;
        }
        let (before, _) = known.interval_and_burst();
        let (interval, burst) = quota.interval_and_burst();
        self.interval.store(interval, Relaxed);
        self.burst.store(burst.get().into(), Relaxed);
        *known = quota;
        let whole = Pace::new(interval, burst, NonZeroU32::MIN).burst;
        self.table.rescale(before, interval, whole, self.now());
    }

    /// For a request that costs so much.
    pub(crate) fn pace(&self, cost: NonZeroU32) -> Pace {
        let burst = u32::try_from(self.burst.load(Relaxed)).ok();
        let burst = burst.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        Pace::new(self.interval.load(Relaxed), burst, cost)
    }

    /// Counts what came of a request for one of its demands.
    pub(crate) fn count(&self, demand: &Demand<'_>, verdict: &Verdict) {
        self.meter.count(demand, verdict, &self.table);
        if verdict.refused & demand.bit() != 0 {
            self.refusals.note(demand.hashed());
        }
    }

    /// Gives back what a request of this key took, as far as time has not.
    pub(crate) fn give_back(&self, key: &Key, cost: NonZeroU32) {
        self.table.credit(self.hash(key), self.pace(cost), self.now());
    }

    /// Says so once, and counts it each time.
    pub(crate) fn key_is_missing(&self) {
        if !self.warned.swap(true, Relaxed) {
            tracing::warn!(limit = &*self.name, "a request has no key, and others may have none");
        }
        self.meter.missing_key();
    }

    pub(crate) fn hash(&self, key: &Key) -> u64 {
        self.secret.hash_one(key)
    }

    /// On the clock of the table.
    pub(crate) fn at(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.born))
    }

    pub(crate) fn now(&self) -> u64 {
        self.at(Instant::now())
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(time.subsec_nanos().into())
        .min(LONGEST)
}

/// So that a sum of two fits.
const LONGEST: u64 = u64::MAX / 2;
