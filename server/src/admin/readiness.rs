use std::collections::BTreeMap;

use portcullis_drain::Phase;
use serde::Serialize;

use super::Probed;

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: Status,
    /// Each upstream's replicas.
    upstreams: BTreeMap<String, BTreeMap<String, &'static str>>,
}

/// Whether new requests should come here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// All replicas are up, or not known to be down.
    Ready,
    /// Some replica is down, and some upstream still works.
    Degraded,
    /// No upstream has a replica that is up.
    Unready,
    /// The gateway is about to stop.
    Draining,
}

impl Readiness {
    /// Sums up what the probes found.
    #[must_use]
    pub fn new(phase: Phase, probed: &Probed) -> Self {
        Self::of(phase, probed.iter())
    }

    fn of<'a>(
        phase: Phase,
        replicas: impl Iterator<Item = (&'a str, &'a str, Option<bool>)>,
    ) -> Self {
        let mut upstreams: BTreeMap<String, BTreeMap<String, &'static str>> = BTreeMap::new();
        let mut usable: BTreeMap<&str, bool> = BTreeMap::new();
        let mut down = false;
        for (upstream, replica, up) in replicas {
            let word = match up {
                Some(true) => "up",
                Some(false) => "down",
                None => "unknown",
            };
            upstreams.entry(upstream.to_owned()).or_default().insert(replica.to_owned(), word);
            down |= up == Some(false);
            *usable.entry(upstream).or_default() |= up != Some(false);
        }
        let status = match phase {
            Phase::Ready if !down => Status::Ready,
            Phase::Ready if usable.values().any(|usable| *usable) => Status::Degraded,
            Phase::Ready => Status::Unready,
            _ => Status::Draining,
        };
        Self { status, upstreams }
    }

    /// The sum.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: Phase, replicas: &[(&str, Option<bool>)]) -> Status {
        let replicas = replicas.iter().map(|(upstream, up)| (*upstream, "a replica", *up));
        Readiness::of(phase, replicas).status()
    }

    #[test]
    fn one_dead_upstream_degrades_and_only_all_of_them_unready() {
        let (up, down) = (Some(true), Some(false));

        assert_eq!(status(Phase::Ready, &[]), Status::Ready);
        assert_eq!(status(Phase::Ready, &[("a", up), ("b", up)]), Status::Ready);
        assert_eq!(status(Phase::Ready, &[("a", up), ("b", down)]), Status::Degraded);
        assert_eq!(status(Phase::Ready, &[("a", down), ("b", down)]), Status::Unready);
    }

    #[test]
    fn what_was_not_probed_yet_is_not_held_against_it() {
        assert_eq!(status(Phase::Ready, &[("a", None)]), Status::Ready);
        assert_eq!(status(Phase::Ready, &[("a", None), ("b", Some(false))]), Status::Degraded);
    }

    #[test]
    fn it_is_not_ready_from_the_signal_on() {
        for phase in [Phase::Lingering, Phase::Draining, Phase::Forced, Phase::Done] {
            assert_eq!(status(phase, &[("a", Some(true))]), Status::Draining);
        }
    }
}
