//! Which upgrades get through to an upstream.

use portcullis_host_strip::{HopByHop, HopByHopLayer, Protocol, Upgrade};

use crate::config::{Config, HttpVersion, Problem, Route, Spanned};

use super::problem;
use super::upstreams::http_versions;

/// What the edge takes off, and what it lets through: all that any route does, since it does not know yet which route that is.
pub(super) fn edge(config: &Config) -> HopByHop {
    let mut all = Vec::new();
    for section in &config.routes {
        match &section.get_ref().upgrade {
            Upgrade::WebSocket => all.push(Protocol::WEBSOCKET),
            Upgrade::Tokens(tokens) => all.extend(tokens.iter().cloned()),
            Upgrade::Deny => {}
            _ => return policy(config).upgrade(Upgrade::Preserve),
        }
    }
    let upgrade = if all.is_empty() { Upgrade::Deny } else { Upgrade::Tokens(all) };
    policy(config).upgrade(upgrade)
}

/// What upstreams are told is nobody's to name in `Connection`.
fn policy(config: &Config) -> HopByHop {
    config.hop_by_hop.clone().protect(config.request_id.told_in().clone())
}

/// What a route lets through of that; none where the edge lets nothing through.
pub(super) fn route(config: &Config, route: &Route) -> Option<HopByHopLayer> {
    let denied = edge(config) == policy(config).upgrade(Upgrade::Deny);
    (!denied).then(|| HopByHopLayer::new(policy(config).upgrade(route.upgrade.clone())))
}

/// A replica that is asked in nothing but HTTP/2 makes no tunnel.
pub(super) fn check(config: &Config, route: &Route, key: &str, problems: &mut Vec<Problem>) {
    if route.upgrade == Upgrade::Deny {
        return;
    }
    let Some(name) = &route.upstream else {
        let message = "only a route with an `upstream` makes tunnels";
        problems.push(Problem::new(format!("{key}.upgrade"), None, message));
        return;
    };
    let upstream = config.upstream.get(name.get_ref()).map(Spanned::get_ref);
    if upstream.into_iter().flat_map(http_versions).any(|version| version == HttpVersion::Http2) {
        let message =
            "a replica with `http_version = \"2\"` makes no tunnels: \"auto\" or \"1.1\" is needed";
        problems.push(problem(&format!("{key}.upgrade"), name, message));
    }
}
