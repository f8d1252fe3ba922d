//! The canonical request of Signature Version 4.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::NotSigned;
use crate::percent::{escape, unreserved_or_slash};
use crate::target::PathRules;

/// The SHA-256 of the canonical request; `parts` has a settled target, `names` are sorted.
pub(crate) fn digest(
    parts: &Parts,
    rules: PathRules,
    names: &[&HeaderName],
    payload: &[u8],
) -> Result<[u8; 32], NotSigned> {
    let mut hash = Sha256::new();
    hash.update(parts.method.as_str());
    hash.update("\n");
    path(parts.uri.path(), rules, &mut hash);
    hash.update("\n");
    query(parts.uri.query().unwrap_or_default(), &mut hash);
    hash.update("\n");
    for &name in names {
        hash.update(name.as_str());
        let mut separator = ":";
        for value in parts.headers.get_all(name) {
            hash.update(separator);
            header(value, &mut hash)?;
            separator = ",";
        }
        hash.update("\n");
    }
    hash.update("\n");
    let mut separator = "";
    for name in names {
        hash.update(separator);
        hash.update(name.as_str());
        separator = ";";
    }
    hash.update("\n");
    hash.update(payload);
    Ok(hash.finalize().into())
}

fn path(path: &str, rules: PathRules, hash: &mut Sha256) {
    if !rules.encoded_twice {
        hash.update(path);
        return;
    }
    for run in path.as_bytes().split_inclusive(|byte| !unreserved_or_slash(*byte)) {
        match run {
            [kept @ .., last] if !unreserved_or_slash(*last) => {
                hash.update(kept);
                hash.update(escape(*last));
            }
            kept => hash.update(kept),
        }
    }
}

/// Parameters by name, then by value, both as they are encoded; one without `=` has an empty value.
fn query(query: &str, hash: &mut Sha256) {
    if query.is_empty() {
        return;
    }
    let mut parameters: Vec<(&str, &str)> = query
        .split('&')
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .collect();
    parameters.sort_unstable();
    let mut separator = "";
    for (name, value) in parameters {
        hash.update(separator);
        hash.update(name);
        hash.update("=");
        hash.update(value);
        separator = "&";
    }
}

/// Trimmed, and with one space for each run of them.
fn header(value: &HeaderValue, hash: &mut Sha256) -> Result<(), NotSigned> {
    let value = value.to_str().map_err(|_| NotSigned::BadHeader)?;
    let mut separator = "";
    for word in value.trim_matches([' ', '\t']).split(' ').filter(|word| !word.is_empty()) {
        hash.update(separator);
        hash.update(word);
        separator = " ";
    }
    Ok(())
}
