use std::collections::BTreeMap;

use portcullis_circuit_breaker::{CircuitBreakerHandle, CircuitState};
use portcullis_replica_failover::{Health, ReplicaSnapshot};
use serde::Serialize;

use crate::plan::UpstreamPlan;
use crate::replicas::ReplicaPlan;

/// What a replica is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// It was not probed yet, and has requests nonetheless.
    Unknown,
    /// It was not asked for its health yet, and has no requests before.
    Waiting,
    /// It is healthy or, where that is not asked, takes connections.
    Up,
    /// It is not healthy, or takes no connections.
    Down,
    /// It is not healthy, and has requests nonetheless, since too few are.
    Panicking,
    /// An operator has taken it out.
    Drained,
    /// Its circuit is open: nobody is sent there.
    Open,
    /// Its circuit lets a few through, to find out.
    HalfOpen,
}

/// One replica, and how it does.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) replica: ReplicaPlan,
    /// Whether it is up, whatever its circuit says.
    pub(super) is_up: bool,
    pub(super) chance: Chance,
}

/// What decides whether requests go to a replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    pub(super) standing: Standing,
    priority: u8,
    /// Others are asked first, since it failed lately.
    stands_back: bool,
}

/// How each replica of an upstream does, in the order in which they are asked.
pub(super) fn see(upstream: &UpstreamPlan) -> Vec<Seen> {
    let handle = upstream.failover.handle();
    let panics = handle.ignores_health();
    let snapshots: BTreeMap<_, _> =
        handle.snapshot().into_iter().map(|one| (one.name().to_owned(), one)).collect();
    let current = upstream.replicas.current();
    let each = current.iter().map(|replica| {
        let snapshot = snapshots.get(&*replica.target.name());
        let found = match snapshot.filter(|_| upstream.is_checked) {
            Some(snapshot) => by_checks(snapshot, panics),
            None => by_probes(replica.probed.is_up()),
        };
        let chance = Chance {
            standing: match snapshot {
                Some(snapshot) if !snapshot.is_enabled() => Standing::Drained,
                _ => Standing::new(found, &replica.breaker.handle()),
            },
            priority: snapshot.map_or(1, ReplicaSnapshot::priority),
            stands_back: snapshot.is_some_and(ReplicaSnapshot::stands_back),
        };
        Seen { replica: replica.clone(), is_up: found == Standing::Up, chance }
    });
    let mut seen: Vec<_> = each.collect();
    seen.sort_by_key(|one| one.chance.priority); // stable
    seen
}

fn by_probes(up: Option<bool>) -> Standing {
    match up {
        None => Standing::Unknown,
        Some(true) => Standing::Up,
        Some(false) => Standing::Down,
    }
}

/// What the layer goes by, so that nobody is told anything else.
fn by_checks(replica: &ReplicaSnapshot, panics: bool) -> Standing {
    match (replica.health(), replica.is_skipped()) {
        (Health::Healthy, _) => Standing::Up,
        (_, true) if panics => Standing::Panicking,
        (Health::Unhealthy, _) => Standing::Down,
        (_, true) => Standing::Waiting,
        (_, false) => Standing::Unknown,
    }
}

impl Standing {
    fn new(found: Self, circuit: &CircuitBreakerHandle) -> Self {
        match (found, circuit.state()) {
            (Self::Down | Self::Waiting, _) => found,
            (_, CircuitState::ForcedOpen) => Self::Open,
            // One whose time is over waits for a request: to say that it is open would keep requests away for ever.
            (_, CircuitState::Open) if !circuit.admits() => Self::Open,
            (_, CircuitState::Open | CircuitState::HalfOpen) => Self::HalfOpen,
            _ => found,
        }
    }

    /// Whether requests may go there. What takes no connections is asked by requests, too, but in vain.
    pub(super) const fn is_usable(self) -> bool {
        !matches!(self, Self::Waiting | Self::Down | Self::Drained | Self::Open)
    }

    pub(super) const fn is_well(self) -> bool {
        matches!(self, Self::Unknown | Self::Up)
    }
}

/// Which of these a request goes to now: the first, or all those of the first tier.
pub(super) fn active(seen: &[Chance], is_ordered: bool) -> Vec<bool> {
    let usable = |one: &Chance| one.standing.is_usable();
    let quiet = |one: &Chance| usable(one) && !one.stands_back;
    let first = seen.iter().position(quiet).or_else(|| seen.iter().position(usable));
    let any_quiet = seen.iter().any(quiet);
    let tier = first.and_then(|index| seen.get(index)).map(|one| one.priority);
    let is_active = |(index, one): (usize, &Chance)| match is_ordered {
        true => Some(index) == first,
        false => Some(one.priority) == tier && if any_quiet { quiet(one) } else { usable(one) },
    };
    seen.iter().enumerate().map(is_active).collect()
}

#[cfg(test)]
mod tests {
    use portcullis_circuit_breaker::{CircuitBreakerLayer, CircuitBreakerPolicy, Mode};

    use super::Standing::{Down, Open, Unknown, Up, Waiting};
    use super::*;

    #[test]
    fn a_circuit_that_only_counts_says_nothing_and_one_forced_open_all() {
        let standing = |mode, found| {
            let layer = CircuitBreakerLayer::new("a", CircuitBreakerPolicy::new().mode(mode));
            Standing::new(found, &layer.handle())
        };

        assert_eq!(standing(Mode::MetricsOnly, Up), Up);
        assert_eq!(standing(Mode::MetricsOnly, Unknown), Unknown);
        assert_eq!(standing(Mode::ForcedOpen, Up), Open);
        assert_eq!(standing(Mode::ForcedOpen, Down), Down);
        assert_eq!(standing(Mode::ForcedOpen, Waiting), Waiting);
    }

    /// Which are active of these, each with its standing and priority, and whether it stands back.
    fn actives(replicas: &[(Standing, u8, bool)], is_ordered: bool) -> String {
        let each = replicas.iter().map(|&(standing, priority, stands_back)| Chance {
            standing,
            priority,
            stands_back,
        });
        let actives = active(&each.collect::<Vec<_>>(), is_ordered);
        actives.into_iter().map(|active| if active { 'x' } else { '.' }).collect()
    }

    #[test]
    fn requests_go_to_the_first_that_can_be_asked_or_to_all_of_its_tier() {
        for (replicas, ordered, spread) in [
            ([(Up, 1, false), (Up, 1, false), (Up, 2, false)], "x..", "xx."),
            ([(Open, 1, false), (Up, 1, false), (Up, 2, false)], ".x.", ".x."),
            ([(Down, 1, false), (Waiting, 1, false), (Unknown, 2, false)], "..x", "..x"),
            ([(Up, 1, true), (Up, 1, false), (Up, 2, false)], ".x.", ".x."),
            ([(Up, 1, true), (Open, 1, false), (Up, 2, true)], "x..", "x.."),
            ([(Down, 1, false), (Open, 1, false), (Open, 2, false)], "...", "..."),
        ] {
            assert_eq!(actives(&replicas, true), ordered, "{replicas:?}");
            assert_eq!(actives(&replicas, false), spread, "{replicas:?}");
        }
    }
}
