//! Many circuits under keys, of which there may be more than there is room for.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::CircuitBreakerPolicy;
use crate::breaker::Breaker;
use crate::guard::Gate;
use crate::meters::{KeysMeter, Meters};

pub(crate) struct Circuits<K, C> {
    name: Arc<str>,
    policy: CircuitBreakerPolicy,
    meters: Meters,
    keys: KeysMeter,
    most: NonZeroUsize,
    table: RwLock<Table<K, C>>,
}

struct Table<K, C> {
    places: HashMap<K, usize>,
    slots: Vec<Slot<K, C>>,
    hand: usize,
}

struct Slot<K, C> {
    key: K,
    gate: Arc<Gate<C>>,
    /// A second time, since the hand last passed: keys that come once do not drive out those that come again.
    used: AtomicBool,
}

impl<K, C> Circuits<K, C> {
    pub(crate) fn new(name: Arc<str>, policy: CircuitBreakerPolicy, most: NonZeroUsize) -> Self {
        let table = Table { places: HashMap::new(), slots: Vec::new(), hand: 0 };
        let (meters, keys) = (Meters::many(&name), KeysMeter::new(&name));
        Self { name, policy, meters, keys, most, table: RwLock::new(table) }
    }

    /// As many, and none yet, for another classifier.
    pub(crate) fn anew<N>(&self) -> Circuits<K, N> {
        Circuits::new(self.name.clone(), self.policy.clone(), self.most)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.read().unwrap_or_else(PoisonError::into_inner).slots.len()
    }
}

impl<K: Clone + Eq + Hash, C> Circuits<K, C> {
    /// The circuit under `key`, if there is one.
    pub(crate) fn find(&self, key: &K) -> Option<Arc<Gate<C>>> {
        // Nothing panics halfway through a change here, so a poisoned lock guards nothing broken.
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let slot = table.places.get(key).and_then(|place| table.slots.get(*place))?;
        // Only written if need be: who uses the same key on another core reads it, too.
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(slot.gate.clone())
    }

    /// The circuit under `key`: a new one, if need be in the place of another.
    pub(crate) fn find_or_make(&self, key: K, classifier: &C) -> Arc<Gate<C>>
    where
        C: Clone,
    {
        if let Some(gate) = self.find(&key) {
            return gate;
        }
        let breaker = Breaker::new(self.name.clone(), self.policy.clone(), self.meters.clone());
        let gate = Arc::new(Gate { breaker: Arc::new(breaker), classifier: classifier.clone() });
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let gate = table.insert(key, gate, self.most);
        self.keys.set(table.slots.len());
        gate
    }

    pub(crate) fn keys(&self) -> Vec<K> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.slots.iter().map(|slot| slot.key.clone()).collect()
    }
}

impl<K: Clone + Eq + Hash, C> Table<K, C> {
    /// Puts `gate` under `key`, unless somebody else was faster.
    fn insert(&mut self, key: K, gate: Arc<Gate<C>>, most: NonZeroUsize) -> Arc<Gate<C>> {
        if let Some(slot) = self.places.get(&key).and_then(|place| self.slots.get(*place)) {
            return slot.gate.clone();
        }
        let slot = Slot { key: key.clone(), gate: gate.clone(), used: AtomicBool::new(false) };
        let place = if self.slots.len() < most.get() { self.slots.len() } else { self.choose() };
        match self.slots.get_mut(place) {
            Some(old) => {
                let old = std::mem::replace(old, slot);
                self.places.remove(&old.key);
            }
            None => self.slots.push(slot),
        }
        self.places.insert(key, place);
        gate
    }

    /// Whose place is taken: that of a circuit at rest without a call under way, which the hand has passed before without
    /// its having been used since; else of any at rest; else of any.
    fn choose(&mut self) -> usize {
        let mut at_rest = None;
        // In two rounds the hand passes every slot a second time.
        for _ in 0..self.slots.len() * 2 {
            let place = self.hand;
            self.hand = (place + 1) % self.slots.len();
            let Some(slot) = self.slots.get_mut(place) else { continue };
            if !slot.gate.breaker.is_at_rest() {
                continue;
            }
            at_rest = at_rest.or(Some(place));
            let used = std::mem::take(slot.used.get_mut());
            if !used && Arc::strong_count(&slot.gate) == 1 {
                return place;
            }
        }
        at_rest.unwrap_or(self.hand)
    }
}

// Without the keys, which come from clients.
impl<K, C> fmt::Debug for Circuits<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuits")
            .field("name", &self.name)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
