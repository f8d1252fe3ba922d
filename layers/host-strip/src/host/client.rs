//! The host that the client asked for.

use http::Request;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;

use super::{HostPolicy, OriginalHost};

/// Where the client's host stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClientHost<'a> {
    /// In a URI, perhaps with userinfo.
    Authority(&'a Authority),
    /// In `Host`.
    Header(&'a HeaderValue),
}

impl<'a> ClientHost<'a> {
    /// The host that the client named, by what is most reliable.
    pub(super) fn of<B>(request: &'a Request<B>, policy: &HostPolicy) -> Option<Self> {
        let header = || request.headers().get(HOST).filter(|value| is_host(value.as_bytes()));
        Self::outranking(request, policy).or_else(|| header().map(Self::Header))
    }

    /// The host that the client named other than in `Host`, which counts for less (RFC 9112 §3.2.2).
    pub(super) fn outranking<B>(request: &'a Request<B>, policy: &HostPolicy) -> Option<Self> {
        if let Some(original) = request.extensions().get::<OriginalHost>() {
            return Some(Self::Authority(original.authority()));
        }
        // Where `Host` is made from the URI, the URI is no longer the client's.
        let is_clients = !matches!(policy, HostPolicy::FromUri);
        let authority = request.uri().authority().filter(|_| is_clients)?;
        host_and_port(authority).map(|_| Self::Authority(authority))
    }

    pub(super) fn to_value(self) -> Option<HeaderValue> {
        match self {
            Self::Authority(authority) => HeaderValue::from_str(host_and_port(authority)?).ok(),
            Self::Header(value) => Some(value.clone()),
        }
    }

    pub(super) fn to_authority(self) -> Option<Authority> {
        match self {
            Self::Authority(authority) => {
                let host = host_and_port(authority)?;
                let bare = host.len() == authority.as_str().len();
                if bare { Some(authority.clone()) } else { host.parse().ok() }
            }
            Self::Header(value) => Authority::try_from(value.as_bytes()).ok(),
        }
    }
}

/// `host[:port]` without the userinfo, which may be a password; none if the host is empty (RFC 9110 §4.2.1).
pub(super) fn host_and_port(authority: &Authority) -> Option<&str> {
    let text = authority.as_str();
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    (!authority.host().is_empty()).then_some(host)
}

/// Leaves in `name` the `value` alone; if there is none, or the map is full, then nothing: never what was there.
pub(super) fn replace(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    let inserted = value.is_some_and(|value| headers.try_insert(name, value).is_ok());
    if !inserted {
        headers.remove(name);
    }
}

/// Whether this is a host with or without a port, and no userinfo, list, blank or the like.
fn is_host(value: &[u8]) -> bool {
    let end = match value.first() {
        Some(b'[') => value.iter().position(|&byte| byte == b']').map(|last| last + 1),
        _ => value.iter().position(|&byte| byte == b':').or(Some(value.len())),
    };
    let Some((host, port)) = end.and_then(|end| value.split_at_checked(end)) else { return false };

    let is_literal_byte = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let is_valid = match host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")) {
        Some(literal) => !literal.is_empty() && literal.iter().all(is_literal_byte),
        None => !host.is_empty() && host.iter().all(is_name_byte),
    };
    let is_port = match port.strip_prefix(b":") {
        Some(digits) => digits.iter().all(u8::is_ascii_digit),
        None => port.is_empty(),
    };
    is_valid && is_port
}
