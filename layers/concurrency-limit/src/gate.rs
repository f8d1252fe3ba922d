//! What all services of a layer share: the limiters, and what is learnt of them.

use std::fmt;
use std::sync::Arc;

use crate::keys::{HashOf, InUse, Keys};
use crate::limiter::{Asked, Limiter, Place, Ticket};
use crate::meters::Meters;
use crate::terms::Terms;
use crate::{ConcurrencyPolicy, Overloaded, Permit, Why};

pub(crate) struct Gate {
    terms: Arc<Terms>,
    limiters: Limiters,
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
    pub(crate) terms: Arc<Terms>,
}

impl Gate {
    pub(crate) fn one(policy: ConcurrencyPolicy, meters: Meters) -> Self {
        let terms = Arc::new(Terms::new(policy, meters));
        let limiter = Arc::new(Limiter::new(terms.clone()));
        Self::new(terms, Limiters::One(limiter))
    }

    pub(crate) fn per_key(
        policy: ConcurrencyPolicy,
        meters: Meters,
        hash_of: Box<dyn HashOf>,
    ) -> Self {
        let terms = Arc::new(Terms::new(policy, meters));
        let keys = Arc::new(Keys::new(terms.clone()));
        Self::new(terms, Limiters::PerKey { keys, hash_of })
    }

    fn new(terms: Arc<Terms>, limiters: Limiters) -> Self {
        let gate = Self { terms, limiters };
        gate.terms.meters.limit(gate.limit());
        gate
    }

    /// Whether whoever comes now finds no place, if that can be said without knowing who comes.
    pub(crate) fn is_full(&self) -> bool {
        match &self.limiters {
            Limiters::One(limiter) => limiter.is_full(),
            Limiters::PerKey { .. } => false,
        }
    }

    /// What says who comes; nothing where that makes no difference.
    pub(crate) fn hash_of(&self) -> Option<&dyn HashOf> {
        match &self.limiters {
            Limiters::One(_) => None,
            Limiters::PerKey { hash_of, .. } => Some(&**hash_of),
        }
    }

    /// Lets one in with this hash, at which nobody looks where there is one limit for all.
    pub(crate) fn enter(&self, hash: u64) -> Entry {
        match &self.limiters {
            Limiters::One(limiter) => self.ask(limiter, &mut None),
            Limiters::PerKey { keys, .. } => {
                let (limiter, mut in_use) = keys.find_or_make(hash);
                let entry = self.ask(&limiter, &mut in_use);
                // Before the key of one that is refused is looked at, which it would keep in use.
                drop(limiter);
                entry
            }
        }
    }

    /// Asks a limiter; whoever gets in takes along what keeps its key in use.
    fn ask(&self, limiter: &Arc<Limiter>, in_use: &mut Option<InUse>) -> Entry {
        if let Some(place) = limiter.try_take() {
            return Entry::Permit(Permit::new(place, in_use.take()));
        }
        match limiter.ask() {
            Asked::Place(place) => Entry::Permit(Permit::new(place, in_use.take())),
            Asked::Ticket(ticket) => {
                self.terms.meters.waits();
                let terms = self.terms.clone();
                Entry::Waiting(Waiting { ticket, in_use: in_use.take(), terms })
            }
            Asked::Full => Entry::Refused(self.terms.refuse(Why::Full)),
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        match &self.limiters {
            Limiters::One(limiter) => limiter.limit(),
            Limiters::PerKey { .. } => self.terms.first().get(),
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
        Permit::new(place, self.in_use.take())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.terms.meters.waits_no_longer();
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
