//! Who the client is, of all who are named on the way: from the right to the left, as far as proxies are trusted.

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Scheme};

use crate::{Client, Element, ForwardedPolicy, Networks, Node, Peer, Source};

/// The client, and the hops that are believed, from it to the peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) client: Client,
    pub(crate) hops: Vec<Node>,
}

/// What a trusted chain says.
#[derive(Debug, Default)]
struct Chain {
    /// From the right to the left; the last is the client, or the last that is known.
    hops: Vec<Node>,
    is_known: bool,
    scheme: Option<Scheme>,
    host: Option<Authority>,
}

pub(crate) fn resolve(policy: &ForwardedPolicy, peer: &Peer, parts: &Parts) -> Resolved {
    let own = Node::Address(peer.address, peer.port);
    let chain = if !policy.trusted.contains(peer.address) {
        Chain { is_known: true, ..Chain::default() }
    } else if policy.source == Source::Forwarded {
        forwarded(&policy.trusted, &parts.headers)
    } else {
        x_forwarded(&policy.trusted, &parts.headers)
    };

    let scheme = chain.scheme.or_else(|| peer.scheme.clone());
    let scheme = scheme.or_else(|| parts.uri.scheme().cloned()).unwrap_or(Scheme::HTTP);
    let host = chain.host.or_else(|| asked_for(parts));
    let mut hops = chain.hops;
    hops.reverse();
    hops.push(own);
    let (address, port) = match hops.first() {
        Some(Node::Address(address, port)) => (*address, *port),
        Some(Node::Unknown) | None => (peer.address, peer.port),
    };
    let client =
        Client { address, port, peer: peer.address, scheme, host, is_known: chain.is_known };
    Resolved { client, hops }
}

fn x_forwarded(trusted: &Networks, headers: &HeaderMap) -> Chain {
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
    // A line that is no text says nothing of whom it names, nor what is left of it.
    let nodes = lines.iter().rev().flat_map(|line| {
        let names = line.to_str().unwrap_or("unknown").rsplit(',');
        let names = names.map(|name| name.trim_matches([' ', '\t']));
        names.filter(|name| !name.is_empty()).map(Node::parse_lenient)
    });
    let mut chain = Chain::default();
    walk(&mut chain, trusted, nodes.map(|node| (node, None, None)));
    chain.scheme = last(headers, &X_FORWARDED_PROTO).and_then(scheme);
    chain.host = last(headers, &X_FORWARDED_HOST).and_then(authority);
    chain
}

fn forwarded(trusted: &Networks, headers: &HeaderMap) -> Chain {
    let lines: Vec<_> = headers.get_all(FORWARDED).iter().collect();
    let elements = lines.iter().rev().flat_map(|line| {
        let line = line.to_str().map_or(Err(crate::InvalidForwarded), Element::parse_line);
        let elements = line.unwrap_or_else(|_| vec![Element::unknown()]);
        elements.into_iter().rev()
    });
    let mut chain = Chain::default();
    let parts = elements.map(|element| {
        let node = element.node().unwrap_or(Node::Unknown);
        (node, element.proto().and_then(scheme), element.host().and_then(authority))
    });
    walk(&mut chain, trusted, parts);
    chain
}

/// Goes from the right to the left, until somebody is not trusted. What the last one says of scheme and host is what was said
/// by the proxy that had the request from the client.
fn walk(
    chain: &mut Chain,
    trusted: &Networks,
    nodes: impl Iterator<Item = (Node, Option<Scheme>, Option<Authority>)>,
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
        if !trusted.contains(address) {
            return;
        }
    }
}

/// What the client asked this hop for: RFC 9112 §3.2.2, RFC 9113 §8.3.1.
fn asked_for(parts: &Parts) -> Option<Authority> {
    let host = || {
        let mut lines = parts.headers.get_all(http::header::HOST).iter();
        let line = lines.next()?;
        lines.next().is_none().then_some(line)?.to_str().ok().and_then(authority)
    };
    parts.uri.authority().cloned().or_else(host)
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

fn authority(text: &str) -> Option<Authority> {
    text.parse().ok().filter(|authority: &Authority| !authority.as_str().contains('@'))
}

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
