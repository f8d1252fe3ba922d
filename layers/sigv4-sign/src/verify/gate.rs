//! Decides about a request, and makes it fit for the inner service.

use std::borrow::Cow;
use std::fmt;
use std::iter;
use std::time::SystemTime;

use aws_sigv4::sign::v4::calculate_signature;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderMap};
use http::request::Parts;
use http_body::Body;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::claim::{ALGORITHM, Claim};
use super::day_keys::{DayKeys, Key, derive};
use super::payload_claim::{Payload, PayloadClaim};
use super::{SecretKey, SecretKeys, Verified, Verifying, canonical, presigned};
use crate::aws_chunked::{Announced, Decoder, Signed, is_announced};
use crate::chunk_signature::{Chain, Signature};
use crate::claims::{X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN};
use crate::percent::hex;
use crate::stamp::Stamp;
use crate::target;
use crate::{PlainBody, Unverified};

/// What the services of a layer share.
pub(super) struct Gate {
    verifying: Verifying,
    keys: Box<dyn SecretKeys>,
    day_keys: DayKeys,
}

/// What the signatures of chunks follow from.
struct Seal {
    key: Key,
    stamp: Stamp,
    signature: Signature,
}

impl Gate {
    pub(super) fn new(verifying: Verifying, keys: impl SecretKeys) -> Self {
        Self { verifying, keys: Box::new(keys), day_keys: DayKeys::default() }
    }

    /// Lets a request through that somebody with a key signed: without the signature, and with who it was.
    pub(super) fn admit<B: Body<Data = Bytes>>(
        &self,
        parts: &mut Parts,
        body: B,
        now: SystemTime,
    ) -> Result<PlainBody<B>, Unverified> {
        let (verified, payload, seal) = self.verify(parts, &body, now)?;
        let body = self.plain(&mut parts.headers, body, payload, &verified, &seal)?;
        for name in [AUTHORIZATION, X_AMZ_CONTENT_SHA256, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN] {
            parts.headers.remove(name);
        }
        let path = match target::without_dots(parts.uri.path(), self.verifying.path_rules()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => Some(path),
        };
        presigned::settle(&mut parts.uri, path)?;
        parts.extensions.insert(verified);
        Ok(body)
    }

    fn verify(
        &self,
        parts: &Parts,
        body: &impl Body,
        now: SystemTime,
    ) -> Result<(Verified, Payload, Seal), Unverified> {
        let claim = Claim::of(parts)?;
        self.check_scope(&claim)?;
        self.check_time(&claim, now)?;
        let names = claim.names()?;
        check_names(&parts.headers, &names)?;

        let is_empty = is_empty(body);
        let is_s3 = self.verifying.service().is_s3();
        let claimed = PayloadClaim::of(parts, claim.expires.is_some(), is_s3, is_empty)?;
        let is_unsigned = matches!(claimed.payload, Payload::Unsigned | Payload::UnsignedChunks);
        if is_unsigned && !is_empty && !self.verifying.accepts_unsigned_bodies() {
            return Err(Unverified::UnsignedBody);
        }
        let length = body.size_hint().exact();
        let digest = |path: &str| canonical::digest(parts, path, &names, &claimed.text, length);
        let path = canonical::path(parts.uri.path(), self.verifying.path_rules())?;
        let request = digest(&path)?;
        // Some clients sign their path as they send it, whatever they escape.
        let as_sent = is_s3 && *path != *parts.uri.path();
        let as_sent = as_sent.then(|| digest(parts.uri.path())).transpose()?;
        let (key, signature) = self.check_signature(&claim, &request, as_sent.as_ref())?;

        let verified = Verified::new(claim.credential.as_str(), claim.credential.id_length());
        Ok((verified, claimed.payload, Seal { key, stamp: claim.stamp, signature }))
    }

    fn check_scope(&self, claim: &Claim<'_>) -> Result<(), Unverified> {
        let mut scope = claim.credential.scope().split('/');
        let (date, region) = (scope.next(), scope.next().unwrap_or_default());
        let (service, end) = (scope.next(), scope.next());
        if end != Some("aws4_request") {
            return Err(claim.malformed());
        }
        let fits = date.is_some_and(|date| date.as_bytes() == claim.stamp.date())
            && self.verifying.accepts_region(region)
            && service == Some(self.verifying.service().as_str());
        match (fits, claim.expires) {
            (true, _) => Ok(()),
            (false, None) => Err(Unverified::WrongScope),
            (false, Some(_)) => Err(Unverified::WrongScopeInQuery),
        }
    }

    fn check_time(&self, claim: &Claim<'_>, now: SystemTime) -> Result<(), Unverified> {
        let skew = self.verifying.allowed_skew();
        let age = now.duration_since(claim.signed_at);
        match (claim.expires, age) {
            (Some(_), _) if !self.verifying.accepts_presigned() => Err(Unverified::Presigned),
            (None, Ok(age)) if age > skew => Err(Unverified::Skewed),
            (None, Err(ahead)) if ahead.duration() > skew => Err(Unverified::Skewed),
            (Some(expires), Ok(age)) if age > expires => Err(Unverified::Expired),
            (Some(_), Err(ahead)) if ahead.duration() > skew => Err(Unverified::NotYetValid),
            _ => Ok(()),
        }
    }

