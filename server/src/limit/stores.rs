use std::sync::Arc;

use portcullis_rate_limit::{Answer, Demands, RateLimitLayer, Redis, RedisAnswer, Store};

/// The limits of the edge, or of a route, and where they are kept.
#[derive(Clone, Debug)]
pub struct RateLimits {
    layer: RateLimitLayer,
    store: Option<Arc<Redis>>,
}

impl RateLimits {
    /// Limits that are kept in `store`, or in the memory of this process.
    pub(crate) const fn new(layer: RateLimitLayer, store: Option<Arc<Redis>>) -> Self {
        Self { layer, store }
    }

    /// The layer of a worker that has these `stores`.
    pub fn layer(&self, stores: &Stores) -> RateLimitLayer<LimitStore> {
        let store = self.store.as_ref().map_or(LimitStore::Memory, |store| stores.get(store));
        self.layer.clone().store(store)
    }
}

/// The stores of one worker, each with a connection of its own, which all limits of the worker share.
#[derive(Debug, Default)]
pub struct Stores(Vec<(Arc<Redis>, Redis)>);

impl Stores {
    /// Has those of a plan, and none else; one that was there before keeps its connection.
    pub fn follow(&mut self, plans: impl Iterator<Item = Arc<Redis>>) {
        let mut before = std::mem::take(&mut self.0);
        self.0.extend(plans.map(|plan| {
            let known = before.iter().position(|(known, _)| Arc::ptr_eq(known, &plan));
            match known {
                Some(known) => before.swap_remove(known),
                None => {
                    let own = plan.anew();
                    (plan, own)
                }
            }
        }));
    }

    fn get(&self, plan: &Arc<Redis>) -> LimitStore {
        let known = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, plan));
        LimitStore::Redis(known.map_or_else(|| plan.anew(), |(_, own)| own.clone()))
    }
}

/// Where limits are kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LimitStore {
    /// In this process.
    Memory,
    /// In a server that machines share.
    Redis(Redis),
}

impl Store for LimitStore {
    type Future = RedisAnswer;

    fn take(&self, demands: Demands<'_>) -> Answer<RedisAnswer> {
        match self {
            Self::Memory => Answer::Now(demands.take_in_memory()),
            Self::Redis(redis) => redis.take(demands),
        }
    }
}
