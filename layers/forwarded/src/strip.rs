//! What nobody says but this crate.

use http::header::{FORWARDED, HeaderMap, HeaderName};

use crate::ForwardedPolicy;

/// Removes what says who the client is, whoever said so.
pub(crate) fn strip(policy: &ForwardedPolicy, headers: &mut HeaderMap) {
    let is_removed = |name: &HeaderName| {
        is_about_the_client(name)
            || policy.remove.iter().any(|it| is_same(it.as_str(), name.as_str()))
    };
    let mut named = Vec::new();
    for name in headers.keys() {
        if is_removed(name) {
            named.push(name.clone());
        }
    }
    for name in named {
        headers.remove(name);
    }
}

fn is_about_the_client(name: &HeaderName) -> bool {
    let text = name.as_str();
    // Most names begin otherwise, and are done with.
    match text.bytes().next() {
        Some(b'f') => *name == FORWARDED,
        Some(b'x') => {
            let start = text.get(..X_FORWARDED.len());
            is_same("x-real-ip", text) || start.is_some_and(|start| is_same(X_FORWARDED, start))
        }
        _ => false,
    }
}

/// Whether servers that pass headers on as variables take one for the other: `_` and `-` are the same to them.
fn is_same(name: &str, other: &str) -> bool {
    let dashed = |byte| if byte == b'_' { b'-' } else { byte };
    name.bytes().map(dashed).eq(other.bytes().map(dashed))
}

const X_FORWARDED: &str = "x-forwarded-";
