//! The replicas of each upstream, and what makes one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use metrics::{NoopRecorder, with_local_recorder};
use portcullis_circuit_breaker::{CircuitBreakerPolicy, Mode};
use portcullis_host_strip::HostPolicy;
use portcullis_replica_failover::{FailoverPolicy, Order, ReplicaFailoverLayer};

use crate::config::{
    Config, Credentials, Discover, HttpVersion, Problem, Replica, SigV4Sign, Spanned, Upstream,
};
use crate::facts::Voice;
use crate::replicas::{Discovery, Making, Own, ReplicaPlan, Replicas, Signing};
use crate::telemetry::Recorder;
use crate::upstream::{ByFault, Target};

use super::known::Known;
use super::origin::Origin;
use super::{Plan, UpstreamPlan, problem, signing, upstream_tls};

/// What an upstream is made of: its section, and those of the credentials that it signs by.
pub(super) type Sections = (Upstream, Vec<Option<Credentials>>);

pub(super) fn plan(
    config: &Config,
    before: Option<&Plan>,
    recorder: &Arc<Recorder>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Arc<UpstreamPlan>> {
    let mut plans = BTreeMap::new();
    for (name, section) in &config.upstream {
        let upstream = section.get_ref();
        let before = before.and_then(|before| before.upstreams.get(name));
        let sections = sections(config, upstream);
        let plan = match before.filter(|before| before.origin.is(&sections)) {
            Some(kept) => kept.clone(),
            None => {
                let known = Known::new(before, &sections);
                let section = Section { config, upstream, key: format!("upstream.{name}") };
                let (origin, made) = Origin::of(config, sections, || {
                    with_local_recorder(&**recorder, || {
                        section.plan(name, &known, recorder, problems)
                    })
                });
                Arc::new(made.of(known.and(origin)))
            }
        };
        plans.insert(name.clone(), plan);
    }
    plans
}

fn sections(config: &Config, upstream: &Upstream) -> Sections {
    let of_replicas = upstream.listed().iter().filter_map(|replica| replica.sigv4_sign.as_ref());
    let named = upstream.sigv4_sign.iter().chain(of_replicas);
    let credentials = named.map(|sign| {
        let name = sign.get_ref().credentials.get_ref();
        config.credentials.get(name).map(|section| section.get_ref().clone())
    });
    (upstream.clone(), credentials.collect())
}

/// An upstream, but for what it is made of.
struct Made {
    replicas: Arc<Replicas>,
    discovery: Option<Arc<Discovery>>,
    failover: ReplicaFailoverLayer<ByFault>,
    is_checked: bool,
    is_ordered: bool,
    voice: Voice,
}

impl Made {
    fn of(self, origin: Origin<Sections>) -> UpstreamPlan {
        let Self { replicas, discovery, failover, is_checked, is_ordered, voice } = self;
        UpstreamPlan { origin, replicas, discovery, failover, is_checked, is_ordered, voice }
    }
}

/// One section of the file.
struct Section<'c> {
    config: &'c Config,
    upstream: &'c Upstream,
    key: String,
}

