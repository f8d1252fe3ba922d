//! The host that the client asked for.

use http::Request;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;

use super::{HostPolicy, OriginalHost};
use crate::client_host::Name;

/// Where the client's host stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named<'a> {
    /// In a URI, perhaps with userinfo.
    Authority(&'a Authority),
    /// In `Host`.
    Header(&'a HeaderValue),
}

impl<'a> Named<'a> {
    /// The host that the client named, by what is most reliable.
    pub(super) fn of<B>(request: &'a Request<B>, policy: &HostPolicy) -> Option<Self> {
        let header =
            || request.headers().get(HOST).filter(|value| Name::parse(value.as_bytes()).is_ok());
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
pub(crate) fn host_and_port(authority: &Authority) -> Option<&str> {
    let text = authority.as_str();
    let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
    (!authority.host().is_empty()).then_some(host)
}

/// Leaves in `name` the `value` alone; if there is none, or the map is full, then nothing: never what was there.
pub(crate) fn replace(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    let inserted = value.is_some_and(|value| headers.try_insert(name, value).is_ok());
    if !inserted {
        headers.remove(name);
    }
}
