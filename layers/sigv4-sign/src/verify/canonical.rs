//! The canonical request, made from a request as it came.

use std::borrow::Cow;

use http::Uri;
use http::request::Parts;
use sha2::{Digest, Sha256};

use super::presigned;
use crate::Unverified;
use crate::percent::{self, Keep, unreserved, unreserved_or_slash};
use crate::target::{self, PathRules};

/// The SHA-256 of the canonical request with this path and these signed headers; `length` is that of the body, where it
/// is known.
pub(super) fn digest(
    parts: &Parts,
    path: &str,
    names: &[&str],
    payload: &str,
    length: Option<u64>,
) -> Result<[u8; 32], Unverified> {
    let mut hash = Sha256::new();
    hash.update(parts.method.as_str());
    hash.update("\n");
    hash.update(path);
    hash.update("\n");
    query(parts.uri.query().unwrap_or_default(), &mut hash)?;
    hash.update("\n");
    for name in names {
        hash.update(name);
        hash.update(":");
        values(parts, name, length, &mut hash)?;
        hash.update("\n");
    }
    hash.update("\n");
    let mut separator = "";
    for name in names {
        hash.update(separator);
        hash.update(name);
        separator = ";";
    }
    hash.update("\n");
    hash.update(payload);
    Ok(hash.finalize().into())
}

/// The authority that a request names where it has no `Host`.
pub(super) fn host(uri: &Uri) -> Option<&str> {
    let authority = uri.authority()?.as_str();
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host))
}

/// The path as a service signs it.
pub(super) fn path(path: &str, rules: PathRules) -> Result<Cow<'_, str>, Unverified> {
    if !path.starts_with('/') || !percent::is_well_formed(path) {
        return Err(Unverified::BadTarget);
    }
    let path = target::without_dots(path, rules);
    Ok(if rules.encoded_twice {
        let mut out = String::with_capacity(path.len());
        percent::encode(path.bytes(), unreserved_or_slash, &mut out);
        out.into()
    } else {
        match path {
            Cow::Borrowed(path) => encoded(path, unreserved_or_slash),
            Cow::Owned(path) => encoded(&path, unreserved_or_slash).into_owned().into(),
        }
    })
}

/// Parameters by name, then by value, both as they are encoded, without the signature; one without `=` has an empty
/// value, and a `+` is a space.
fn query(query: &str, hash: &mut Sha256) -> Result<(), Unverified> {
    if !percent::is_well_formed(query) {
        return Err(Unverified::BadTarget);
    }
    let signed = query.split('&').filter(|it| !it.is_empty() && !presigned::is_signature(it));
    let mut parameters: Vec<_> = signed
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (encoded_parameter(name), encoded_parameter(value))
        })
        .collect();
    parameters.sort_unstable();
    let mut separator = "";
    for (name, value) in &parameters {
        for part in [separator, name, "=", value] {
            hash.update(part);
        }
        separator = "&";
    }
    Ok(())
}

fn encoded_parameter(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        encoded(&text.replace('+', "%20"), unreserved).into_owned().into()
    } else {
        encoded(text, unreserved)
    }
}

fn encoded(text: &str, keep: Keep) -> Cow<'_, str> {
    if percent::is_canonical(text, keep) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    percent::encode(percent::decoded(text), keep, &mut out);
    out.into()
}

/// The values of a signed header: what stands in the request, or what those on the way take away and stands for sure.
fn values(
    parts: &Parts,
    name: &str,
    length: Option<u64>,
    hash: &mut Sha256,
) -> Result<(), Unverified> {
    let mut values = parts.headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        match name {
            "host" => hash.update(host(&parts.uri).ok_or(Unverified::BadHost)?),
            "expect" => hash.update("100-continue"),
            "content-length" => {
                hash.update(length.ok_or(Unverified::WrongSignature)?.to_string());
            }
            _ => return Err(Unverified::WrongSignature),
        }
    }
    for (index, value) in values.enumerate() {
        if index > 0 {
            hash.update(",");
        }
        trimmed(value.as_bytes(), hash);
    }
    Ok(())
}

/// Trimmed, and with one space for each run of them.
fn trimmed(value: &[u8], hash: &mut Sha256) {
    let mut separator = "";
    let words = value.trim_ascii().split(|byte| *byte == b' ');
    for word in words.filter(|word| !word.is_empty()) {
        hash.update(separator);
        hash.update(word);
        separator = " ";
    }
}
