use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use portcullis_circuit_breaker::CircuitBreakerHandle;
use portcullis_replica_failover::ReplicaSnapshot;
use serde::Serialize;

use crate::config::{ClientLimits, Listener, Route, Spanned};
use crate::lifecycle::State;
use crate::plan::{Plan, RouteEnd, UpstreamPlan};
use crate::reload::Current;

use super::standing::{active, see};
use super::{Readiness, Standing};

/// All that there is to see of a gateway: what `/status` answers.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    version: &'static str,
    state: &'static str,
    started: String,
    uptime_seconds: u64,
    /// Whether changes need a token; without one they are for programs on the same machine.
    needs_token: bool,
    /// Requests whose last byte has not left yet.
    in_flight: usize,
    readiness: Readiness,
    routes: Vec<RouteView>,
    upstreams: BTreeMap<String, Vec<ReplicaView>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, LimitView>,
    listeners: Vec<ListenerView>,
}

#[derive(Debug, Serialize)]
struct RouteView {
    name: String,
    path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    methods: Vec<String>,
    /// None if it answers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
}

#[derive(Debug, Serialize)]
struct ReplicaView {
    name: String,
    standing: Standing,
    /// Whether requests go there now.
    active: bool,
    drained: bool,
    priority: u8,
    weight: u32,
    in_flight: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure_seconds: Option<u64>,
    circuit: CircuitView,
}

#[derive(Debug, Serialize)]
struct CircuitView {
    state: &'static str,
    /// How long that lasts at most, if it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_seconds: Option<f64>,
    calls: u32,
    failed: u32,
    failure_rate: f64,
    slow_rate: f64,
    consecutive_failures: u32,
    rejected: u64,
}

/// A limit, as far as this process knows: what a store shares it does not see.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum LimitView {
    Rate {
        rate: String,
        /// How many keys have a place, of how many.
        keys: u64,
        capacity: usize,
        waiting: usize,
    },
    Concurrency {
        concurrency: u32,
        /// Not told where each key has a limit of its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        under_way: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        waiting: Option<u32>,
        keys: usize,
    },
}

#[derive(Debug, Serialize)]
struct ListenerView {
    addresses: Vec<String>,
    tls: bool,
    limits: LimitsView,
}

#[derive(Debug, Serialize)]
struct LimitsView {
    connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_per_address: Option<u32>,
    handshakes: usize,
    streams: u32,
    age_seconds: u64,
}

impl Overview {
    pub(super) fn new(current: &Current, state: State, started: SystemTime) -> Self {
        let plan = &current.plan;
        let uptime = SystemTime::now().duration_since(started).unwrap_or_default();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            state: state.name(),
            started: humantime::format_rfc3339_seconds(started).to_string(),
            uptime_seconds: uptime.as_secs(),
            needs_token: plan.admin_token.is_some(),
            in_flight: plan.edge.drain.handle().in_flight(),
            readiness: Readiness::new(current, state),
            routes: routes(plan),
            upstreams: plan
                .upstreams
                .iter()
                .map(|(name, upstream)| (name.clone(), replicas(upstream)))
                .collect(),
            limits: limits(plan),
            listeners: plan.config.listeners.iter().map(ListenerView::new).collect(),
        }
    }
}

fn routes(plan: &Plan) -> Vec<RouteView> {
    let sections = plan.config.routes.iter().map(Spanned::get_ref);
    let each = plan.routes.iter().zip(sections).map(|(route, section): (_, &Route)| RouteView {
        name: route.meters.name().to_owned(),
        path: section.path.get_ref().clone(),
        hosts: section.hosts.iter().map(|host| host.get_ref().clone()).collect(),
        methods: section.methods.iter().map(ToString::to_string).collect(),
        upstream: match &route.end {
            RouteEnd::Upstream(name) => Some(name.clone()),
            RouteEnd::Answer(_) => None,
        },
    });
    each.collect()
}

fn limits(plan: &Plan) -> BTreeMap<String, LimitView> {
    let rates = plan.limits.rates().map(|rate| {
        let view = LimitView::Rate {
            rate: rate.quota().to_string(),
            keys: rate.keys(),
            capacity: rate.capacity(),
            waiting: rate.waiting(),
        };
        (rate.name().to_owned(), view)
    });
    let concurrency = plan.limits.concurrency().map(|(name, limit)| {
        let view = LimitView::Concurrency {
            concurrency: limit.limit(),
            under_way: limit.under_way(),
            waiting: limit.waiting(),
            keys: limit.keys(),
        };
        (name.to_owned(), view)
    });
    rates.chain(concurrency).collect()
}

fn replicas(upstream: &UpstreamPlan) -> Vec<ReplicaView> {
    let snapshots = upstream.failover.handle().snapshot();
    let seen = see(upstream);
    let chances: Vec<_> = seen.iter().map(|one| one.chance).collect();
    let actives = active(&chances, upstream.is_ordered);
    let each = seen.iter().zip(actives).map(|(one, active)| {
        let name = one.replica.target.name();
        let snapshot = snapshots.iter().find(|snapshot| *snapshot.name() == *name);
        let failed = snapshot.and_then(ReplicaSnapshot::last_failure);
        ReplicaView {
            standing: one.chance.standing,
            active,
            drained: snapshot.is_some_and(|snapshot| !snapshot.is_enabled()),
            priority: snapshot.map_or(1, ReplicaSnapshot::priority),
            weight: snapshot.map_or(1, |snapshot| snapshot.weight().get()),
            in_flight: snapshot.map_or(0, ReplicaSnapshot::in_flight),
            last_failure_seconds: failed.map(|ago| ago.as_secs()),
            circuit: CircuitView::new(&one.replica.breaker.handle()),
            name: name.to_string(),
        }
    });
    each.collect()
}

impl CircuitView {
    fn new(circuit: &CircuitBreakerHandle) -> Self {
        let seen = circuit.snapshot();
        Self {
            state: seen.state().name(),
            left_seconds: seen.left().as_ref().map(Duration::as_secs_f64),
            calls: seen.calls(),
            failed: seen.failed(),
            failure_rate: seen.failure_rate(),
            slow_rate: seen.slow_rate(),
            consecutive_failures: seen.consecutive_failures(),
            rejected: seen.rejected(),
        }
    }
}

impl ListenerView {
    fn new(listener: &Listener) -> Self {
        Self {
            addresses: listener.addresses.iter().map(ToString::to_string).collect(),
            tls: listener.tls.is_some(),
            limits: LimitsView::new(&listener.limits),
        }
    }
}

impl LimitsView {
    fn new(limits: &ClientLimits) -> Self {
        Self {
            connections: limits.connections.get(),
            connections_per_address: limits.connections_per_address.map(NonZeroU32::get),
            handshakes: limits.handshakes.get(),
            streams: limits.streams.get(),
            age_seconds: limits.age.as_secs(),
        }
    }
}
