use http::header::{HOST, HeaderValue};
use http::uri::Scheme;
use http::{Request, Uri, Version};

use super::{AmbiguousHost, Name};
use crate::host::{host_and_port, replace};

/// How it is seen to that a request names one host, in all the places where it may name one.
///
/// A server that reads `Host` and one behind it that reads the target must not end up with two answers (RFC 9112 §3.2, RFC
/// 9113 §8.3.1). So there is one line of `Host`, or none in versions other than HTTP/1.1; it is a name or an address, with a
/// port or without, and no userinfo, list or blank; so is the authority of the target; and the two are the same. Letter
/// case, the dot at the end, and the port that the scheme has anyway make no difference.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. This is the default:
///
/// ```toml
/// on_ambiguity = "reject" # or "prefer_authority", "ignore"
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until it is applied"]
pub struct ClientHost {
    /// What happens to a request that names no host, or more than one.
    on_ambiguity: OnAmbiguity,
}

/// What happens to a request that names no host, or more than one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum OnAmbiguity {
    /// It is refused with 400.
    #[default]
    Reject,
    /// The authority of the target is the host: all of `Host` is replaced by it, and userinfo is taken off. A request whose
    /// target has no authority, or one that is no name, is refused.
    PreferAuthority,
    /// It goes on as it is, and is counted.
    Ignore,
}

impl ClientHost {
    /// Says what happens to a request that names no host, or more than one: by default it is refused.
    pub const fn on_ambiguity(mut self, reaction: OnAmbiguity) -> Self {
        self.on_ambiguity = reaction;
        self
    }

    /// Judges `request`, and says what was wrong with it, if it may go on all the same.
    ///
    /// # Errors
    ///
    /// What is wrong with it, if it may not go on. It is then unchanged.
    pub fn apply<B>(
        &self,
        request: &mut Request<B>,
    ) -> Result<Option<AmbiguousHost>, AmbiguousHost> {
        let Err(ambiguous) = judge(request) else { return Ok(None) };
        match self.on_ambiguity {
            OnAmbiguity::Reject => Err(ambiguous),
            OnAmbiguity::Ignore => Ok(Some(ambiguous)),
            OnAmbiguity::PreferAuthority => prefer(request).map(|()| ambiguous).map(Some),
        }
    }
}

/// What is wrong with the host of `request`.
fn judge<B>(request: &Request<B>) -> Result<(), AmbiguousHost> {
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let target = authority.map(Name::parse).transpose()?;
    let mut lines = request.headers().get_all(HOST).iter();
    match (lines.next(), lines.next()) {
        (Some(_), Some(_)) => Err(AmbiguousHost::Repeated),
        (Some(line), None) => {
            let host = Name::parse(line.as_bytes())?;
            let default = default_port(request.uri());
            let agrees = target.is_none_or(|target| target.is(&host, default));
            if agrees { Ok(()) } else { Err(AmbiguousHost::Differs) }
        }
        // RFC 9112 §3.2: in HTTP/1.1 even beside an authority; HTTP/1.0 did not know of it.
        (None, _) => match request.version() {
            Version::HTTP_11 => Err(AmbiguousHost::Missing),
            Version::HTTP_09 | Version::HTTP_10 => Ok(()),
            _ => target.map(|_| ()).ok_or(AmbiguousHost::Missing),
        },
    }
}

/// Makes the authority of the target the host; if it is none, says why.
fn prefer<B>(request: &mut Request<B>) -> Result<(), AmbiguousHost> {
    let Some(authority) = request.uri().authority() else {
        return judge(request);
    };
    let host = host_and_port(authority).ok_or(AmbiguousHost::Empty)?;
    Name::parse(host.as_bytes())?;
    let value = HeaderValue::from_str(host).map_err(|_| AmbiguousHost::Malformed)?;
    if host.len() < authority.as_str().len() {
        let bare = host.parse().map_err(|_| AmbiguousHost::Malformed)?;
        let mut parts = request.uri().clone().into_parts();
        parts.authority = Some(bare);
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| AmbiguousHost::Malformed)?;
    }
    replace(request.headers_mut(), &HOST, Some(value));
    Ok(())
}

/// The port that is meant where there is none (RFC 9110 §4.2).
fn default_port(uri: &Uri) -> Option<u16> {
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        _ => None,
    }
}
