//! What requests must be: all of them, and those of a route.

use portcullis_request_guard::{Part, Paths, Policy, RequestGuardLayer};

use crate::config::{Config, Problem, Route, Spanned};
use crate::facts::Voice;

use super::problem;

/// What every request must be. A route may take larger bodies than all others, so that no body is too large before its route
/// is known that is not too large for the one that takes most.
pub(super) fn edge(config: &Config) -> RequestGuardLayer {
    let policy = config.request_guard.clone().or(&Policy::ceilings());
    let most = config.routes.iter().filter_map(own).filter_map(|own| own.limit(Part::Body)).max();
    RequestGuardLayer::new(match (policy.limit(Part::Body), most) {
        (Some(limit), Some(most)) if most > limit => policy.max_body(most),
        _ => policy,
    })
}

/// What the requests of a route must be.
pub(super) fn route(config: &Config, route: &Route, voice: Voice) -> RequestGuardLayer {
    let policy = route.request_guard.as_ref().map(|section| section.get_ref().clone());
    let mut policy = policy.unwrap_or_default();
    if let (Some(limit), None) = (config.request_guard.limit(Part::Body), policy.limit(Part::Body))
    {
        policy = policy.max_body(limit);
    }
    let paths = policy.judged_paths().unwrap_or(match voice {
        Voice::S3 => Paths::s3(),
        Voice::Plain | Voice::Grpc => Paths::new(),
    });
    RequestGuardLayer::new(policy.paths(paths.root(root(config, route, voice))))
}

/// How many segments of a path decide where it leads to, so that no `..` may climb over them: those of the route, and on a
/// route to S3 the bucket, unless it stands in the URLs of the replicas.
fn root(config: &Config, route: &Route, voice: Voice) -> usize {
    let segments = route.path.get_ref().split('/').filter(|segment| !segment.is_empty()).count();
    let upstream = route.upstream.as_ref().and_then(|name| config.upstream.get(name.get_ref()));
    let urls = upstream.into_iter().flat_map(|upstream| {
        let upstream = upstream.get_ref();
        let found = upstream.discover.as_ref().map(|discover| &discover.get_ref().dns);
        upstream.listed().iter().map(|replica| &replica.url).chain(found)
    });
    let mut urls = urls.map(|url| url.get_ref().uri().path());
    segments + usize::from(voice == Voice::S3 && urls.any(|base| base == "/"))
}

/// What all requests are asked can be asked of all.
pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let normalises = config.request_guard.judged_paths().is_some_and(|paths| paths.normalises());
    let signed = config.routes.iter().position(|route| route.get_ref().sigv4_verify.is_some());
    if let (true, Some(index)) = (normalises, signed) {
        let message = format!(
            "no path can be normalised here, since clients of route[{index}] sign theirs: \"refuse\" or \"allow\", or the \
             `request_guard` of other routes"
        );
        problems.push(Problem::new("request_guard.paths", None, message));
    }
}

/// What a route asks must make a difference, and not undo what its clients have signed.
pub(super) fn check_route(config: &Config, route: &Route, key: &str, problems: &mut Vec<Problem>) {
    let Some(section) = &route.request_guard else { return };
    let (own, key) = (section.get_ref(), format!("{key}.request_guard"));
    let all = config.request_guard.clone().or(&Policy::ceilings());
    let parts = [
        (Part::Uri, "max_uri"),
        (Part::HeaderBlock, "max_header_block"),
        (Part::HeaderCount, "max_header_count"),
    ];
    for (part, name) in parts {
        if let (Some(own), Some(limit)) = (own.limit(part), all.limit(part))
            && own > limit
        {
            let message = format!(
                "at most {limit}, which is the `{name}` in `[request_guard]`: that is asked before there is a route"
            );
            problems.push(problem(&format!("{key}.{name}"), section, message));
        }
    }
    if route.sigv4_verify.is_some() && own.judged_paths().is_some_and(|paths| paths.normalises()) {
        let message = "clients sign the path that they send: \"refuse\" or \"allow\" is needed, not \"normalise\"";
        problems.push(problem(&format!("{key}.paths"), section, message));
    }
}

fn own(route: &Spanned<Route>) -> Option<&Policy> {
    route.get_ref().request_guard.as_ref().map(Spanned::get_ref)
}
