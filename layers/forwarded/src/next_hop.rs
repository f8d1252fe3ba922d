//! What the next hop is told, in the place of whatever was sent.

use std::fmt::{Display, Write};

use http::Version;
use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue, VIA};
use http::uri::Scheme;

use crate::element::Value;
use crate::policy::Pseudonym;
use crate::resolve::{Resolved, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::{Client, ForwardedPolicy, NextHop, Node};

/// Removes what says who the client is, whoever said so.
pub(crate) fn strip(policy: &ForwardedPolicy, headers: &mut HeaderMap) {
    let named: Vec<_> = headers.keys().filter(|name| is_about_the_client(name)).cloned().collect();
    for name in named.iter().chain(&policy.remove) {
        headers.remove(name);
    }
    headers.remove(FORWARDED);
}

/// Says who the client is.
pub(crate) fn write(policy: &ForwardedPolicy, resolved: &Resolved, headers: &mut HeaderMap) {
    let Resolved { client, hops } = resolved;
    if policy.x_forwarded == NextHop::Write {
        insert(headers, X_FORWARDED_FOR, &joined(hops.iter().filter_map(address)));
        insert(headers, X_FORWARDED_PROTO, client.scheme.as_str());
        if let Some(host) = &client.host {
            insert(headers, X_FORWARDED_HOST, host.as_str());
        }
        insert(headers, X_FORWARDED_PORT, &port(client).to_string());
    }
    if policy.forwarded == NextHop::Write {
        let elements = hops.iter().enumerate().map(|(index, node)| {
            let mut element = format!("for={}", Value(&node.to_string()));
            if index == 0 {
                // What the client asked for is said by the first, who had the request from it.
                if let Some(host) = &client.host {
                    let _ = write!(element, ";host={}", Value(host.as_str()));
                }
                let _ = write!(element, ";proto={}", client.scheme);
            }
            element
        });
        insert(headers, FORWARDED, &joined(elements));
    }
}

/// Whether the request has been here before.
pub(crate) fn is_loop(pseudonym: &Pseudonym, headers: &HeaderMap) -> bool {
    let lines = headers.get_all(VIA).iter().filter_map(|line| line.to_str().ok());
    let mut hops = lines.flat_map(|line| line.split(','));
    // RFC 9110 §7.6.3: the protocol, by whom it was received, and a comment, perhaps.
    hops.any(|hop| {
        let by = hop.split_ascii_whitespace().nth(1);
        by.is_some_and(|by| by.eq_ignore_ascii_case(&pseudonym.0))
    })
}

/// Adds this hop to those before it.
pub(crate) fn add_via(pseudonym: &Pseudonym, version: Version, headers: &mut HeaderMap) {
    let protocol = match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    if let Ok(hop) = HeaderValue::try_from(format!("{protocol} {}", pseudonym.0)) {
        // The limit of a header map is not worth a panic.
        let _ = headers.try_append(VIA, hop);
    }
}

fn is_about_the_client(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-forwarded-") || *name == X_REAL_IP
}

fn address(node: &Node) -> Option<String> {
    match node {
        Node::Address(address, _) => Some(address.to_string()),
        Node::Unknown => None,
    }
}

/// The port that the client asked for: what it said, or what its scheme has.
fn port(client: &Client) -> u16 {
    let asked = client.host.as_ref().and_then(http::uri::Authority::port_u16);
    asked.unwrap_or(if client.scheme == Scheme::HTTPS { 443 } else { 80 })
}

fn joined(items: impl Iterator<Item = impl Display>) -> String {
    let mut text = String::new();
    for item in items {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{item}");
    }
    text
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        let _ = headers.try_insert(name, value);
    }
}

const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
