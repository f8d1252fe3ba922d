use std::error::Error;
use std::fmt;

use http::header::HeaderName;

/// Headers that are signed beside those that always are.
///
/// Always signed are `host`, `content-type`, `content-md5` and `x-amz-*`, each when it is there. A header outside of
/// these may still change between this layer and the service, and then nothing signed by it is accepted; so the list
/// is short, and names that intermediaries write themselves are no part of it.
///
/// With the `serde` feature it is read from a list of names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "Vec<String>"))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
pub struct SignedHeaders(Vec<HeaderName>);

impl SignedHeaders {
    /// The headers `names`, signed where a request has them.
    ///
    /// # Errors
    ///
    /// When one of them is rewritten on the way by its nature: those of a connection (`te`, `upgrade`, ..) and of its
    /// framing (`content-length`, ..), `authorization`, `cookie`, `user-agent`, `accept-encoding`, `expect`, and those
    /// of proxies and tracing (`forwarded`, `x-forwarded-*`, `via`, `traceparent`, ..).
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> Result<Self, UnsignableHeader> {
        let names: Vec<_> = names.into_iter().collect();
        match names.iter().find(|name| is_rewritten(name.as_str())) {
            Some(name) => Err(UnsignableHeader(name.as_str().into())),
            None => Ok(Self(names)),
        }
    }

    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

impl TryFrom<Vec<String>> for SignedHeaders {
    type Error = UnsignableHeader;

    fn try_from(names: Vec<String>) -> Result<Self, UnsignableHeader> {
        let names: Result<Vec<_>, _> = names
            .into_iter()
            .map(|name| name.parse().map_err(|_| UnsignableHeader(name.into())))
            .collect();
        Self::new(names?)
    }
}

/// A header that cannot be signed: its name is none, or it is rewritten on the way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnsignableHeader(Box<str>);

impl fmt::Display for UnsignableHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a header that can be signed", self.0)
    }
}

impl Error for UnsignableHeader {}

fn is_rewritten(name: &str) -> bool {
    const NAMES: [&str; 20] = [
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-amzn-trace-id",
    ];
    NAMES.contains(&name) || name.starts_with("x-forwarded-")
}
