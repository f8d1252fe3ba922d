//! A configuration that makes sense, and all that is built of it once.
//!
//! To check a file is to make its plan: `check`, start and reload cannot disagree.

mod answers;
mod auth;
mod browsers;
#[cfg(feature = "aws-config")]
mod default_chain;
mod documents;
mod fixed;
mod guards;
mod headers;
mod known;
mod limit_key;
mod limits;
mod listeners;
mod origin;
mod retired;
mod routes;
mod signing;
mod traces;
mod upgrades;
mod upstream_tls;
mod upstreams;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use metrics::with_local_recorder;
use portcullis_concurrency_limit::ConcurrencyLimitLayer;
use portcullis_drain::DrainLayer;
use portcullis_forwarded::{ForwardedLayer, LetInLayer, TellLayer, ViaLayer};
use portcullis_header_inject::HeaderInjectLayer;
use portcullis_host_strip::{ClientHostLayer, HopByHopLayer, HostPolicy, Upgrade};
use portcullis_jwt_auth::MetadataLayer;
use portcullis_replica_failover::ReplicaFailoverLayer;
use portcullis_request_guard::RequestGuardLayer;
use portcullis_request_id::RequestIdLayer;
use portcullis_sigv4_sign::AwsChunkedLayer;
use tracing_subscriber::EnvFilter;

use crate::compression::CompressionLayer;
use crate::config::{self, Config, Files, Problem, Reading, Spanned};
use crate::cors::CrossOriginLayer;
use crate::facts::{PeerOf, Voice, peer_of};
use crate::limit::{DeadlineLayer, RateLimits};
use crate::listener::Terms;
use crate::replicas::{Discovery, Replicas};
use crate::route::{Answer, RewriteLayer, Table};
use crate::security_headers::SecurityHeadersLayer;
use crate::telemetry::{Meters, Recorder, RouteMeters};
use crate::trace::Tracer;
use crate::upstream::ByFault;

use self::limit_key::Place;
use self::origin::Origin;
use self::routes::Routed;

pub use self::auth::{AuthPlan, IssuerPlan};
pub use self::fixed::NEEDS_RESTART;
pub use self::limits::LimitPlans;
pub use self::signing::{ClientPlan, VerifierPlan};
pub use self::traces::TracePlan;

/// All that a configuration asks for, built once and shared by the workers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The configuration itself.
    pub config: Config,
    /// What its file says, but for secrets.
    pub(crate) written: serde_json::Value,
    /// What operators show to have it read again, if they have to show anything.
    pub(crate) admin_token: Option<Token>,
    /// How requests are traced, if any are.
    pub traces: Option<Arc<TracePlan>>,
    /// The terms of each listener, in their order.
    pub terms: Vec<Arc<Terms>>,
    /// In front of all routes.
    pub edge: EdgePlan,
    /// The limits, and where they are kept.
    pub limits: LimitPlans,
    /// Each upstream by its name.
    pub upstreams: BTreeMap<String, Arc<UpstreamPlan>>,
    /// Which request is for which route.
    pub table: Arc<Table>,
    /// The routes, in the order of the table's rules.
    pub routes: Vec<RoutePlan>,
    /// What the gateway serves itself, in the order of the rules that follow those of the routes.
    pub documents: Vec<DocumentPlan>,
    /// The issuers that routes name, by name.
    pub issuers: BTreeMap<String, Arc<IssuerPlan>>,
    /// The clients whose signatures routes verify, by the names of their credentials.
    pub clients: BTreeMap<String, Arc<ClientPlan>>,
    /// Where everything is counted.
    pub recorder: Arc<Recorder>,
    /// The gateway's own counts.
    pub meters: Arc<Meters>,
}

/// A secret that is never shown.
pub(crate) struct Token(String);

