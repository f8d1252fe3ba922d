use std::fmt;
use std::sync::Arc;

use crate::candidates::Member;
use crate::moment::Moment;
use crate::shared::Shared;
use crate::{Pick, Replica};

/// The replicas of one service, by priority, and in the order of the list within it.
pub(crate) struct Set<S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) members: Box<[Member]>,
    pub(crate) pick: Arc<dyn Pick>,
    services: Box<[S]>,
}

impl<S> Set<S> {
    /// Of those that come after requests have, `arrival` is when.
    pub(crate) fn new(
        shared: Arc<Shared>,
        mut replicas: Vec<Replica<S>>,
        arrival: Option<Moment>,
    ) -> Self {
        replicas.sort_by_key(|replica| replica.place.priority); // stable
        let (members, services): (Vec<_>, Vec<_>) = replicas
            .into_iter()
            .map(|Replica { service, place }| {
                (Member::new(shared.enlist(&place, arrival), place), service)
            })
            .unzip();
        Self {
            pick: shared.pick_from(&members),
            shared,
            members: members.into(),
            services: services.into(),
        }
    }

    /// The service of the replica at this place, which has not been polled ready.
    pub(crate) fn service(&self, index: usize) -> Option<S>
    where
        S: Clone,
    {
        self.services.get(index).cloned()
    }
}

impl<S> fmt::Debug for Set<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| &member.place.name)).finish()
    }
}
