//! What a client says of how it signed its body.

use std::borrow::Cow;

use http::request::Parts;

use super::claim::only;
use super::presigned;
use crate::Unverified;
use crate::claims::X_AMZ_CONTENT_SHA256;
use crate::percent;

/// How the body is signed, in the words that are signed themselves.
#[derive(Debug)]
pub(super) struct PayloadClaim<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) payload: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Payload {
    /// By its SHA-256.
    Hash([u8; 32]),
    Unsigned,
    /// Chunk by chunk.
    SignedChunks,
    /// Not, but it is chunked.
    UnsignedChunks,
}

impl<'a> PayloadClaim<'a> {
    /// What the request says, or what follows where it says nothing.
    pub(super) fn of(
        parts: &'a Parts,
        is_presigned: bool,
        is_s3: bool,
        is_empty: bool,
    ) -> Result<Self, Unverified> {
        let header = only(&parts.headers, &X_AMZ_CONTENT_SHA256, Unverified::BadContentHash)?;
        let query = parts.uri.query().filter(|_| is_presigned);
        let text = match (query.map(presigned::content_hash).transpose()?.flatten(), header) {
            (Some(text), None) => text,
            (None, Some(text)) => {
                std::str::from_utf8(text).map_err(|_| Unverified::BadContentHash)?.into()
            }
            (Some(_), Some(_)) => return Err(Unverified::BadContentHash),
            (None, None) if is_s3 && is_presigned => "UNSIGNED-PAYLOAD".into(),
            (None, None) if !is_s3 && is_empty => EMPTY.into(),
            (None, None) => return Err(Unverified::NoContentHash),
        };
        let payload = Payload::parse(&text).ok_or(Unverified::BadContentHash)?;
        Ok(Self { text, payload })
    }
}

impl Payload {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "UNSIGNED-PAYLOAD" => Self::Unsigned,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                Self::SignedChunks
            }
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Self::UnsignedChunks,
            _ => Self::Hash(percent::unhex(text.as_bytes())?),
        })
    }
}

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_hash_of_nothing_is_that() {
        assert_eq!(Payload::parse(EMPTY), Some(Payload::Hash(Sha256::digest("").into())));
    }

    #[test]
    fn a_hash_is_in_lower_case_and_whole() {
        for text in [
            "",
            "e3",
            &EMPTY.to_uppercase(),
            EMPTY.trim_start_matches('e'),
            "unsigned-payload",
            "STREAMING-",
        ] {
            assert_eq!(Payload::parse(text), None, "{text}");
        }
    }
}
