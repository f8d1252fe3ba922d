//! What is to be signed for a body.

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http_body::{Body, SizeHint};

use crate::chunk_encoder::Encoding;
use crate::claims::{X_AMZ_DECODED_CONTENT_LENGTH, X_AMZ_TRAILER, put};
use crate::collect::{EMPTY, Limits, UNSIGNED};
use crate::percent::hex;
use crate::{Larger, NotSigned, Payload, PayloadSha256, Signing, Streaming};

/// What is signed for a body.
pub(crate) enum Plan {
    /// This, as it is known beforehand.
    Known(Settled),
    /// Its hash, once it was read.
    Read(Limits),
}

/// What is signed for a body, and how it is sent.
pub(crate) struct Settled {
    pub(crate) payload: HeaderValue,
    /// None: as it is.
    pub(crate) encoding: Option<Encoding>,
}

impl Settled {
    pub(crate) const fn plain(payload: HeaderValue) -> Self {
        Self { payload, encoding: None }
    }

    /// Whether the service has to be told, as it cannot compute it from the body.
    pub(crate) fn is_no_hash(&self) -> bool {
        self.encoding.is_some() || self.payload == UNSIGNED
    }
}

/// Decides by the policy, and brings the headers into line with a body that is sent in chunks.
pub(crate) fn plan(
    signing: &Signing,
    parts: &mut Parts,
    body: &impl Body,
) -> Result<Plan, NotSigned> {
    let size = body.size_hint();
    if body.is_end_stream() || size.exact() == Some(0) {
        return Ok(Plan::Known(Settled::plain(EMPTY)));
    }
    if let Some(hash) = parts.extensions.get::<PayloadSha256>() {
        let hash = HeaderValue::from_bytes(&hex(hash.digest()));
        return Ok(Plan::Known(Settled::plain(hash.map_err(|_| NotSigned::BadHeader)?)));
    }
    let unsigned = unsigned(signing, parts);
    let settled = match signing.body_policy(unsigned.is_ok()) {
        Payload::Hash { max_bytes, larger } if size.lower() <= max_bytes => {
            let larger = match larger {
                Larger::Refuse => Err(NotSigned::TooLarge),
                Larger::Unsigned => unsigned.map_err(|_| NotSigned::TooLarge),
                Larger::Streaming(streaming) => without_length(streaming, unsigned),
            };
            return Ok(Plan::Read(Limits { max_bytes, larger: larger.map(drop) }));
        }
        Payload::Hash { larger: Larger::Refuse, .. } => Err(NotSigned::TooLarge),
        Payload::Hash { larger: Larger::Unsigned, .. } => unsigned.map_err(|_| NotSigned::TooLarge),
        Payload::Unsigned => unsigned,
        Payload::Hash { larger: Larger::Streaming(streaming), .. }
        | Payload::Streaming(streaming) => {
            if signing.signs_chunks() {
                stream(streaming, parts, size, unsigned)
            } else {
                unsigned
            }
        }
    };
    settled.map(Plan::Known)
}

/// No hash at all, where that may be.
pub(crate) fn unsigned(signing: &Signing, parts: &Parts) -> Result<Settled, NotSigned> {
    if signing.allows_unsigned_over_http() || parts.uri.scheme_str() == Some("https") {
        Ok(Settled::plain(UNSIGNED))
    } else {
        Err(NotSigned::UnsignedOverHttp)
    }
}

fn stream(
    mut streaming: Streaming,
    parts: &mut Parts,
    size: SizeHint,
    unsigned: Result<Settled, NotSigned>,
) -> Result<Settled, NotSigned> {
    let Some(length) = size.exact() else { return without_length(streaming, unsigned) };
    if parts.headers.keys().any(is_checksum) {
        streaming.checksum = None;
    }
    if !streaming.signed {
        let unsigned = unsigned?;
        if streaming.checksum.is_none() {
            return Ok(unsigned);
        }
    }
    let encoding = Encoding::new(streaming, length).ok_or(NotSigned::TooLarge)?;
    announce(&encoding, &mut parts.headers)?;
    let payload = HeaderValue::from_static(encoding.name());
    Ok(Settled { payload, encoding: Some(encoding) })
}

fn without_length(
    streaming: Streaming,
    unsigned: Result<Settled, NotSigned>,
) -> Result<Settled, NotSigned> {
    // That it may not go unsigned here is nothing the client can mend; that it has no length is.
    let unsigned = unsigned.ok().filter(|_| streaming.unsigned_without_length);
    unsigned.ok_or(NotSigned::LengthRequired)
}

fn announce(encoding: &Encoding, headers: &mut HeaderMap) -> Result<(), NotSigned> {
    headers.remove(TRANSFER_ENCODING);
    put(headers, CONTENT_LENGTH, encoding.encoded().into())?;
    put(headers, X_AMZ_DECODED_CONTENT_LENGTH, encoding.decoded().into())?;
    if let Some(checksum) = encoding.checksum() {
        put(headers, X_AMZ_TRAILER, HeaderValue::from_static(checksum.header()))?;
    }
    let mut codings = BytesMut::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        codings.extend_from_slice(value.as_bytes());
        codings.extend_from_slice(b", ");
    }
    codings.extend_from_slice(b"aws-chunked");
    // One line: servers are known to look at the first alone.
    let codings = HeaderValue::from_maybe_shared(codings.freeze());
    put(headers, CONTENT_ENCODING, codings.map_err(|_| NotSigned::BadHeader)?)
}

/// Whether a header says a checksum of the body.
fn is_checksum(name: &HeaderName) -> bool {
    let kind = name.as_str().strip_prefix("x-amz-checksum-");
    kind.is_some_and(|kind| !matches!(kind, "algorithm" | "mode" | "type"))
}