impl std::ops::Deref for Token {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// The layers in front of all routes.
#[derive(Debug)]
#[non_exhaustive]
pub struct EdgePlan {
    /// Finds out who the client is.
    pub forwarded: ForwardedLayer<PeerOf>,
    /// Gives each request its id.
    pub request_id: RequestIdLayer,
    /// Finds out which requests are traced, if any are.
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// Counts what is in flight.
    pub drain: DrainLayer,
    /// Refuses what has been here before, if the gateway has a name.
    pub via: Option<ViaLayer>,
    /// Lets in by address.
    pub let_in: LetInLayer,
    /// Sees to it that a request names one host.
    pub client_host: ClientHostLayer,
    /// Takes off what is for one hop only.
    pub hop_by_hop: HopByHopLayer,
    /// Refuses what nobody may send.
    pub request_guard: RequestGuardLayer,
    /// How much of whom, whatever is asked for; no limit if `None`.
    pub rate_limit: Option<RateLimits>,
}

/// One upstream.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpstreamPlan {
    origin: Origin<upstreams::Sections>,
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
    /// Lets in by address; everybody if `None`.
    pub let_in: Option<LetInLayer>,
    /// The language of refusals.
    pub voice: Voice,
    /// Which tunnels are made; none if `None`, which the edge sees to.
    pub upgrade: Option<HopByHopLayer>,
    /// What browsers are told to be careful about; nothing if `None`.
    pub security_headers: Option<SecurityHeadersLayer>,
    /// What pages of other origins may do; nothing if `None`.
    pub cors: Option<CrossOriginLayer>,
    /// Refuses what nobody may send to this route.
    pub request_guard: RequestGuardLayer,
    /// What becomes of the path; nothing if `None`.
    pub rewrite: Option<RewriteLayer>,
    /// The most that a request may take; any time if `None`.
    pub deadline: Option<DeadlineLayer>,
    /// Who is let through by a token; everybody if `None`.
    pub auth: Option<Arc<AuthPlan>>,
    /// Who is let through by a signature; everybody if `None`.
    pub verifier: Option<Arc<VerifierPlan>>,
    /// How much of whom; no limit if `None`.
    pub rate_limit: Option<RateLimits>,
    /// How many requests at once; no limit if `None`.
    pub concurrency_limit: Option<ConcurrencyLimitLayer>,
    /// Decodes what clients of S3 send, where nothing verifies it.
    pub aws_chunked: Option<AwsChunkedLayer>,
    /// Compresses responses, if any are.
    pub compression: Option<CompressionLayer>,
    /// Tells the upstream who the client is.
    pub tell: TellLayer,
    /// What is set and removed; nothing if `None`.
    pub header_inject: Option<HeaderInjectLayer>,
    /// Where secrets of that are.
    pub(crate) header_files: Files,
}

impl RoutePlan {
    /// Whether a path with a `..` may be for this route, whose guard judges it.
    pub(crate) fn takes_parents(&self) -> bool {
        self.request_guard.policy().judged_paths().is_some_and(|paths| paths.takes_parents())
    }
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
        Self::made_of(reading, None)
    }

    /// Builds what differs from this plan, and keeps what does not: a section that says the same, and whose files hold the
    /// same, has the layers that it had, with all that they have learnt. What is counted goes on in any case.
    ///
    /// Keys that issuers and clients had before are accepted for as long as the new configuration says.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of), and what only a restart can change.
    pub fn renewed(&self, reading: Reading) -> Result<Self, Vec<Problem>> {
        Self::made_of(reading, Some(self))
    }

    fn made_of(reading: Reading, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let Reading { config, flaws, written } = reading;
        match Self::made(config, before).map(|plan| Self { written, ..plan }) {
            Ok(plan) if flaws.are_none() => Ok(plan),
            Ok(_) => Err(flaws.and(Vec::new())),
            Err(found) => Err(flaws.and(found)),
        }
    }

    fn made(config: Config, before: Option<&Self>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let recorder = before.map_or_else(Arc::default, |before: &Self| before.recorder.clone());
        let meters = before.map(|before| before.meters.clone());
        let meters = meters.unwrap_or_else(|| Arc::new(Meters::new(&recorder)));

        check_rest(&config, &mut problems);
        if let Some(before) = before {
            fixed::check(&before.config, &config, &mut problems);
        }
        let admin = config.admin.as_ref().and_then(|admin| admin.token.as_ref());
        let admin_token =
            admin.and_then(|token| read_secret(&config, token, "admin.token", &mut problems));
        let traces = traces::plan(&config, before, &recorder, &mut problems);
        let terms = listeners::plan(&config, before, &recorder, &mut problems);
        let upstreams = upstreams::plan(&config, before, &recorder, &mut problems);
        let limits = LimitPlans::of(&config, before, &recorder, &mut problems);
        let Routed { table, routes, documents, issuers, clients } =
            routes::plan(&config, before, &upstreams, &limits, &recorder, &mut problems);
        let mut edge =
            with_local_recorder(&*recorder, || edge(&config, before, &limits, &mut problems));
        edge.tracer = traces.as_ref().map(|traces| traces.tracer.clone());
        let (Some(table), true) = (table, problems.is_empty()) else {
            return Err(problems);
        };
        Ok(Self {
            admin_token: admin_token.map(Token),
            traces,
            terms,
            edge,
            limits,
            upstreams,
            table,
            routes,
            documents,
            issuers,
            clients,
            recorder,
            meters,
            config,
            written: serde_json::Value::Null,
        })
    }

    /// Begins what goes on for as long as requests are served by this plan, or end by it.
    pub(crate) fn begin(&self) {
        if let Some(traces) = &self.traces {
            traces.exporting().begin();
        }
    }

    /// Writes to the log what an operator should know before it serves.
    pub fn warn(&self) {
        upstream_tls::warn(&self.config);
    }

    /// The files that the configuration names, but for those of listeners, which are looked at by themselves.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let upstreams = self.upstreams.values().map(|upstream| upstream.origin.files());
        let issuers = self.issuers.values().map(|issuer| issuer.files());
        let clients = self.clients.values().map(|client| client.files());
        let limits = self.limits.files();
        let headers = self.routes.iter().map(|route| &route.header_files);
        let traces = self.traces.iter().map(|traces| traces.files());
        let all =
            upstreams.chain(issuers).chain(clients).chain(limits).chain(headers).chain(traces);
        all.flat_map(Files::paths)
    }
}

