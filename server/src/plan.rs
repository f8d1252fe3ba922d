//! A configuration that makes sense, and all that is built of it once.
//!
//! To check a file is to make its plan: `check`, start and reload cannot disagree.

mod answers;
mod auth;
#[cfg(feature = "aws-config")]
mod default_chain;
mod documents;
mod headers;
mod listeners;
mod routes;
mod signing;
mod upgrades;
mod upstream_tls;
mod upstreams;

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusRecorder;
use portcullis_drain::DrainLayer;
use portcullis_header_inject::HeaderInjectLayer;
use portcullis_host_strip::{HopByHopLayer, Upgrade};
use portcullis_jwt_auth::{JwtAuthLayer, MetadataLayer};
use portcullis_replica_failover::ReplicaFailoverLayer;
use portcullis_request_guard::RequestGuardLayer;
use portcullis_sigv4_sign::{AwsChunkedLayer, SigV4VerifyLayer};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Config, Problem, Reading, Spanned};
use crate::facts::Voice;
use crate::limit::DeadlineLayer;
use crate::listener::Terms;
use crate::replicas::{Discovery, Replicas};
use crate::route::{Answer, RewriteLayer, Table};
use crate::telemetry::{Meters, RouteMeters, recorder};
use crate::upstream::ByFault;

use self::routes::Routed;

/// All that a configuration asks for, built once and shared by the workers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The configuration itself.
    pub config: Config,
    /// The terms of each listener, in their order.
    pub terms: Vec<Arc<Terms>>,
    /// In front of all routes.
    pub edge: EdgePlan,
    /// Each upstream by its name.
    pub upstreams: BTreeMap<String, UpstreamPlan>,
    /// Which request is for which route.
    pub table: Arc<Table>,
    /// The routes, in the order of the table's rules.
    pub routes: Vec<RoutePlan>,
    /// What the gateway serves itself, in the order of the rules that follow those of the routes.
    pub documents: Vec<DocumentPlan>,
    /// The issuers that are asked for their keys, by name. No request passes these layers: they share the keys with those
    /// of the routes, to show them and to keep them fresh.
    pub issuers: BTreeMap<String, JwtAuthLayer>,
    /// Where everything is counted.
    pub recorder: Arc<PrometheusRecorder>,
    /// The gateway's own counts.
    pub meters: Arc<Meters>,
}

/// The layers in front of all routes.
#[derive(Debug)]
#[non_exhaustive]
pub struct EdgePlan {
    /// Counts what is in flight.
    pub drain: DrainLayer,
    /// Takes off what is for one hop only.
    pub hop_by_hop: HopByHopLayer,
    /// Bounds what anyone may send.
    pub request_guard: RequestGuardLayer,
}

/// One upstream.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpstreamPlan {
    /// Its replicas.
    pub replicas: Arc<Replicas>,
    /// Finds them, if they are not listed.
    pub discovery: Option<Arc<Discovery>>,
    /// Sends a request to another of them when one fails.
    pub failover: ReplicaFailoverLayer<ByFault>,
    /// Whether they are asked for their health, and left out while it is bad.
    pub is_checked: bool,
    /// Whether all requests go to the first that can be asked.
    pub is_ordered: bool,
    /// The language of refusals of the routes that lead here.
    pub voice: Voice,
}

/// The layers of one route.
#[derive(Debug)]
#[non_exhaustive]
pub struct RoutePlan {
    /// Its name, and what is counted of it.
    pub meters: Arc<RouteMeters>,
    /// Where it leads to.
    pub end: RouteEnd,
    /// The language of refusals.
    pub voice: Voice,
    /// Which tunnels are made; none if `None`, which the edge sees to.
    pub upgrade: Option<HopByHopLayer>,
    /// What becomes of the path.
    pub rewrite: RewriteLayer,
    /// The most that a request may take.
    pub deadline: DeadlineLayer,
    /// Who is let through by a token; everybody if `None`.
    pub auth: Option<JwtAuthLayer>,
    /// Who is let through by a signature; everybody if `None`.
    pub verifier: Option<SigV4VerifyLayer>,
    /// Decodes what clients of S3 send, where nothing verifies it.
    pub aws_chunked: Option<AwsChunkedLayer>,
    /// What is set and removed.
    pub header_inject: HeaderInjectLayer,
}

