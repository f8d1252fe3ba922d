use std::fmt::Write;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;

use crate::element::Value;
use crate::resolve::{Way, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO};
use crate::{ForwardedPolicy, NextHop, Node};

/// Says who the client is.
pub(crate) fn write(policy: &ForwardedPolicy, way: &Way, headers: &mut HeaderMap) {
    if policy.x_forwarded == NextHop::Write {
        write_x_forwarded(way, headers);
    }
    if policy.forwarded == NextHop::Write {
        insert(headers, FORWARDED, HeaderValue::try_from(elements(way)).ok());
    }
}

fn write_x_forwarded(way: &Way, headers: &mut HeaderMap) {
    let addresses = addresses(&way.hops);
    if !addresses.is_empty() {
        insert(headers, X_FORWARDED_FOR, HeaderValue::try_from(addresses).ok());
    }
    let is_https = way.scheme == Scheme::HTTPS;
    let proto = HeaderValue::from_static(if is_https { "https" } else { "http" });
    insert(headers, X_FORWARDED_PROTO, Some(proto));
    let host = way.host.as_ref();
    insert(
        headers,
        X_FORWARDED_HOST,
        host.and_then(|host| HeaderValue::from_str(host.as_str()).ok()),
    );
    insert(headers, X_FORWARDED_PORT, Some(way.port.into()));
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

fn elements(way: &Way) -> String {
    let Way { hops, scheme, host, port: _ } = way;
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

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        // The limit of a header map is not worth a panic.
        let _ = headers.try_insert(name, value);
    }
}