impl Section<'_> {
    fn plan(
        &self,
        name: &str,
        known: &Known<'_>,
        recorder: &Arc<Recorder>,
        problems: &mut Vec<Problem>,
    ) -> Made {
        let Self { upstream, key, .. } = self;
        check_replicas(upstream, key, problems);
        let policy = failover(upstream, key, problems);
        let is_ordered = policy == policy.clone().order(Order::Priority);
        let signing = self.signing(upstream.sigv4_sign.as_ref(), key, problems).unwrap_or_default();
        let mut is_s3 = upstream.discover.is_some() && signing.is_s3;
        let (mut replicas, mut discovery) = (Arc::new(Replicas::new(Vec::new())), None);
        if let Some(making) = self.making(name, recorder, problems) {
            let listed = self.listed(&making, &signing, known, problems);
            is_s3 |= listed.iter().any(|replica| replica.is_s3);
            replicas = Arc::new(Replicas::new(listed));
            discovery = upstream.discover.as_ref().and_then(|section| {
                self.discovery(section, making, signing, known, replicas.clone(), problems)
            });
        }
        let failover = known.failover(upstream).unwrap_or_else(|| {
            // Nothing is counted under the name that it has before it has one.
            let unnamed = with_local_recorder(&NoopRecorder, || ReplicaFailoverLayer::new(policy));
            let failover = unnamed.named(name).classify(ByFault::default());
            match &upstream.health_check {
                Some(check) => failover.health_check(check.clone()),
                None => failover,
            }
        });
        Made {
            replicas,
            discovery: discovery.map(Arc::new),
            failover,
            is_checked: upstream.health_check.is_some(),
            is_ordered,
            voice: if is_s3 { Voice::S3 } else { Voice::Plain },
        }
    }

    fn making(
        &self,
        name: &str,
        recorder: &Arc<Recorder>,
        problems: &mut Vec<Problem>,
    ) -> Option<Making> {
        let upstream = self.upstream;
        let tls = upstream_tls::config(self.config, upstream, &self.key, problems);
        let server_name = upstream_tls::server_name(upstream, &self.key, problems);
        Some(Making {
            upstream: name.to_owned(),
            tls: tls?,
            server_name,
            host: upstream.host.clone().unwrap_or(HostPolicy::FromUri),
            circuit: circuit(upstream),
            pool: upstream.pool,
            has_several: upstream.has_several(),
            is_checked: upstream.health_check.is_some(),
            large: large(upstream),
            recorder: recorder.clone(),
        })
    }

    fn listed(
        &self,
        making: &Making,
        shared: &Signing,
        known: &Known<'_>,
        problems: &mut Vec<Problem>,
    ) -> Vec<ReplicaPlan> {
        let mut made = Vec::new();
        for (index, replica) in self.upstream.listed().iter().enumerate() {
            if let Some(kept) = known.replica(replica) {
                made.push(kept.clone());
                continue;
            }
            let key = format!("{}.replica[{index}]", self.key);
            let own = Own {
                priority: replica.priority,
                weight: replica.weight.as_ref().map_or(NonZeroU32::MIN, |weight| *weight.get_ref()),
                signing: self
                    .signing(replica.sigv4_sign.as_ref(), &key, problems)
                    .unwrap_or_else(|| shared.clone()),
                http_version: http_version(self.upstream, replica),
                timeouts: replica.timeouts.unwrap_or(self.upstream.timeouts),
            };
            match Target::new(replica.name.get_ref(), replica.url.get_ref()) {
                Ok(target) => made.push(match known.breaker(self.upstream, replica) {
                    Some(breaker) => making.make_with(breaker, target, &own),
                    None => making.make(target, &own),
                }),
                Err(message) => {
                    problems.push(problem(&format!("{key}.url"), &replica.url, message));
                }
            }
        }
        made
    }

    fn discovery(
        &self,
        section: &Spanned<Discover>,
        making: Making,
        signing: Signing,
        known: &Known<'_>,
        replicas: Arc<Replicas>,
        problems: &mut Vec<Problem>,
    ) -> Option<Discovery> {
        let own = Own {
            priority: NonZeroU8::MIN,
            weight: NonZeroU32::MIN,
            signing,
            http_version: self.upstream.http_version,
            timeouts: self.upstream.timeouts,
        };
        let key = format!("{}.discover", self.key);
        let discovery = Discovery::new(section.get_ref(), making, own, replicas)
            .map_err(|message| problems.push(problem(&key, section, message)))
            .ok()?;
        // Until it has looked them up itself.
        discovery.begin_with(&known.discovered(self.upstream));
        Some(discovery)
    }

    fn signing(
        &self,
        section: Option<&Spanned<SigV4Sign>>,
        key: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Signing> {
        let section = section?;
        let signer = signing::layer(self.config, section, &format!("{key}.sigv4_sign"), problems);
        Some(Signing { signer, is_s3: section.get_ref().signing.service().is_s3() })
    }
}

/// Each needs a name of its own: by it they are known.
fn check_replicas(upstream: &Upstream, key: &str, problems: &mut Vec<Problem>) {
    let replicas = upstream.listed();
    match (&upstream.replicas, &upstream.discover) {
        (None, None) => {
            let message = "`replica`, or `discover`, is needed: where do requests go?";
            problems.push(Problem::new(key, None, message));
        }
        (Some(section), None) if replicas.is_empty() => {
            let message = "at least one replica is needed";
            problems.push(problem(&format!("{key}.replica"), section, message));
        }
        (Some(_), Some(section)) => {
            let message = "replicas are listed, or discovered, but not both";
            problems.push(problem(&format!("{key}.discover"), section, message));
        }
        _ => {}
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
        return ordered(upstream, FailoverPolicy::new()).per_try(Duration::MAX);
    };
    if !upstream.has_several() {
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
    ordered(upstream, policy).per_try(Duration::MAX)
}

/// From which length on no body of a request is kept for another attempt.
pub(super) fn large(upstream: &Upstream) -> u64 {
    let own = upstream.failover.as_ref().map(|section| section.get_ref().most_replayed());
    let kept = own.unwrap_or_else(|| FailoverPolicy::new().most_replayed());
    kept.saturating_add(1).max(LARGE)
}

/// What a body must have to be worth a pipe.
const LARGE: u64 = 64 << 10;

/// Of those that are discovered none is first: they have one priority.
fn ordered(upstream: &Upstream, policy: FailoverPolicy) -> FailoverPolicy {
    let is_ordered = policy == policy.clone().order(Order::Priority);
    if upstream.discover.is_some() && is_ordered { policy.order(Order::RoundRobin) } else { policy }
}

/// When a replica is not asked any more. Nobody stands in for the only one, so that its circuit refuses nothing unless the
/// file says so.
pub(super) fn circuit(upstream: &Upstream) -> CircuitBreakerPolicy {
    upstream.circuit_breaker.clone().unwrap_or_else(|| match upstream.has_several() {
        false => CircuitBreakerPolicy::new().mode(Mode::MetricsOnly),
        true => CircuitBreakerPolicy::new(),
    })
}

/// The version of HTTP that a replica is asked in.
fn http_version(upstream: &Upstream, replica: &Replica) -> HttpVersion {
    replica.http_version.as_ref().map_or(upstream.http_version, |version| *version.get_ref())
}

/// All versions of HTTP that replicas of an upstream are asked in.
pub(super) fn http_versions(upstream: &Upstream) -> impl Iterator<Item = HttpVersion> {
    let listed = upstream.listed().iter().map(|replica| http_version(upstream, replica));
    listed.chain(upstream.discover.as_ref().map(|_| upstream.http_version))
}