fn edge(
    config: &Config,
    before: Option<&Plan>,
    limits: &LimitPlans,
    problems: &mut Vec<Problem>,
) -> EdgePlan {
    let drain = before.map(|before| before.edge.drain.clone());
    // Its counts go on.
    let kept = before.filter(|before| upgrades::edge(&before.config) == upgrades::edge(config));
    let kept = kept.map(|before| before.edge.hop_by_hop.clone());
    let (names, key) = (&config.edge.rate_limit, "edge.rate_limit");
    EdgePlan {
        forwarded: forwarded(config),
        request_id: request_id(config),
        tracer: None,
        via: config.via.clone().map(ViaLayer::new),
        let_in: LetInLayer::new(config.addresses.clone()),
        rate_limit: limits.rate_limits(config, names, key, Place::Edge, problems),
        // It knows what is in flight, in stacks of before, too.
        drain: drain.unwrap_or_else(|| DrainLayer::new(config.drain.clone())),
        client_host: client_host(config),
        hop_by_hop: kept.unwrap_or_else(|| HopByHopLayer::new(upgrades::edge(config))),
        request_guard: guards::edge(config),
    }
}

/// What the client called the gateway is remembered where an upstream is to be called the same.
fn client_host(config: &Config) -> ClientHostLayer {
    let layer = ClientHostLayer::new(config.client_host);
    let mut upstreams = config.upstream.values().map(Spanned::get_ref);
    let is_told = upstreams.any(|upstream| upstream.host == Some(HostPolicy::Preserve));
    if is_told { layer.remember() } else { layer }
}

fn forwarded(config: &Config) -> ForwardedLayer<PeerOf> {
    ForwardedLayer::new(config.forwarded.clone(), peer_of)
}

/// Whoever connects is believed or not, and never on behalf of others: a proxy that is trusted has given its requests ids.
fn request_id(config: &Config) -> RequestIdLayer {
    RequestIdLayer::new(config.request_id.clone())
        .peer(|request| peer_of(request)?.address())
        .in_span()
        // Whoever wants it here has it from the request.
        .spare_response_extensions()
        // There is never one like it, and HTTP/2 would look for it among fifty others.
        .unindexed()
}

fn check_rest(config: &Config, problems: &mut Vec<Problem>) {
    if config.hop_by_hop != config.hop_by_hop.clone().upgrade(Upgrade::Deny) {
        let message = "which tunnels are made is for each route to say, by its `upgrade`";
        problems.push(Problem::new("hop_by_hop.upgrade", None, message));
    }
    guards::check(config, problems);
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
fn read_file(config: &Config, path: &Path) -> Result<Vec<u8>, String> {
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
