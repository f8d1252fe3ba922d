//! What is known of headers by their names.

use http::header::HeaderName;

/// Whether changing the header changes where a message ends or what one connection agreed on.
pub(crate) fn is_forbidden(name: &HeaderName) -> bool {
    FORBIDDEN.contains(&name.as_str())
}

/// Whether another part of a proxy relies on the header.
pub(crate) fn is_protected(name: &HeaderName) -> bool {
    PROTECTED.contains(&name.as_str())
}

/// Whether the header may stand only once.
pub(crate) fn is_singleton(name: &HeaderName) -> bool {
    SINGLETONS.contains(&name.as_str())
}

/// Whether the names are equal when `_` is taken for `-`, as CGI does (RFC 3875 §4.1.18).
pub(crate) fn look_alike(one: &HeaderName, other: &HeaderName) -> bool {
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| fold(*one) == fold(*other))
}

/// Whether `name` begins with `prefix`, by the same rule.
pub(crate) fn begins(prefix: &HeaderName, name: &HeaderName) -> bool {
    let (prefix, name) = (prefix.as_str().as_bytes(), name.as_str().as_bytes());
    let mut start = prefix.iter().zip(name);
    prefix.len() <= name.len() && start.all(|(one, other)| fold(*one) == fold(*other))
}

/// What tells most names from all that look like some others.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Looks {
    /// A bit for the length of each, modulo 64.
    lengths: u64,
    /// Whether one of them has a `_`.
    underscored: bool,
}

impl Looks {
    pub(crate) const fn none() -> Self {
        Self { lengths: 0, underscored: false }
    }

    /// Whether one of them may look like this, and be another.
    pub(crate) fn may_be(self, name: &HeaderName) -> bool {
        self.lengths & length(name) != 0 && (self.underscored || name.as_str().contains('_'))
    }
}

impl<'n> FromIterator<&'n HeaderName> for Looks {
    fn from_iter<N: IntoIterator<Item = &'n HeaderName>>(names: N) -> Self {
        names.into_iter().fold(Self::none(), |looks, name| Self {
            lengths: looks.lengths | length(name),
            underscored: looks.underscored || name.as_str().contains('_'),
        })
    }
}

fn length(name: &HeaderName) -> u64 {
    1 << (name.as_str().len() % 64)
}

const fn fold(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte }
}

/// RFC 9110 §7.6.1 and §11.7, RFC 9112 §6; `proxy-status` and its like travel end to end and are free.
const FORBIDDEN: [&str; 12] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const PROTECTED: [&str; 2] = ["authorization", "host"];

/// Those of the registered fields whose value is no list, `set-cookie` and its like aside.
const SINGLETONS: [&str; 36] = [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-max-age",
    "access-control-request-method",
    "age",
    "authorization",
    "content-disposition",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expires",
    "from",
    "host",
    "if-modified-since",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "origin",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "sec-websocket-accept",
    "sec-websocket-key",
    "sec-websocket-version",
    "server",
    "strict-transport-security",
    "traceparent",
    "upgrade-insecure-requests",
    "user-agent",
    "x-frame-options",
];
