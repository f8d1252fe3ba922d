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
