//! Which requests go where, and through what.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::with_local_recorder;
use portcullis_forwarded::{Addresses, LetInLayer};
use portcullis_sigv4_sign::AwsChunkedLayer;

use crate::config::{Config, Problem, Route, Spanned};
use crate::facts::Voice;
use crate::limit::DeadlineLayer;
use crate::route::{Conflict, RewriteLayer, Rule, Table};
use crate::telemetry::{Recorder, RouteMeters};

use super::auth::{self, IssuerPlan, Issuers};
use super::documents::{Documents, Row};
use super::limit_key::Place;
use super::limits::LimitPlans;
use super::signing::{self, ClientPlan, Clients};
use super::{
    DocumentPlan, Plan, RouteEnd, RoutePlan, UpstreamPlan, answers, browsers, forwarded, guards,
    headers, named, problem, upgrades,
};

/// The table of routes, and what its rows lead to, as far as nothing is wrong.
pub(super) struct Routed {
    pub(super) table: Option<Arc<Table>>,
    pub(super) routes: Vec<RoutePlan>,
    pub(super) documents: Vec<DocumentPlan>,
    pub(super) issuers: BTreeMap<String, Arc<IssuerPlan>>,
    pub(super) clients: BTreeMap<String, Arc<ClientPlan>>,
}

pub(super) fn plan(
    config: &Config,
    before: Option<&Plan>,
    upstreams: &Upstreams,
    limits: &LimitPlans,
    recorder: &Arc<Recorder>,
    problems: &mut Vec<Problem>,
) -> Routed {
    let mut routes = Vec::new();
    let mut rules = Vec::new();
    let grace = config.reload.grace;
    let mut trusted =
        Trusted { issuers: Issuers::new(before, grace), clients: Clients::new(before, grace) };
    let common = Common { config, upstreams, limits, recorder };
    let mut documents = Documents::default();
    for (index, section) in config.routes.iter().enumerate() {
        let key = format!("route[{index}]");
        rules.push(rule(section.get_ref(), &key, problems));
        documents.note(section.get_ref(), &key, problems);
        routes.extend(route(common, section, &key, &mut trusted, problems));
    }
    let rows = documents.rows(recorder);
    rules.extend(rows.iter().map(|row| row.rule.clone()));
    let table = table(config, &rules, &rows, problems);
    let documents = rows.into_iter().map(|row| row.plan).collect();
    let Trusted { issuers, clients } = trusted;
    Routed { table, routes, documents, issuers: issuers.all(), clients: clients.all() }
}

/// What routes have in common.
#[derive(Clone, Copy)]
struct Common<'p> {
    config: &'p Config,
    upstreams: &'p Upstreams,
    limits: &'p LimitPlans,
    recorder: &'p Arc<Recorder>,
}

type Upstreams = BTreeMap<String, Arc<UpstreamPlan>>;

/// Whom routes have let in so far.
struct Trusted<'p> {
    issuers: Issuers<'p>,
    clients: Clients<'p>,
}

/// What the table is told of a route.
fn rule(route: &Route, key: &str, problems: &mut Vec<Problem>) -> Rule {
    if let Some(message) = bad_path(route.path.get_ref()) {
        problems.push(problem(&format!("{key}.path"), &route.path, message));
    }
    for (index, host) in route.hosts.iter().enumerate() {
        if !is_host(host.get_ref()) {
            let key = format!("{key}.hosts[{index}]");
            let message = "a host like \"example.com\" or \"*.example.com\" is needed here";
            problems.push(problem(&key, host, message));
        }
    }
    if let Some(host) = route.virtual_host.as_ref().filter(|host| !is_name(host.get_ref())) {
        let message = "the domain above the buckets, like \"s3.example.com\", is needed here";
        problems.push(problem(&format!("{key}.virtual_host"), host, message));
    }
    Rule {
        hosts: route.hosts.iter().map(|host| host.get_ref().clone()).collect(),
        path: route.path.get_ref().clone(),
        methods: route.methods.clone(),
    }
}

