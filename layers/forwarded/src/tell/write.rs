use std::fmt::Write;
use std::iter;
use std::net::IpAddr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;

use crate::element::Value;
use crate::host::Host;
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
    insert(headers, X_FORWARDED_FOR, addresses(way));
    let is_https = way.scheme == Scheme::HTTPS;
    insert(headers, X_FORWARDED_PROTO, Some(if is_https { HTTPS } else { HTTP }));
    insert(headers, X_FORWARDED_HOST, way.host.as_ref().and_then(Host::to_value));
    let port = match way.port {
        80 => PORT_80,
        443 => PORT_443,
        port => port.into(),
    };
    insert(headers, X_FORWARDED_PORT, Some(port));
}

/// Those that are known.
fn addresses(way: &Way) -> Option<HeaderValue> {
    let mut known = way.hops().filter_map(|hop| match hop {
        Node::Address(address, _) => Some(address),
        Node::Unknown => None,
    });
    let first = known.next()?;
    let Some(second) = known.next() else { return alone(*first) };
    let mut list = first.to_string();
    for address in iter::once(second).chain(known) {
        // A string takes whatever is written.
        let _ = write!(list, ", {address}");
    }
    HeaderValue::try_from(list).ok()
}

/// One address, as most requests have, in one allocation and without the machinery of `Display`.
fn alone(address: IpAddr) -> Option<HeaderValue> {
    let IpAddr::V4(address) = address else {
        return HeaderValue::try_from(address.to_string()).ok();
    };
    let (mut text, mut length) = ([0; 15], 0);
    let mut push = |byte| {
        if let Some(place) = text.get_mut(length) {
            *place = byte;
            length += 1;
        }
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    HeaderValue::from_bytes(text.get(..length)?).ok()
}

fn elements(way: &Way) -> String {
    let mut text = String::with_capacity(64);
    for (index, hop) in way.hops().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}for={}", Value(&hop.to_string()));
        if index == 0 {
            // What the client asked for is said by the first, who had the request from it.
            if let Some(host) = &way.host {
                let _ = write!(text, ";host={}", Value(host.as_str()));
            }
            let _ = write!(text, ";proto={}", way.scheme);
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

const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");
const PORT_80: HeaderValue = HeaderValue::from_static("80");
const PORT_443: HeaderValue = HeaderValue::from_static("443");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_alone_is_written_as_it_is_displayed(v4: [u8; 4], v6: [u8; 16]) {
            for address in [IpAddr::from(v4), IpAddr::from(v6)] {
                let value = alone(address).unwrap();

                prop_assert_eq!(value.to_str().unwrap(), address.to_string());
            }
        }
    }
}
