//! What the next hop is told, in the place of whatever was sent.

use std::fmt::Write;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;

use crate::element::Value;
use crate::resolve::{
    Resolved, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO,
};
use crate::{ForwardedPolicy, NextHop, Node};

/// Removes what says who the client is, whoever said so.
pub(crate) fn strip(policy: &ForwardedPolicy, headers: &mut HeaderMap) {
    let is_removed = |name: &&HeaderName| {
        is_about_the_client(name) || policy.remove.iter().any(|it| is_like(it.as_str(), name))
    };
    let named: Vec<_> = headers.keys().filter(is_removed).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

/// Says who the client is.
pub(crate) fn write(policy: &ForwardedPolicy, resolved: &Resolved, headers: &mut HeaderMap) {
    if policy.x_forwarded == NextHop::Write {
        write_x_forwarded(resolved, headers);
    }
    if policy.forwarded == NextHop::Write {
        insert(headers, FORWARDED, HeaderValue::try_from(elements(resolved)).ok());
    }
}

fn write_x_forwarded(resolved: &Resolved, headers: &mut HeaderMap) {
    let addresses = addresses(&resolved.hops);
    if !addresses.is_empty() {
        insert(headers, X_FORWARDED_FOR, HeaderValue::try_from(addresses).ok());
    }
    let is_https = resolved.scheme == Scheme::HTTPS;
    let proto = HeaderValue::from_static(if is_https { "https" } else { "http" });
    insert(headers, X_FORWARDED_PROTO, Some(proto));
    let host = resolved.host.as_ref();
    insert(
        headers,
        X_FORWARDED_HOST,
        host.and_then(|host| HeaderValue::from_str(host.as_str()).ok()),
    );
    insert(headers, X_FORWARDED_PORT, Some(resolved.port.into()));
}

fn addresses(hops: &[Node]) -> String {
    let mut text = String::with_capacity(hops.len() * 16);
    for hop in hops {
        if let Node::Address(address, _) = hop {
            let separator = if text.is_empty() { "" } else { ", " };
            // A string takes whatever is written.
            let _ = write!(text, "{separator}{address}");
        }
    }
    text
}

fn elements(resolved: &Resolved) -> String {
    let Resolved { client: _, hops, scheme, host, port: _ } = resolved;
    let mut text = String::with_capacity(hops.len() * 64);
    for (index, hop) in hops.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}for={}", Value(&hop.to_string()));
        if index == 0 {
            // What the client asked for is said by the first, who had the request from it.
            if let Some(host) = host {
                let _ = write!(text, ";host={}", Value(host.as_str()));
            }
            let _ = write!(text, ";proto={scheme}");
        }
    }
    text
}

fn is_about_the_client(name: &HeaderName) -> bool {
    let start = name.as_str().get(..X_FORWARDED.len());
    start.is_some_and(|start| is_same(X_FORWARDED, start))
        || is_like("x-real-ip", name)
        || *name == FORWARDED
}

/// Whether servers that pass headers on as variables take one for the other: `_` and `-` are the same to them.
fn is_like(name: &str, other: &HeaderName) -> bool {
    is_same(name, other.as_str())
}

fn is_same(name: &str, other: &str) -> bool {
    let dashed = |byte| if byte == b'_' { b'-' } else { byte };
    name.bytes().map(dashed).eq(other.bytes().map(dashed))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        // The limit of a header map is not worth a panic.
        let _ = headers.try_insert(name, value);
    }
}

const X_FORWARDED: &str = "x-forwarded-";
