use std::collections::BTreeMap;

use portcullis_drain::Phase;
use serde::Serialize;
use toml::Spanned;

use crate::config::Route;
use crate::plan::Plan;

use super::key_sets::key_sets;
use super::{KeySet, KeySetState, Probed};

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: Status,
    /// Each upstream's replicas.
    upstreams: BTreeMap<String, BTreeMap<String, &'static str>>,
    /// The issuers that are asked for their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    issuers: BTreeMap<String, KeySet>,
}

/// Whether new requests should come here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// All replicas are up, or not known to be down, and all issuers answer.
    Ready,
    /// Some replica is down or some issuer does not answer, and something still works.
    Degraded,
    /// No upstream has a replica that is up, or no route lets anybody through: each asks for tokens of issuers that have
    /// no keys. Another instance may have them.
    Unready,
    /// The gateway is about to stop.
    Draining,
}

impl Readiness {
    /// Sums up what the probes found, and what keys there are.
    #[must_use]
    pub fn new(plan: &Plan, probed: &Probed) -> Self {
        let issuers = key_sets(plan);
        let mut routes = plan.config.routes.iter().map(Spanned::get_ref).peekable();
        let shut = routes.peek().is_some() && routes.all(|route| is_shut(route, &issuers));
        Self::of(plan.edge.drain.handle().phase(), probed.iter(), issuers, shut)
    }

    fn of<'a>(
        phase: Phase,
        replicas: impl Iterator<Item = (&'a str, &'a str, Option<bool>)>,
        issuers: BTreeMap<String, KeySet>,
        shut: bool,
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
        let dead = down && !usable.values().any(|usable| *usable);
        let status = match phase {
            Phase::Ready if dead || shut => Status::Unready,
            Phase::Ready if down || issuers.values().any(KeySet::is_failing) => Status::Degraded,
            Phase::Ready => Status::Ready,
            _ => Status::Draining,
        };
        Self { status, upstreams, issuers }
    }

    /// The sum.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }
}

/// Whether a route refuses everybody: nobody whose tokens it asks for has keys.
fn is_shut(route: &Route, issuers: &BTreeMap<String, KeySet>) -> bool {
    let missing = |name: &Spanned<String>| {
        issuers.get(name.get_ref()).is_some_and(|set| set.state() == KeySetState::Missing)
    };
    let auth = route.jwt_auth.as_ref().map(Spanned::get_ref);
    auth.is_some_and(|auth| !auth.optional && auth.issuers.iter().all(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(phase: Phase, replicas: &[(&str, Option<bool>)]) -> Status {
        let replicas = replicas.iter().map(|(upstream, up)| (*upstream, "a replica", *up));
        Readiness::of(phase, replicas, BTreeMap::new(), false).status()
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
    fn it_is_not_ready_when_nobody_is_let_through() {
        let up = [("a", "a replica", Some(true))];

        let readiness = Readiness::of(Phase::Ready, up.into_iter(), BTreeMap::new(), true);

        assert_eq!(readiness.status(), Status::Unready);
    }

    #[test]
    fn it_is_not_ready_from_the_signal_on() {
        for phase in [Phase::Lingering, Phase::Draining, Phase::Forced, Phase::Done] {
            assert_eq!(status(phase, &[("a", Some(true))]), Status::Draining);
        }
    }
}
