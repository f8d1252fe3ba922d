use std::collections::BTreeMap;

use portcullis_drain::Phase;
use serde::Serialize;

use crate::config::{Route, Spanned};
use crate::lifecycle::State;
use crate::plan::RouteEnd;
use crate::reload::Current;

use super::key_sets::key_sets;
use super::standing::see;
use super::{KeySet, KeySetState, Standing};

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: Status,
    /// How far it is in its end, once that has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    /// Each route, by its name; of several that have one name, the worst.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    routes: BTreeMap<String, Status>,
    /// Each upstream's replicas.
    upstreams: Upstreams,
    /// The issuers that are asked for their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    issuers: BTreeMap<String, KeySet>,
    /// The configuration in use.
    config: Configured,
}

/// Which configuration is in use, and what came of reading it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Configured {
    generation: u64,
    /// When it was last read, and whether it could be used.
    last_read: String,
    last_read_ok: bool,
    /// What was wrong with it then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

impl Configured {
    fn new(current: &Current) -> Self {
        let (at, problems) = &current.last;
        Self {
            generation: current.generation,
            last_read: humantime::format_rfc3339_seconds(*at).to_string(),
            last_read_ok: problems.is_empty(),
            problems: problems.to_vec(),
        }
    }
}

type Upstreams = BTreeMap<String, BTreeMap<String, Standing>>;

/// Whether new requests should come here, or to a route.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// All replicas are up, or not known to be down, and all issuers answer.
    Ready,
    /// Some replica is down or some issuer does not answer, and something still works.
    Degraded,
    /// No upstream has a replica that can be asked, or no route lets anybody through: each asks for tokens of issuers that
    /// have no keys. Another instance may have them.
    Unready,
    /// The gateway does not serve yet.
    Starting,
    /// The gateway is about to stop.
    Draining,
}

impl Readiness {
    /// Sums up where the gateway is in its life, what probes and checks found, where the circuits stand, and what keys there
    /// are.
    #[must_use]
    pub fn new(current: &Current, state: State) -> Self {
        let plan = &current.plan;
        let issuers = key_sets(plan);
        let upstreams = plan.upstreams.iter().map(|(name, upstream)| {
            let seen = see(upstream).into_iter();
            let replicas =
                seen.map(|one| (one.replica.target.name().to_string(), one.chance.standing));
            (name.clone(), replicas.collect())
        });
        let upstreams: Upstreams = upstreams.collect();
        let sections = plan.config.routes.iter().map(Spanned::get_ref);
        let routes = plan.routes.iter().zip(sections).map(|(route, section)| {
            let upstream = match &route.end {
                RouteEnd::Upstream(name) => Some(name.as_str()),
                RouteEnd::Answer(_) => None,
            };
            (route.meters.name(), upstream, is_shut(section, &issuers))
        });
        let routes = sum_of_routes(routes, &upstreams);
        let phase = plan.edge.drain.handle().phase();
        let mut sum = Self::of(phase, routes, upstreams, issuers);
        if matches!(state, State::Initializing | State::Starting) {
            sum.status = Status::Starting;
        }
        Self { config: Configured::new(current), ..sum }
    }

    fn of(
        phase: Phase,
        routes: BTreeMap<String, Status>,
        upstreams: Upstreams,
        issuers: BTreeMap<String, KeySet>,
    ) -> Self {
        let mut sums = upstreams.values().map(sum);
        let dead = !upstreams.is_empty() && sums.clone().all(|sum| sum == Status::Unready);
        let shut = !routes.is_empty() && routes.values().all(|route| *route == Status::Unready);
        let ill = sums.any(|sum| sum > Status::Ready) || issuers.values().any(KeySet::is_failing);
        let status = match phase {
            Phase::Ready if dead || shut => Status::Unready,
            Phase::Ready if ill => Status::Degraded,
            Phase::Ready => Status::Ready,
            _ => Status::Draining,
        };
        let phase = match phase {
            Phase::Ready => None,
            Phase::Lingering => Some("lingering"),
            Phase::Draining => Some("draining"),
            Phase::Forced => Some("forced"),
            _ => Some("done"),
        };
        Self { status, phase, routes, upstreams, issuers, config: Configured::default() }
    }

    /// The sum.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }
}

/// What an upstream with these replicas is good for.
fn sum(replicas: &BTreeMap<String, Standing>) -> Status {
    let mut standings = replicas.values();
    match () {
        // None was discovered.
        () if replicas.is_empty() => Status::Unready,
        () if standings.clone().all(|standing| standing.is_well()) => Status::Ready,
        () if standings.any(|standing| standing.is_usable()) => Status::Degraded,
        () => Status::Unready,
    }
}

