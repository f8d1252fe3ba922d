//! What all services of a layer share: the limiters, and what is learnt of them.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use http::request::Parts;
use tokio::time::Instant;

use crate::keys::{HashOf, InUse, Keys};
use crate::limiter::{Asked, Limiter, Place, Ticket};
use crate::meters::Meters;
use crate::policy::Limit;
use crate::{ConcurrencyPolicy, Order, Overloaded, Permit, Why};

pub(crate) struct Gate {
    pub(crate) policy: ConcurrencyPolicy,
    pub(crate) meters: Meters,
    limiters: Limiters,
    born: Instant,
}

enum Limiters {
    One(Arc<Limiter>),
    PerKey { keys: Arc<Keys>, hash_of: Box<dyn HashOf> },
}

/// What comes of a request.
pub(crate) enum Entry {
    Permit(Permit),
    Waiting(Waiting),
    Refused(Overloaded),
}

/// One who waits for a place.
pub(crate) struct Waiting {
    pub(crate) ticket: Ticket,
    in_use: Option<InUse>,
    pub(crate) gate: Arc<Gate>,
}

impl Gate {
    pub(crate) fn one(policy: ConcurrencyPolicy, meters: Meters) -> Self {
        let limiter = new_limiter(&policy);
        Self::new(policy, meters, Limiters::One(limiter))
    }

    pub(crate) fn per_key(
        policy: ConcurrencyPolicy,
        meters: Meters,
        hash_of: Box<dyn HashOf>,
    ) -> Self {
        let keys = Arc::new(Keys::new(policy.keys, new_limiter(&policy)));
        Self::new(policy, meters, Limiters::PerKey { keys, hash_of })
    }

    fn new(policy: ConcurrencyPolicy, meters: Meters, limiters: Limiters) -> Self {
        let gate = Self { policy, meters, limiters, born: Instant::now() };
        gate.meters.limit(gate.limit());
        gate
    }

    /// Whether whoever comes now finds no place, if that can be said without knowing who comes.
    pub(crate) fn is_full(&self) -> bool {
        match &self.limiters {
            Limiters::One(limiter) => limiter.is_full(),
            Limiters::PerKey { .. } => false,
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, parts: &Parts) -> Entry {
        let (limiter, in_use) = match &self.limiters {
            Limiters::One(limiter) => (limiter.clone(), None),
            Limiters::PerKey { keys, hash_of } => {
                keys.find_or_make(hash_of.hash(parts), || new_limiter(&self.policy))
            }
        };
        if let Some(place) = limiter.try_take() {
            return Entry::Permit(Permit::new(place, in_use, self.clone()));
        }
        match limiter.ask() {
            Asked::Place(place) => Entry::Permit(Permit::new(place, in_use, self.clone())),
            Asked::Ticket(ticket) => {
                self.meters.waits();
                Entry::Waiting(Waiting { ticket, in_use, gate: self.clone() })
            }
            Asked::Full => {
                // Before the key is looked at, which it would keep in use.
                drop(limiter);
                Entry::Refused(self.refuse(Why::Full))
            }
        }
    }

    pub(crate) fn refuse(&self, why: Why) -> Overloaded {
        self.meters.refused(why);
        Overloaded::new(why, self.policy.retry_after)
    }

    pub(crate) const fn is_adaptive(&self) -> bool {
        matches!(self.policy.limit, Limit::Adaptive(_))
    }

    /// Adapts the limit to an answer that took its time since then.
    pub(crate) fn learn(&self, limiter: &Arc<Limiter>, since: Instant, well: bool) {
        let Limit::Adaptive(adaptive) = &self.policy.limit else { return };
        let now = Instant::now();
        let before = limiter.limit();
        let after = if well && now.saturating_duration_since(since) <= adaptive.latency() {
            limiter.trend.in_time(adaptive, before, limiter.taken())
        } else {
            let age = now.saturating_duration_since(self.born).as_millis();
            limiter.trend.late(adaptive, before, u64::try_from(age).unwrap_or(u64::MAX))
        };
        if after != before {
            limiter.set_limit(after);
            self.meters.limit(after);
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        match &self.limiters {
            Limiters::One(limiter) => limiter.limit(),
            Limiters::PerKey { .. } => first(&self.policy).get(),
        }
    }

    pub(crate) fn taken(&self) -> Option<u32> {
        match &self.limiters {
            Limiters::One(limiter) => Some(limiter.taken()),
            Limiters::PerKey { .. } => None,
        }
    }

    pub(crate) fn waiting(&self) -> Option<u32> {
        match &self.limiters {
            Limiters::One(limiter) => Some(limiter.waiting()),
            Limiters::PerKey { .. } => None,
        }
    }

    pub(crate) fn keys(&self) -> usize {
        match &self.limiters {
            Limiters::One(_) => 0,
            Limiters::PerKey { keys, .. } => keys.len(),
        }
    }
}

impl Waiting {
    /// Its turn has come.
    pub(crate) fn into_permit(mut self, place: Place) -> Permit {
        Permit::new(place, self.in_use.take(), self.gate.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gate.meters.waits_no_longer();
    }
}

fn new_limiter(policy: &ConcurrencyPolicy) -> Arc<Limiter> {
    let (most, order) = match &policy.queue {
        Some(queue) => (queue.most.get(), queue.order),
        None => (0, Order::Fifo),
    };
    Arc::new(Limiter::new(first(policy), most, order))
}

/// The limit to begin with.
const fn first(policy: &ConcurrencyPolicy) -> NonZeroU32 {
    match &policy.limit {
        Limit::Fixed(limit) => *limit,
        Limit::Adaptive(adaptive) => adaptive.begins_with(),
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Gate");
        match &self.limiters {
            Limiters::One(limiter) => debug.field("limiter", limiter),
            Limiters::PerKey { keys, .. } => debug.field("keys", keys),
        };
        debug.finish_non_exhaustive()
    }
}
