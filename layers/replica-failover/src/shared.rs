use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::budget::Budget;
use crate::candidates::Member;
use crate::hedging::Hedging;
use crate::maglev::Hash;
use crate::meters::Meters;
use crate::moment::Moment;
use crate::replica::Place;
use crate::resumes::Resumes;
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
    /// Says of every response where it comes from.
    pub(crate) tells_always: bool,
}

impl Settings {
    pub(crate) fn new(policy: FailoverPolicy) -> Self {
        let key = Arc::new(HashOn::path());
        Self { policy, name: "default".into(), pick: None, key, health: None, tells_always: false }
    }
}

/// What all services of a layer have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) budget: Budget,
    pub(crate) meters: Meters,
    pub(crate) resumes: Resumes,
    pub(crate) hedging: Option<Hedging>,
    pick: Arc<dyn Pick>,
    base: Instant,
    replicas: Mutex<Vec<Listed>>,
    /// Tells that the list of replicas is another.
    changes: watch::Sender<()>,
}

/// A replica that the layer knows.
pub(crate) struct Listed {
    pub(crate) place: Place,
    pub(crate) state: Arc<ReplicaState>,
    /// In how many lists it is, those of services that are gone not counted.
    lists: usize,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        let hash = || Arc::new(Hash { key: settings.key.clone() });
        let ready_made = || settings.policy.order.pick().unwrap_or_else(|| hash());
        let meters = Meters::new(settings.name.clone());
        Self {
            budget: Budget::new(settings.policy.budget),
            resumes: Resumes::new(meters.resumes()),
            hedging: settings.policy.hedge.map(|hedge| Hedging::new(hedge, meters.hedges())),
            meters,
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

    /// Whether who picks may ask how long replicas take.
    pub(crate) fn is_timed(&self) -> bool {
        self.settings.pick.is_some() || self.policy().order == Order::PeakEwma
    }

    /// What picks from this list.
    pub(crate) fn pick_from(&self, members: &[Member]) -> Arc<dyn Pick> {
        let list =
            members.iter().map(|member| (member.place.name.clone(), member.place.weight.get()));
        self.pick.prepared(&list.collect::<Vec<_>>()).unwrap_or_else(|| self.pick.clone())
    }

    /// The record of the replica at this place, from now on described as it is there; `arrival`, if others serve already.
    pub(crate) fn enlist(&self, place: &Place, arrival: Option<Moment>) -> Arc<ReplicaState> {
        let mut replicas = self.replicas();
        if let Some(known) = replicas.iter_mut().find(|known| known.place.name == place.name) {
            let checks = place.checks.clone().or(mem::take(&mut known.place.checks));
            // Closures of the application's are dropped when nothing is locked.
            let _before = mem::replace(&mut known.place, Place { checks, ..place.clone() });
            known.lists += 1;
            let state = known.state.clone();
            drop(replicas);
            self.changes.send_replace(());
            return state;
        }
        let meters = self.meters.replica(&place.name);
        let state = Arc::new(ReplicaState::new(place.name.clone(), meters));
        if let Some(arrival) = arrival {
            state.condition.arrive(arrival);
        }
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
        replicas.push(Listed { place: place.clone(), state: state.clone(), lists: 1 });
        self.changes.send_replace(());
        state
    }

    /// One list less has these; what none has is forgotten.
    pub(crate) fn delist(&self, members: &[Member]) {
        self.unlink(members);
        let mut replicas = self.replicas();
        let (_gone, left): (Vec<_>, _) = mem::take(&mut *replicas).into_iter().partition(|known| {
            let is_among = members.iter().any(|member| Arc::ptr_eq(&member.state, &known.state));
            known.lists == 0 && is_among
        });
        *replicas = left;
        drop(replicas);
        self.changes.send_replace(());
    }

    /// One list less has these; what none has is still known, should another service have it.
    pub(crate) fn unlink(&self, members: &[Member]) {
        let mut replicas = self.replicas();
        for member in members {
            let known = replicas.iter_mut().find(|known| Arc::ptr_eq(&member.state, &known.state));
            if let Some(known) = known {
                known.lists = known.lists.saturating_sub(1);
            }
        }
    }

    /// Tells when the list of replicas is another, and when this is gone.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// All replicas there have been and that were not replaced, in the order in which they came.
    pub(crate) fn replicas(&self) -> MutexGuard<'_, Vec<Listed>> {
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
