//! Who the client is, of all who are named on the way: from the right to the left, as far as proxies are trusted.

use std::iter;

use http::HeaderMap;
use http::header::{FORWARDED, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::Scheme;

use crate::host::Host;
use crate::node::port;
use crate::{Client, Element, ForwardedPolicy, Node, Peer, Source};

/// The client, or the way of who has no address.
#[derive(Debug)]
pub(crate) enum Resolved {
    Client(Client),
    Nobody(Way),
}

/// The hops that are believed, from the client to the peer, and what the client asked the first of them for: for
/// [`Tell`](crate::Tell). It is in the extensions where there is no client.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Those before the peer.
    before: Vec<Node>,
    peer: Node,
    pub(crate) scheme: Scheme,
    pub(crate) host: Option<Host>,
    pub(crate) port: u16,
}

impl Way {
    pub(crate) fn hops(&self) -> impl Iterator<Item = &Node> {
        self.before.iter().chain(iter::once(&self.peer))
    }
}

/// What a trusted chain says.
#[derive(Debug, Default)]
struct Chain {
    /// From the right to the left; the last is the client, or the last that is known.
    hops: Vec<Node>,
    is_known: bool,
    scheme: Option<Scheme>,
    host: Option<Host>,
    port: Option<u16>,
}

pub(crate) fn resolve(policy: &ForwardedPolicy, peer: &Peer, parts: &Parts) -> Resolved {
    let last = peer.address.map_or(Node::Unknown, |address| Node::Address(address, peer.port));
    let chain = if !policy.trusts(peer.address) {
        Chain { is_known: true, ..Chain::default() }
    } else if policy.source == Source::Forwarded {
        forwarded(policy, &parts.headers)
    } else {
        x_forwarded(policy, &parts.headers)
    };

    let scheme = chain.scheme.or_else(|| peer.scheme.clone());
    let scheme = scheme.or_else(|| parts.uri.scheme_str().and_then(self::scheme));
    let scheme = scheme.unwrap_or(Scheme::HTTP);
    let host = chain.host.or_else(|| asked_for(parts));
    let port = chain.port.or_else(|| host.as_ref().and_then(Host::port));
    let port = port.unwrap_or(if scheme == Scheme::HTTPS { 443 } else { 80 });
    let mut before = chain.hops;
    before.reverse();
    let first = *before.first().unwrap_or(&last);
    let way = Way { before, peer: last, scheme, host, port };
    match first {
        Node::Address(address, port) => {
            let (peer, is_known) = (peer.address, chain.is_known);
            Resolved::Client(Client { address, port, peer, is_known, way })
        }
        Node::Unknown => Resolved::Nobody(way),
    }
}

fn x_forwarded(policy: &ForwardedPolicy, headers: &HeaderMap) -> Chain {
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    // A line that is no text says nothing of whom it names, nor what is left of it.
    let nodes = lines.iter().rev().flat_map(|line| {
        let names = line.to_str().unwrap_or("unknown").rsplit(',');
        let names = names.map(|name| name.trim_matches([' ', '\t']));
        names.filter(|name| !name.is_empty()).map(Node::parse_lenient)
    });
    let mut chain = Chain::default();
    walk(&mut chain, policy, nodes.map(|node| (node, None, None)));
    chain.scheme = last(headers, &X_FORWARDED_PROTO).and_then(scheme);
    chain.host = last(headers, &X_FORWARDED_HOST).and_then(Host::parse);
    chain.port = last(headers, &X_FORWARDED_PORT).and_then(port);
    chain
}

fn forwarded(policy: &ForwardedPolicy, headers: &HeaderMap) -> Chain {
    let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    let elements = lines.iter().rev().flat_map(|line| {
        let line = line.to_str().map_or(Err(crate::InvalidForwarded), Element::parse_line);
        let elements = line.unwrap_or_else(|_| vec![Element::unknown()]);
        elements.into_iter().rev()
    });
    let mut chain = Chain::default();
    let parts = elements.map(|element| {
        let node = element.node().unwrap_or(Node::Unknown);
        (node, element.proto().and_then(scheme), element.host().and_then(Host::parse))
    });
    walk(&mut chain, policy, parts);
    chain
}

/// Goes from the right to the left, until somebody is not trusted. What the last one says of scheme and host is what was said
/// by the proxy that had the request from the client.
fn walk(
    chain: &mut Chain,
    policy: &ForwardedPolicy,
    nodes: impl Iterator<Item = (Node, Option<Scheme>, Option<Host>)>,
) {
    for (node, scheme, host) in nodes {
        let Node::Address(address, _) = node else {
            chain.is_known = false;
            return;
        };
        chain.hops.push(node);
        (chain.scheme, chain.host) = (scheme, host);
        // Whoever is at the left end is the client, trusted or not.
        chain.is_known = true;
        if !policy.trusts(Some(address)) {
            return;
        }
    }
}

/// What the client asked this hop for: RFC 9112 §3.2.2, RFC 9113 §8.3.1.
fn asked_for(parts: &Parts) -> Option<Host> {
    if let Some(authority) = parts.uri.authority() {
        return Host::of_authority(authority);
    }
    let mut lines = parts.headers.get_all(HOST).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    Host::of_line(line)
}

/// The last value of all lines: the nearest proxy's.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let line: &HeaderValue = headers.get_all(name).iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next().map(str::trim)
}

fn scheme(text: &str) -> Option<Scheme> {
    if text.eq_ignore_ascii_case("https") {
        Some(Scheme::HTTPS)
    } else {
        text.eq_ignore_ascii_case("http").then_some(Scheme::HTTP)
    }
}

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