/// What each route is good for: its name, its upstream, if it has one, and whether it refuses everybody.
fn sum_of_routes<'a>(
    routes: impl Iterator<Item = (&'a str, Option<&'a str>, bool)>,
    upstreams: &Upstreams,
) -> BTreeMap<String, Status> {
    let mut sums = BTreeMap::new();
    for (name, upstream, is_shut) in routes {
        let status = match upstream.and_then(|name| upstreams.get(name)) {
            _ if is_shut => Status::Unready,
            Some(replicas) => sum(replicas),
            None => Status::Ready,
        };
        let worst = sums.entry(name.to_owned()).or_insert(status);
        *worst = status.max(*worst);
    }
    sums
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
    use super::Standing::{Down, HalfOpen, Open, Panicking, Unknown, Up, Waiting};
    use super::*;

    fn upstreams(replicas: &[(&str, &str, Standing)]) -> Upstreams {
        let mut upstreams = Upstreams::new();
        for (upstream, name, standing) in replicas {
            upstreams
                .entry((*upstream).to_owned())
                .or_default()
                .insert((*name).to_owned(), *standing);
        }
        upstreams
    }

    fn status(phase: Phase, replicas: &[(&str, &str, Standing)]) -> Status {
        Readiness::of(phase, BTreeMap::new(), upstreams(replicas), BTreeMap::new()).status()
    }

    #[test]
    fn one_dead_upstream_degrades_and_only_all_of_them_unready() {
        assert_eq!(status(Phase::Ready, &[]), Status::Ready);
        assert_eq!(status(Phase::Ready, &[("a", "1", Up), ("b", "1", Up)]), Status::Ready);
        assert_eq!(status(Phase::Ready, &[("a", "1", Up), ("b", "1", Down)]), Status::Degraded);
        assert_eq!(status(Phase::Ready, &[("a", "1", Open), ("b", "1", Down)]), Status::Unready);
    }

    #[test]
    fn an_upstream_works_as_long_as_one_of_its_replicas_does() {
        for bad in [Down, Open, HalfOpen, Waiting, Panicking] {
            assert_eq!(status(Phase::Ready, &[("a", "1", bad), ("a", "2", Up)]), Status::Degraded);
        }
        assert_eq!(status(Phase::Ready, &[("a", "1", Down), ("a", "2", Open)]), Status::Unready);
        for usable in [HalfOpen, Panicking] {
            assert_eq!(status(Phase::Ready, &[("a", "1", usable)]), Status::Degraded);
        }
        assert_eq!(status(Phase::Ready, &[("a", "1", Waiting)]), Status::Unready);
    }

    #[test]
    fn what_was_not_probed_yet_is_not_held_against_it() {
        assert_eq!(status(Phase::Ready, &[("a", "1", Unknown)]), Status::Ready);
        let replicas = [("a", "1", Unknown), ("b", "1", Down)];
        assert_eq!(status(Phase::Ready, &replicas), Status::Degraded);
    }

    #[test]
    fn an_upstream_without_replicas_is_of_no_use() {
        let none = BTreeMap::from([("a".to_owned(), BTreeMap::new())]);

        let readiness = Readiness::of(Phase::Ready, BTreeMap::new(), none, BTreeMap::new());

        assert_eq!(readiness.status(), Status::Unready);
    }

    #[test]
    fn a_route_is_worth_what_its_upstream_is_and_nothing_when_it_is_shut() {
        let upstreams = upstreams(&[("a", "1", Up), ("b", "1", Down), ("b", "2", Up)]);
        let routes = [
            ("up", Some("a"), false),
            ("half", Some("b"), false),
            ("shut", Some("a"), true),
            ("none", None, false),
        ];
        let named_alike = [("same", Some("b"), false), ("same", Some("a"), false)];

        let sums = sum_of_routes(routes.into_iter().chain(named_alike), &upstreams);

        let expected = [
            ("up", Status::Ready),
            ("half", Status::Degraded),
            ("shut", Status::Unready),
            ("none", Status::Ready),
            ("same", Status::Degraded),
        ];
        assert_eq!(sums, expected.map(|(name, status)| (name.to_owned(), status)).into());
    }

    #[test]
    fn it_is_not_ready_when_nobody_is_let_through() {
        let upstreams = upstreams(&[("a", "1", Up)]);
        let routes = BTreeMap::from([("r".to_owned(), Status::Unready)]);

        let readiness = Readiness::of(Phase::Ready, routes, upstreams, BTreeMap::new());

        assert_eq!(readiness.status(), Status::Unready);
    }

    #[test]
    fn it_is_not_ready_from_the_signal_on() {
        for phase in [Phase::Lingering, Phase::Draining, Phase::Forced, Phase::Done] {
            assert_eq!(status(phase, &[("a", "1", Up)]), Status::Draining);
        }
    }
}
