//! The replicas of each upstream, and what makes one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusRecorder;
use portcullis_circuit_breaker::{CircuitBreakerLayer, CircuitBreakerPolicy, Mode};
use portcullis_host_strip::{HostPolicy, HostStripLayer};
use portcullis_replica_failover::{FailoverPolicy, Order, ReplicaFailoverLayer};
use portcullis_sigv4_sign::SigV4SignLayer;

use crate::config::{Config, HttpVersion, Problem, Replica, SigV4Sign, Spanned, Upstream};
use crate::facts::Voice;
use crate::telemetry::ReplicaMeters;
use crate::upstream::{ByFault, Connect, Target, client_config};

use super::{Place, ReplicaPlan, UpstreamPlan, problem, signing};

pub(super) fn plan(
    config: &Config,
    recorder: &Arc<PrometheusRecorder>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, UpstreamPlan> {
    let mut plans = BTreeMap::new();
    for (name, section) in &config.upstream {
        let upstream = section.get_ref();
        let key = format!("upstream.{name}");
        check_replicas(upstream, &key, problems);
        let policy = failover(upstream, &key, problems);
        let shared =
            with_local_recorder(&**recorder, || Shared::new(config, upstream, &key, problems));
        let mut replicas = Vec::new();
        for (index, replica) in upstream.replicas.get_ref().iter().enumerate() {
            let key = format!("{key}.replica[{index}]");
            let signing = with_local_recorder(&**recorder, || {
                signing(config, replica, &shared, &key, problems)
            });
            let target = Target::new(replica.name.get_ref(), replica.url.get_ref());
            let target = target.map_err(|message| {
                problems.push(problem(&format!("{key}.url"), &replica.url, message));
            });
            if let (Ok(target), Some(tls)) = (target, &shared.tls) {
                let target = Arc::new(target);
                let version = http_version(upstream, replica);
                let meters = ReplicaMeters::new(name, &target.name(), recorder);
                let breaker = with_local_recorder(&**recorder, || {
                    CircuitBreakerLayer::new(format!("{name}/{}", target.name()), circuit(upstream))
                });
                replicas.push(ReplicaPlan {
                    place: place(upstream, replica),
                    breaker: breaker.classify_with(ByFault::default()),
                    connect: Arc::new(Connect::new(target.clone(), version, tls, meters)),
                    target,
                    host: HostStripLayer::new(upstream.host.clone().unwrap_or(HostPolicy::FromUri)),
                    signer: signing.signer,
                    is_s3: signing.is_s3,
                    pool: upstream.pool,
                    timeouts: replica.timeouts.unwrap_or(upstream.timeouts),
                });
            }
        }
        let failover = with_local_recorder(&**recorder, || {
            ReplicaFailoverLayer::new(policy).named(name.as_str()).classify(ByFault::default())
        });
        let is_s3 = replicas.iter().any(|replica| replica.is_s3);
        let voice = if is_s3 { Voice::S3 } else { Voice::Plain };
        plans.insert(name.clone(), UpstreamPlan { replicas, failover, voice });
    }
    plans
}

/// What the replicas of an upstream have in common.
struct Shared {
    tls: Option<Arc<rustls::ClientConfig>>,
    signing: Signing,
}

/// How a replica's requests are signed, if they are.
#[derive(Clone, Default)]
struct Signing {
    signer: Option<SigV4SignLayer>,
    is_s3: bool,
}

impl Shared {
    fn new(config: &Config, upstream: &Upstream, key: &str, problems: &mut Vec<Problem>) -> Self {
        let ca_file = upstream.ca_file.as_ref().map(|path| config.folder.join(path.get_ref()));
        let tls = client_config(ca_file.as_deref()).map_err(|message| {
            let span = upstream.ca_file.as_ref().map(Spanned::span);
            problems.push(Problem::new(format!("{key}.ca_file"), span, message));
        });
        let signing = upstream
            .sigv4_sign
            .as_ref()
            .map(|section| Signing::new(config, section, &format!("{key}.sigv4_sign"), problems));
        Self { tls: tls.ok(), signing: signing.unwrap_or_default() }
    }
}

impl Signing {
    fn new(
        config: &Config,
        section: &Spanned<SigV4Sign>,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let signer = signing::layer(config, section, key, problems);
        Self { signer, is_s3: section.get_ref().signing.service().is_s3() }
    }
}

fn signing(
    config: &Config,
    replica: &Replica,
    shared: &Shared,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Signing {
    match &replica.sigv4_sign {
        Some(section) => Signing::new(config, section, &format!("{key}.sigv4_sign"), problems),
        None => shared.signing.clone(),
    }
}

/// Each needs a name of its own: by it they are known.
fn check_replicas(upstream: &Upstream, key: &str, problems: &mut Vec<Problem>) {
    let replicas = upstream.replicas.get_ref();
    if replicas.is_empty() {
        let message = "at least one replica is needed";
        problems.push(problem(&format!("{key}.replica"), &upstream.replicas, message));
    }
    let mut names = BTreeSet::new();
    for (index, replica) in replicas.iter().enumerate() {
        let name = replica.name.get_ref();
        if !names.insert(name) {
            let message = format!("another replica of this upstream is named `{name}`, too");
            let key = format!("{key}.replica[{index}].name");
            problems.push(problem(&key, &replica.name, message));
        }
        if let Some(weight) = replica.weight.as_ref().filter(|_| !weighs(upstream)) {
            let message = "a weight counts only in an order that weighs: \
                \"weighted\", \"least_request\", \"peak_ewma\" or \"hash\"";
            let key = format!("{key}.replica[{index}].weight");
            problems.push(problem(&key, weight, message));
        }
    }
}

fn weighs(upstream: &Upstream) -> bool {
    let policy = upstream.failover.as_ref().map(Spanned::get_ref).cloned().unwrap_or_default();
    let is = |order| policy == policy.clone().order(order);
    !is(Order::Priority) && !is(Order::RoundRobin)
}

/// When requests go elsewhere. An attempt's time is that of the upstream's `timeouts`, which the circuit sees run out, and
/// which wait while it is the client that is slow.
fn failover(upstream: &Upstream, key: &str, problems: &mut Vec<Problem>) -> FailoverPolicy {
    let Some(section) = &upstream.failover else {
        return FailoverPolicy::new().per_try(Duration::MAX);
    };
    if upstream.replicas.get_ref().len() < 2 {
        let message = "there is only one replica, so there is no other to go to";
        problems.push(problem(&format!("{key}.failover"), section, message));
    }
    let policy = section.get_ref().clone();
    let usual = Duration::from_secs(20);
    if policy != policy.clone().per_try(usual) {
        let message = "the time of an attempt is bounded by `timeouts`: `connect`, `tls_handshake`, and \
            `response_header`, which begins at the end of the request";
        problems.push(problem(&format!("{key}.failover.per_try"), section, message));
    }
    policy.per_try(Duration::MAX)
}

/// When a replica is not asked any more. Nobody stands in for the only one, so that its circuit refuses nothing unless the
/// file says so.
fn circuit(upstream: &Upstream) -> CircuitBreakerPolicy {
    upstream.circuit_breaker.clone().unwrap_or_else(|| match upstream.replicas.get_ref().len() {
        1 => CircuitBreakerPolicy::new().mode(Mode::MetricsOnly),
        _ => CircuitBreakerPolicy::new(),
    })
}

/// The version of HTTP that a replica is asked in.
pub(super) fn http_version(upstream: &Upstream, replica: &Replica) -> HttpVersion {
    replica.http_version.as_ref().map_or(upstream.http_version, |version| *version.get_ref())
}

fn place(upstream: &Upstream, replica: &Replica) -> Option<Place> {
    let weight = replica.weight.as_ref().map_or(NonZeroU32::MIN, |weight| *weight.get_ref());
    (upstream.replicas.get_ref().len() > 1).then_some(Place { priority: replica.priority, weight })
}
