use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Method, Request};

use super::NoAuthority;
use super::client::{Named, host_and_port, replace};

/// Which `Host` the upstream sees.
///
/// A plain `CONNECT`, whose target and `Host` are one, is left alone.
///
/// With the `serde` feature it is read from text, `"strip"`, `"preserve"` or `"from_uri"`, or from a table; a host that
/// is none, or has userinfo, is an error:
///
/// ```toml
/// host = { set = "api.internal:8080" }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HostPolicy {
    /// None. An HTTP/1.1 client below has to add its own, as hyper-util's does by default.
    #[default]
    Strip,
    /// The one that the client asked for: [`OriginalHost`](crate::OriginalHost), else the authority of the URI, else
    /// `Host` as it is. Stands where the URI still is the client's, or below a layer that remembers. To an upstream that
    /// speaks HTTP/2 this host goes in `:authority`, which is made from the URI.
    Preserve,
    /// This one.
    Set(
        #[cfg_attr(feature = "serde", serde(deserialize_with = "host"))]
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        HeaderValue,
    ),
    /// The authority of the URI without userinfo, its port kept as it is written, default or not (RFC 9112 §3.2).
    ///
    /// Stands where the URI names the upstream. The version of the request plays no part, since it is the client's and
    /// not the upstream's: HTTP/1.1 needs this `Host`, and in HTTP/2 it repeats `:authority`, which is allowed; what a
    /// client had sent there could differ from it, which is not (RFC 9113 §8.3.1).
    FromUri,
}

impl HostPolicy {
    /// Gives `request` the `Host` that the upstream is to see: one line, or none.
    ///
    /// [`Preserve`](Self::Preserve) alone may leave several lines, when the client sent several.
    ///
    /// # Errors
    ///
    /// [`NoAuthority`], under [`FromUri`](Self::FromUri) alone. The request is then unchanged.
    pub fn apply<B>(&self, request: &mut Request<B>) -> Result<(), NoAuthority> {
        // An extended CONNECT (RFC 8441) has a scheme, and is a request like any other.
        if request.method() == Method::CONNECT && request.uri().scheme().is_none() {
            return Ok(());
        }

        let host = match self {
            Self::Strip => None,
            Self::Set(host) => Some(host.clone()),
            Self::FromUri => {
                let host = request.uri().authority().and_then(host_and_port).ok_or(NoAuthority)?;
                if is_only(request.headers(), host) {
                    return Ok(());
                }
                Some(HeaderValue::from_str(host).map_err(|_| NoAuthority)?)
            }
            Self::Preserve => match Named::outranking(request, self) {
                Some(host) => host.to_value(),
                None => return Ok(()),
            },
        };
        replace(request.headers_mut(), &HOST, host);
        Ok(())
    }
}

/// Whether `host` is the one line of `Host` already, which saves the copy.
fn is_only(headers: &HeaderMap, host: &str) -> bool {
    let mut lines = headers.get_all(HOST).iter();
    lines.next().is_some_and(|line| line == host) && lines.next().is_none()
}

#[cfg(feature = "serde")]
fn host<'de, D: serde::Deserializer<'de>>(input: D) -> Result<HeaderValue, D::Error> {
    let text: String = serde::Deserialize::deserialize(input)?;
    let authority: http::uri::Authority = text.parse().map_err(serde::de::Error::custom)?;
    match host_and_port(&authority) {
        Some(host) if host == text => HeaderValue::from_str(host).map_err(serde::de::Error::custom),
        _ => Err(serde::de::Error::custom("not a host with or without a port")),
    }
}
