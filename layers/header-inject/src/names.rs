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
    /// A bit for the length and the last character of each.
    marks: u64,
    /// Whether one of them has a `_`.
    underscored: bool,
}

impl Looks {
    pub(crate) const fn none() -> Self {
        Self { marks: 0, underscored: false }
    }

    /// Whether one of them may look like this, and be another.
    pub(crate) fn may_be(self, name: &HeaderName) -> bool {
        let name = name.as_str();
        self.marks & mark(name) != 0 && (self.underscored || has_underscore(name))
    }
}

impl<'n> FromIterator<&'n HeaderName> for Looks {
    fn from_iter<N: IntoIterator<Item = &'n HeaderName>>(names: N) -> Self {
        names.into_iter().map(HeaderName::as_str).fold(Self::none(), |looks, name| Self {
            marks: looks.marks | mark(name),
            underscored: looks.underscored || has_underscore(name),
        })
    }
}

/// One bit of 64, which names that look alike share, and few others do.
fn mark(name: &str) -> u64 {
    let last = name.bytes().next_back().map_or(0, fold);
    1 << ((name.len() ^ usize::from(last) << 3) % 64)
}

fn has_underscore(name: &str) -> bool {
    name.bytes().any(|byte| byte == b'_')
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_looks_like_a_name_is_looked_at(
            name in "[a-z_-]{1,70}", flips: u128, others in "[a-z-]{1,20}",
        ) {
            let flipped = |(index, byte): (usize, char)| match byte {
                '_' | '-' if flips >> index & 1 == 1 => if byte == '_' { '-' } else { '_' },
                _ => byte,
            };
            let twin: String = name.chars().enumerate().map(flipped).collect();
            let [name, twin, others] = [name, twin, others].map(|it| HeaderName::try_from(it).unwrap());

            prop_assert!(look_alike(&name, &twin));
            let looks: Looks = [&others, &name].into_iter().collect();
            prop_assert!(name == twin || looks.may_be(&twin));
        }
    }
}