/// The layers of a route.
fn route(
    common: Common<'_>,
    section: &Spanned<Route>,
    key: &str,
    trusted: &mut Trusted<'_>,
    problems: &mut Vec<Problem>,
) -> Option<RoutePlan> {
    let Common { config, upstreams, limits, recorder } = common;
    let route = section.get_ref();
    let auth = route.jwt_auth.as_ref().and_then(|section| {
        let key = format!("{key}.jwt_auth");
        auth::layer(config, section, &key, &mut trusted.issuers, recorder, problems)
    });
    let verifier = route.sigv4_verify.as_ref().and_then(|section| {
        let key = format!("{key}.sigv4_verify");
        if route.jwt_auth.is_some() {
            let message = "a request has one `Authorization`: this one or `jwt_auth`, not both";
            problems.push(problem(&key, section, message));
        }
        signing::verifier(config, section, &key, &mut trusted.clients, problems)
    });
    let place = Place::Route(route);
    let rate_key = format!("{key}.rate_limit");
    let rate_limit = limits.rate_limits(config, &route.rate_limit, &rate_key, place, problems);
    let limit = route.concurrency_limit.as_ref();
    let limit_key = format!("{key}.concurrency_limit");
    let concurrency_limit = limits.concurrency_limit(config, limit, &limit_key, place, problems);
    let end = end(section, key, upstreams, problems);
    let rewrite = answers::rewrite(route, key, problems);
    let (header_inject, header_files) =
        with_local_recorder(&**recorder, || headers::layer(config, route, key, problems));
    let security_headers = browsers::security_headers(route, key, problems);
    let cors = browsers::cors(route, key, problems);
    let compression = browsers::compression(route, key, problems);
    let end = end?;
    upgrades::check(config, route, key, problems);
    guards::check_route(config, route, key, problems);
    let verifies_s3 = route.sigv4_verify.as_ref();
    let verifies_s3 = verifies_s3.is_some_and(|it| it.get_ref().verifying.service().is_s3());
    let voice = match &end {
        _ if verifies_s3 => Voice::S3,
        RouteEnd::Upstream(name) => upstreams.get(name)?.voice,
        RouteEnd::Answer(_) => Voice::Plain,
    };
    let name = route.name.as_ref().unwrap_or_else(|| route.path.get_ref());
    let aws_chunked = verifier.is_none() && voice == Voice::S3;
    Some(RoutePlan {
        meters: Arc::new(RouteMeters::new(name, recorder).below(route.path.get_ref())),
        end,
        let_in: (route.addresses != Addresses::all())
            .then(|| LetInLayer::new(route.addresses.clone())),
        voice,
        upgrade: with_local_recorder(&**recorder, || upgrades::route(config, route)),
        security_headers,
        cors,
        request_guard: guards::route(config, route, voice),
        rewrite: Some(rewrite?).filter(|rewrite| !rewrite.is_nothing()).map(RewriteLayer::new),
        deadline: route.timeout.map(DeadlineLayer::new),
        auth,
        verifier,
        rate_limit,
        concurrency_limit,
        aws_chunked: aws_chunked.then(AwsChunkedLayer::new),
        compression,
        tell: forwarded(config).tell(),
        header_inject,
        header_files,
    })
}

fn table(
    config: &Config,
    rules: &[Rule],
    rows: &[Row<'_>],
    problems: &mut Vec<Problem>,
) -> Option<Arc<Table>> {
    let conflict = |Conflict { first, second }| {
        let document = |index: usize| rows.get(index.checked_sub(config.routes.len())?);
        let key = |index| {
            document(index).map_or_else(|| format!("route[{index}]"), |row| row.key.clone())
        };
        let span = match document(second) {
            Some(row) => Some(row.metadata.span()),
            None => config.routes.get(second).map(Spanned::span),
        };
        let message = format!("matches the same requests as {}", key(first));
        problems.push(Problem::new(key(second), span, message));
    };
    Table::new(rules).map_err(conflict).ok().map(Arc::new)
}

/// Where a route leads to: an upstream, elsewhere, or nowhere.
fn end(
    section: &Spanned<Route>,
    key: &str,
    upstreams: &Upstreams,
    problems: &mut Vec<Problem>,
) -> Option<RouteEnd> {
    let route = section.get_ref();
    match (&route.upstream, &route.redirect, &route.respond) {
        (Some(name), None, None) => {
            let key = format!("{key}.upstream");
            let name = named(name, "upstream", upstreams.keys(), &key, problems)?;
            Some(RouteEnd::Upstream(name.to_owned()))
        }
        (None, Some(redirect), None) => {
            let redirect = answers::redirect(route, redirect, &format!("{key}.redirect"), problems);
            Some(RouteEnd::Answer(redirect?.into()))
        }
        (None, None, Some(respond)) => {
            let fixed = answers::fixed(respond, &format!("{key}.respond"), problems);
            Some(RouteEnd::Answer(fixed?.into()))
        }
        _ => {
            let message = "exactly one of `upstream`, `redirect` and `respond` is needed";
            problems.push(problem(key, section, message));
            None
        }
    }
}

pub(super) fn bad_path(path: &str) -> Option<&'static str> {
    let odd = path.contains("//") || path.split('/').any(|segment| matches!(segment, "." | ".."));
    match () {
        () if !path.starts_with('/') => Some("a path begins with `/`"),
        () if path.contains(['%', '\\', '?', '#', '\0']) => {
            Some("a path is written as it reads, decoded, without `%`, `\\`, `?` and `#`")
        }
        () if odd => Some("a path has no empty segment, no `.` and no `..`"),
        () => None,
    }
}

fn is_host(host: &str) -> bool {
    is_name(host.strip_prefix("*.").unwrap_or(host))
}

fn is_name(host: &str) -> bool {
    let known = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_' | ':');
    !host.is_empty() && host.chars().all(known)
}
