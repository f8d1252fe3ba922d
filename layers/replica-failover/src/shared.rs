use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::candidates::Member;
use crate::maglev::Hash;
use crate::meters::Meters;
use crate::moment::Moment;
use crate::replica::Place;
use crate::state::ReplicaState;
use crate::{FailoverPolicy, HashKey, HashOn, HealthCheck, InitialHealth, Order, Pick};

/// What a layer is made with.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) policy: FailoverPolicy,
    pub(crate) name: Arc<str>,
    pub(crate) pick: Option<Arc<dyn Pick>>,
    pub(crate) key: Arc<dyn HashKey>,
    pub(crate) health: Option<Arc<HealthCheck>>,
}

impl Settings {
    pub(crate) fn new(policy: FailoverPolicy) -> Self {
        let key = Arc::new(HashOn::path());
        Self { policy, name: "default".into(), pick: None, key, health: None }
    }
}

/// What all services of a layer have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) budget: Budget,
    pub(crate) meters: Meters,
    pick: Arc<dyn Pick>,
    base: Instant,
    replicas: Mutex<Vec<(Place, Arc<ReplicaState>)>>,
    /// Tells that the list of replicas is another.
    changes: watch::Sender<()>,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        let hash = || Arc::new(Hash { key: settings.key.clone() });
        let ready_made = || settings.policy.order.pick().unwrap_or_else(|| hash());
        Self {
            budget: Budget::new(settings.policy.budget),
            meters: Meters::new(settings.name.clone()),
            pick: settings.pick.clone().unwrap_or_else(ready_made),
            base: Instant::now(),
            replicas: Mutex::default(),
            changes: watch::Sender::new(()),
            settings,
        }
    }

    pub(crate) const fn policy(&self) -> &FailoverPolicy {
        &self.settings.policy
    }

    pub(crate) fn moment(&self, now: Instant) -> Moment {
        Moment::of(now, self.base)
    }

    /// Whether first attempts keep away from a replica that failed.
    pub(crate) fn fails_back(&self) -> bool {
        self.settings.pick.is_none() && self.policy().order == Order::Priority
    }

    /// What picks from this list.
    pub(crate) fn pick_from(&self, members: &[Member]) -> Arc<dyn Pick> {
        let list =
            members.iter().map(|member| (member.place.name.clone(), member.place.weight.get()));
        self.pick.prepared(&list.collect::<Vec<_>>()).unwrap_or_else(|| self.pick.clone())
    }

    /// The record of the replica at this place, from now on described as it is there.
    pub(crate) fn enlist(&self, place: &Place) -> Arc<ReplicaState> {
        let mut replicas = self.replicas();
        if let Some((known, state)) =
            replicas.iter_mut().find(|(known, _)| known.name == place.name)
        {
            let checks = place.checks.clone().or(mem::take(&mut known.checks));
            *known = Place { checks, ..place.clone() };
            self.changes.send_replace(());
            return state.clone();
        }
        let meters = self.meters.replica(&place.name);
        let state = Arc::new(ReplicaState::new(place.name.clone(), meters));
        if let Some(policy) = &self.settings.health {
            let is_checked = place.checks.of(policy).is_some();
            if is_checked && policy.initial != InitialHealth::Healthy {
                state.condition.shun();
            }
            if !is_checked {
                let (upstream, replica) = (&*self.settings.name, &*place.name);
                tracing::warn!(
                    upstream,
                    replica,
                    "replica not checked: it cannot be asked that way"
                );
            }
        }
        replicas.push((place.clone(), state.clone()));
        self.changes.send_replace(());
        state
    }

    /// Tells when the list of replicas is another, and when this is gone.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// All replicas there have been, in the order in which they came.
    pub(crate) fn replicas(&self) -> MutexGuard<'_, Vec<(Place, Arc<ReplicaState>)>> {
        // Nothing panics halfway through a change of the list.
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.settings.name)
            .field("policy", &self.settings.policy)
            .finish_non_exhaustive()
    }
}