    /// The key of the day, if `claim` has the signature of the request with this digest, or with the other, by the secret
    /// of its key or by one that the key had before.
    fn check_signature(
        &self,
        claim: &Claim<'_>,
        request: &[u8; 32],
        other: Option<&[u8; 32]>,
    ) -> Result<(Key, Signature), Unverified> {
        let id = claim.credential.id();
        let found = self.check_secret(claim, self.keys.secret_key(id), request, other);
        found.or_else(|reason| {
            let former = self.keys.former_secret_keys(id).into_iter();
            let mut checked =
                former.map(|secret| self.check_secret(claim, Some(secret), request, other));
            checked.find_map(Result::ok).ok_or(reason)
        })
    }

    fn check_secret(
        &self,
        claim: &Claim<'_>,
        secret: Option<SecretKey>,
        request: &[u8; 32],
        other: Option<&[u8; 32]>,
    ) -> Result<(Key, Signature), Unverified> {
        let (id, scope) = (claim.credential.id(), claim.credential.scope());
        let region = scope.split('/').nth(1).unwrap_or_default();
        let date_and_region = scope.get(..claim.stamp.date().len() + 1 + region.len());
        let date_and_region = date_and_region.unwrap_or_default();

        let known = secret.as_ref().map(|it| self.day_keys.get(id, it, date_and_region));
        let key = match (&secret, known.flatten()) {
            (Some(secret), None) => {
                derive(secret, claim.signed_at, region, self.verifying.service().as_str())
            }
            // An unknown id costs what a known one does whose key is at hand.
            (_, key) => key.unwrap_or_default(),
        };
        let mut signature = None;
        for request in iter::once(request).chain(other) {
            let expected = calculate_signature(key, &text_to_sign(claim, request));
            if expected.as_bytes().ct_eq(claim.signature.as_bytes()).into() {
                signature = expected.as_bytes().try_into().ok();
            }
        }
        let secret = secret.ok_or(Unverified::UnknownKey)?;
        let signature = signature.ok_or(Unverified::WrongSignature)?;
        check_token(&secret, claim.session_token.as_deref())?;
        if known.flatten().is_none() {
            self.day_keys.put(id, &secret, date_and_region, key);
        }
        Ok((key, signature))
    }

    fn plain<B: Body<Data = Bytes>>(
        &self,
        headers: &mut HeaderMap,
        body: B,
        payload: Payload,
        verified: &Verified,
        seal: &Seal,
    ) -> Result<PlainBody<B>, Unverified> {
        let signed = match payload {
            Payload::Hash(_) | Payload::Unsigned if is_announced(headers) => {
                return Err(Unverified::BadChunkedHeaders);
            }
            Payload::Hash(hash) if is_empty(&body) => {
                let is_right = hash == <[u8; 32]>::from(Sha256::digest(""));
                let body = is_right.then_some(PlainBody::passing(body));
                return body.ok_or(Unverified::WrongContentHash);
            }
            Payload::Hash(hash) => return Ok(PlainBody::hashed(body, hash)),
            Payload::Unsigned => return Ok(PlainBody::passing(body)),
            Payload::UnsignedChunks => None,
            Payload::SignedChunks => {
                let (stamp, scope) = (seal.stamp.as_bytes(), verified.scope().as_bytes());
                let chain = Chain::new(seal.key, stamp, scope, seal.signature);
                Some(Signed::new(chain, self.verifying.largest_chunk()))
            }
        };
        let announced = Announced::read(headers)?;
        announced.settle(headers)?;
        Ok(PlainBody::decoded(body, Decoder::new(announced, signed)))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("verifying", &self.verifying).finish_non_exhaustive()
    }
}

fn text_to_sign(claim: &Claim<'_>, request: &[u8; 32]) -> Vec<u8> {
    let (stamp, scope) = (claim.stamp.as_bytes(), claim.credential.scope().as_bytes());
    let lines: [&[u8]; 7] =
        [ALGORITHM.as_bytes(), b"\n", stamp, b"\n", scope, b"\n", &hex(request)];
    lines.concat()
}

/// The host has to be signed, and each `x-amz-*` that came.
fn check_names(headers: &HeaderMap, names: &[&str]) -> Result<(), Unverified> {
    if headers.get_all(HOST).iter().nth(1).is_some() {
        return Err(Unverified::BadHost);
    }
    let is_signed = |name: &str| names.binary_search(&name).is_ok();
    let mut of_aws = headers.keys().filter(|name| name.as_str().starts_with("x-amz-"));
    if is_signed("host") && of_aws.all(|name| is_signed(name.as_str())) {
        Ok(())
    } else {
        Err(Unverified::UnsignedHeader)
    }
}

fn check_token(secret: &SecretKey, claimed: Option<&[u8]>) -> Result<(), Unverified> {
    let is_right = match (secret.session_token(), claimed) {
        (None, None) => true,
        (Some(token), Some(claimed)) => token.as_bytes().ct_eq(claimed).into(),
        _ => false,
    };
    if is_right { Ok(()) } else { Err(Unverified::WrongToken) }
}

fn is_empty(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}
