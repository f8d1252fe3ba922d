//! The parameters of a presigned URL.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

use crate::Unverified;
use crate::percent;

/// What a presigned URL says of its signature, as text.
#[derive(Debug)]
pub(super) struct Presigned<'a> {
    pub(super) algorithm: Cow<'a, str>,
    pub(super) credential: Cow<'a, str>,
    pub(super) date: Cow<'a, str>,
    pub(super) expires: Cow<'a, str>,
    pub(super) signed_headers: Cow<'a, str>,
    pub(super) signature: Cow<'a, str>,
    pub(super) token: Option<Cow<'a, str>>,
}

impl<'a> Presigned<'a> {
    pub(super) fn parse(query: &'a str) -> Result<Self, Unverified> {
        let required = |name| parameter(query, name)?.ok_or(Unverified::MalformedQuery);
        Ok(Self {
            algorithm: required("X-Amz-Algorithm")?,
            credential: required("X-Amz-Credential")?,
            date: required("X-Amz-Date")?,
            expires: required("X-Amz-Expires")?,
            signed_headers: required("X-Amz-SignedHeaders")?,
            signature: required(SIGNATURE)?,
            token: parameter(query, "X-Amz-Security-Token")?,
        })
    }
}

/// Whether a query holds a signature, or pretends to.
pub(super) fn is_presigned(query: &str) -> bool {
    query.split('&').any(|parameter| {
        let name = name(parameter);
        ["X-Amz-Algorithm", "X-Amz-Credential", SIGNATURE].iter().any(|part| is(name, part))
    })
}

/// The hash of the body that a presigned URL names, if it does.
pub(super) fn content_hash(query: &str) -> Result<Option<Cow<'_, str>>, Unverified> {
    parameter(query, CONTENT_HASH)
}

/// Whether a parameter is the signature itself, which does not sign itself.
pub(super) fn is_signature(parameter: &str) -> bool {
    is(name(parameter), SIGNATURE)
}

/// Gives a target this path, and takes the parameters of a signature out of it.
pub(super) fn settle(uri: &mut Uri, path: Option<String>) -> Result<(), Unverified> {
    let query = uri.query().unwrap_or_default();
    if path.is_none() && !query.split('&').any(is_of_signature) {
        return Ok(());
    }
    let mut target = path.unwrap_or_else(|| uri.path().to_owned());
    let mut separator = '?';
    for parameter in query.split('&').filter(|parameter| !is_of_signature(parameter)) {
        target.push(separator);
        target.push_str(parameter);
        separator = '&';
    }
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| Unverified::BadTarget)?);
    *uri = Uri::from_parts(parts).map_err(|_| Unverified::BadTarget)?;
    Ok(())
}

/// The decoded value of a parameter that may be there once.
fn parameter<'a>(query: &'a str, wanted: &str) -> Result<Option<Cow<'a, str>>, Unverified> {
    let mut found = query.split('&').filter(|parameter| is(name(parameter), wanted));
    let (Some(parameter), None) = (found.next(), found.next()) else {
        let is_there = query.split('&').any(|parameter| is(name(parameter), wanted));
        return if is_there { Err(Unverified::MalformedQuery) } else { Ok(None) };
    };
    let value = parameter.split_once('=').map_or("", |(_, value)| value);
    if !value.contains('%') {
        return Ok(Some(value.into()));
    }
    let value = String::from_utf8(percent::decoded(value).collect());
    value.map(|value| Some(value.into())).map_err(|_| Unverified::MalformedQuery)
}

fn is_of_signature(parameter: &str) -> bool {
    PARAMETERS.iter().any(|part| is(name(parameter), part))
}

fn name(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

/// In upper case and in lower case it is the same, so that none of them is overlooked.
fn is(name: &str, wanted: &str) -> bool {
    percent::decoded(name)
        .map(|byte| byte.to_ascii_lowercase())
        .eq(wanted.bytes().map(|byte| byte.to_ascii_lowercase()))
}

const SIGNATURE: &str = "X-Amz-Signature";
const CONTENT_HASH: &str = "X-Amz-Content-Sha256";
const PARAMETERS: [&str; 8] = [
    "X-Amz-Algorithm",
    CONTENT_HASH,
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    SIGNATURE,
    "X-Amz-SignedHeaders",
];
