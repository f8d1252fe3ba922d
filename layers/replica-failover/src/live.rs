use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::Replica;
use crate::set::Set;
use crate::shared::Shared;

/// The list of a service as it is now. A request keeps to the one it found.
pub(crate) struct Live<S> {
    shared: Arc<Shared>,
    current: ArcSwap<Set<S>>,
}

impl<S> Live<S> {
    pub(crate) fn new(shared: Arc<Shared>, replicas: Vec<Replica<S>>) -> Self {
        let set = Set::new(shared.clone(), replicas, None);
        Self { shared, current: ArcSwap::from_pointee(set) }
    }

    pub(crate) fn current(&self) -> Arc<Set<S>> {
        self.current.load_full()
    }

    pub(crate) fn replace(&self, replicas: Vec<Replica<S>>) {
        let arrival = self.shared.moment(Instant::now());
        let new = Arc::new(Set::new(self.shared.clone(), replicas, Some(arrival)));
        let old = self.current.swap(new.clone());
        for member in &old.members {
            if !new.members.iter().any(|other| Arc::ptr_eq(&member.state, &other.state)) {
                member.leave();
            }
        }
        self.shared.delist(&old.members);
    }
}

impl<S> Drop for Live<S> {
    fn drop(&mut self) {
        self.shared.unlink(&self.current.load().members);
    }
}

impl<S> fmt::Debug for Live<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current.load().fmt(f)
    }
}
