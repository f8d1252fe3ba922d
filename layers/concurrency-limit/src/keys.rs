//! A limiter for each key that is in use.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;

use crate::limiter::Limiter;
use crate::terms::Terms;

/// A key has a limiter from its first request until its last is over, so that nothing is kept of who is not there.
pub(crate) struct Keys {
    shards: Box<[Mutex<Shard>]>,
    most_of_shard: usize,
    /// Of the keys for which there is no room.
    crowd: Arc<Limiter>,
}

type Shard = HashMap<u64, Arc<Limiter>>;

/// Whoever uses a key's limiter; dropped after that, it ends if it was the last.
pub(crate) struct InUse {
    keys: Arc<Keys>,
    hash: u64,
}

/// Says whose limit a request counts towards.
pub(crate) trait HashOf: Send + Sync {
    fn hash(&self, parts: &Parts) -> u64;
}

/// By what a closure says, hashed with a secret, so that nobody chooses whom to be taken for.
pub(crate) struct Hashed<F> {
    pub(crate) key: F,
    pub(crate) secret: RandomState,
}

impl<F, K> HashOf for Hashed<F>
where
    F: Fn(&Parts) -> Option<K> + Send + Sync,
    K: std::hash::Hash,
{
    fn hash(&self, parts: &Parts) -> u64 {
        self.secret.hash_one((self.key)(parts))
    }
}

impl Keys {
    pub(crate) fn new(terms: Arc<Terms>) -> Self {
        let most = terms.policy.keys.get();
        let shards = SHARDS.min(most);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            most_of_shard: most.div_ceil(shards),
            crowd: Arc::new(Limiter::new(terms)),
        }
    }

    /// The limiter of a key: its own, a new one, or that of all for whom there is no room.
    pub(crate) fn find_or_make(self: &Arc<Self>, hash: u64) -> (Arc<Limiter>, Option<InUse>) {
        let Some(mut shard) = self.shard(hash) else { return (self.crowd.clone(), None) };
        let limiter = match shard.get(&hash) {
            Some(limiter) => limiter.clone(),
            None if shard.len() < self.most_of_shard => {
                let limiter = Arc::new(Limiter::new(self.crowd.terms.clone()));
                shard.insert(hash, limiter.clone());
                limiter
            }
            None => return (self.crowd.clone(), None),
        };
        (limiter, Some(InUse { keys: self.clone(), hash }))
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, hash: u64) -> Option<MutexGuard<'_, Shard>> {
        // The map takes the lower bits.
        let index = (u128::from(hash) * self.shards.len() as u128) >> u64::BITS;
        self.shards.get(usize::try_from(index).ok()?).map(lock)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let Some(mut shard) = self.keys.shard(self.hash) else { return };
        // Under the lock nobody finds it anew: who has it has a count of its own.
        if shard.get(&self.hash).is_some_and(|limiter| Arc::strong_count(limiter) == 1) {
            shard.remove(&self.hash);
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("len", &self.len()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 64;