/// Where a route leads to.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "somewhere, or nowhere")]
pub enum RouteEnd {
    /// The upstream of this name.
    Upstream(String),
    /// No upstream: it answers itself.
    Answer(Answer),
}

/// The metadata of a protected resource.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DocumentPlan {
    /// Its path, and what is counted of it.
    pub meters: Arc<RouteMeters>,
    /// Serves it.
    pub metadata: MetadataLayer,
}

impl Plan {
    /// Builds everything that a file asks for, short of binding a socket.
    ///
    /// # Errors
    ///
    /// All that is wrong in the file, and all that is wrong between those sections of it that are sound.
    pub fn of(reading: Reading) -> Result<Self, Vec<Problem>> {
        let Reading { config, flaws } = reading;
        match Self::new(config) {
            Ok(plan) if flaws.are_none() => Ok(plan),
            Ok(_) => Err(flaws.and(Vec::new())),
            Err(found) => Err(flaws.and(found)),
        }
    }

    fn new(config: Config) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let recorder = recorder();
        let meters = Arc::new(Meters::new(&recorder));

        check_rest(&config, &mut problems);
        let terms = listeners::plan(&config, &recorder, &mut problems);
        let upstreams = upstreams::plan(&config, &recorder, &mut problems);
        let Routed { table, routes, documents, issuers } =
            routes::plan(&config, &upstreams, &recorder, &mut problems);
        let (edge, Some(table), true) = (edge(&config), table, problems.is_empty()) else {
            return Err(problems);
        };
        Ok(Self {
            terms,
            edge,
            upstreams,
            table,
            routes,
            documents,
            issuers,
            recorder,
            meters,
            config,
        })
    }

    /// Writes to the log what an operator should know before it serves.
    pub fn warn(&self) {
        upstream_tls::warn(&self.config);
    }
}

fn edge(config: &Config) -> EdgePlan {
    EdgePlan {
        drain: DrainLayer::new(config.drain.clone()),
        hop_by_hop: HopByHopLayer::new(upgrades::edge(config)),
        request_guard: RequestGuardLayer::new(config.request_guard.clone()),
    }
}

fn check_rest(config: &Config, problems: &mut Vec<Problem>) {
    if config.hop_by_hop != config.hop_by_hop.clone().upgrade(Upgrade::Deny) {
        let message = "which tunnels are made is for each route to say, by its `upgrade`";
        problems.push(Problem::new("hop_by_hop.upgrade", None, message));
    }
    if let Some(level) = &config.log.level
        && let Err(error) = EnvFilter::builder().parse(level.get_ref())
    {
        let message =
            format!("{error}; a filter like \"info\" or \"info,portcullis=debug\" is needed");
        problems.push(Problem::new("log.level", level.span(), message));
    }
}

/// The name of a section, if there is one of this name.
fn named<'n>(
    name: &'n Spanned<String>,
    kind: &str,
    known: impl Iterator<Item = impl AsRef<str>>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<&'n str> {
    let wanted = name.get_ref();
    let known: Vec<_> = known.collect();
    if known.iter().any(|known| known.as_ref() == wanted) {
        return Some(wanted);
    }
    let nearest = config::nearest(wanted, known.iter().map(AsRef::as_ref));
    let hint = nearest.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
    let message = format!("there is no section `[{kind}.{wanted}]`{hint}");
    let problem = Problem::new(key, name.span(), message);
    problems.push(problem.referring_to(format!("{kind}.{wanted}")));
    None
}

/// The problem of one key of one section.
fn problem<T>(key: &str, section: &Spanned<T>, message: impl Into<String>) -> Problem {
    Problem::new(key, section.span(), message)
}

/// What a file of this configuration holds.
fn read_file(config: &Config, path: &std::path::Path) -> Result<Vec<u8>, String> {
    let path = config.folder.join(path);
    std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A secret of this configuration.
fn read_secret(
    config: &Config,
    secret: &Spanned<config::Secret>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let value = secret.get_ref().read(&config.folder);
    value.map_err(|message| problems.push(problem(key, secret, message))).ok()
}
