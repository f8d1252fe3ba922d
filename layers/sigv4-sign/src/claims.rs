//! What a client says about signatures and rights: taken away or refused, never signed.

use http::header::{CONTENT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use crate::{AllowedHeaders, NotSigned};

/// Takes away the client's own signature, and refuses what may not be asked in the name of the credentials.
pub(crate) fn drop_claims(
    headers: &mut HeaderMap,
    allowed: &AllowedHeaders,
) -> Result<(), NotSigned> {
    if is_aws_chunked(headers) {
        return Err(NotSigned::AwsChunked);
    }
    let forbidden = |name: &str| is_forbidden(name) && !allowed.contains(name);
    if headers.keys().any(|name| forbidden(name.as_str())) {
        return Err(NotSigned::ForbiddenHeader);
    }
    // `authorization` and `x-amz-date` are overwritten or removed in any case.
    for name in
        [X_AMZ_CONTENT_SHA256, X_AMZ_REGION_SET, X_AMZ_S3SESSION_TOKEN, X_AMZ_SECURITY_TOKEN]
    {
        headers.remove(name);
    }
    Ok(())
}

/// Makes sure that `Host` says where the request goes: as it stands, or else from the URI.
pub(crate) fn settle_host(parts: &mut Parts) -> Result<(), NotSigned> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Err(NotSigned::BadHeader),
        (Some(host), None) if !host.is_empty() => return Ok(()),
        _ => {}
    }
    let authority = parts.uri.authority().ok_or(NotSigned::NoHost)?.as_str();
    // Userinfo may be a password and is never part of `Host`; the port stays as HTTP/2 sends it in `:authority`.
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = HeaderValue::from_str(host).map_err(|_| NotSigned::NoHost)?;
    put(&mut parts.headers, HOST, host)
}

/// Sets a header; a map that is full is the client's doing and refused.
pub(crate) fn put(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
) -> Result<(), NotSigned> {
    headers.try_insert(name, value).map(drop).map_err(|_| NotSigned::BadHeader)
}

fn is_aws_chunked(headers: &HeaderMap) -> bool {
    let streams = |value: &HeaderValue| value.as_bytes().starts_with(b"STREAMING-");
    headers.contains_key(X_AMZ_DECODED_CONTENT_LENGTH)
        || headers.contains_key(X_AMZ_TRAILER)
        || headers.get_all(X_AMZ_CONTENT_SHA256).iter().any(streams)
        || headers.get_all(CONTENT_ENCODING).iter().any(has_aws_chunked)
}

fn has_aws_chunked(codings: &HeaderValue) -> bool {
    let mut codings = codings.as_bytes().split(|byte| *byte == b',');
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"aws-chunked"))
}

/// Whether a header makes the service act with the rights of the credentials beyond the object that is named: copy
/// from elsewhere, hand out rights, lock, pay, choose keys.
fn is_forbidden(name: &str) -> bool {
    const BEGINNINGS: [&str; 14] = [
        "acl",
        "bucket-object-lock-",
        "bypass-governance-retention",
        "copy-source",
        "grant-",
        "mfa",
        "object-lock-",
        "object-ownership",
        "rename-source",
        "request-payer",
        "server-side-encryption-aws-kms-key-id",
        "server-side-encryption-context",
        "tagging",
        "website-redirect-location",
    ];
    name.strip_prefix("x-amz-")
        .is_some_and(|name| BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)))
}

pub(crate) const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
pub(crate) const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(crate) const X_AMZ_REGION_SET: HeaderName = HeaderName::from_static("x-amz-region-set");
pub(crate) const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
pub(crate) const X_AMZ_DECODED_CONTENT_LENGTH: HeaderName =
    HeaderName::from_static("x-amz-decoded-content-length");
pub(crate) const X_AMZ_S3SESSION_TOKEN: HeaderName =
    HeaderName::from_static("x-amz-s3session-token");
pub(crate) const X_AMZ_TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
