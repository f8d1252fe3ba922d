use std::error::Error;
use std::fmt;

use crate::Checksum;

/// How a body is signed while it streams by: in chunks, in the coding `aws-chunked` of S3.
///
/// S3 asks for the length of the whole body beforehand. A body that does not know it
/// ([`size_hint`](http_body::Body::size_hint)) is refused with `411`, unless it [may go
/// unsigned](Self::unsigned_without_length).
///
/// S3 takes the coding for objects and parts of them. Other bodies, lists of keys or parts, are better hashed: see
/// [`Payload::hash_or_streaming`](crate::Payload::hash_or_streaming).
///
/// # Configuration
///
/// The word `"streaming"` is [`Streaming::signed`]; a table says more. All its keys may be left out.
///
/// ```toml
/// payload = { streaming = { chunk = "64KiB", checksum = "crc64nvme", signed = true, without_length = "refuse" } }
/// ```
///
/// `without_length = "unsigned"` lets bodies of unknown length go unsigned; `signed = false` needs a checksum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "de::Table"))]
pub struct Streaming {
    pub(crate) signed: bool,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) chunk_bytes: usize,
    pub(crate) unsigned_without_length: bool,
}

impl Streaming {
    /// Signs each chunk: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`. A chunk is 64 KiB, and is held until it is signed.
    #[must_use]
    pub const fn signed() -> Self {
        Self {
            signed: true,
            checksum: None,
            chunk_bytes: DEFAULT_CHUNK,
            unsigned_without_length: false,
        }
    }

    /// Signs no chunk, and sends a checksum after the last: `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    ///
    /// It finds accidents, not attacks: as under [`Payload::Unsigned`](crate::Payload::Unsigned), it is refused over
    /// plain `http`, unless that is allowed.
    #[must_use]
    pub const fn unsigned(checksum: Checksum) -> Self {
        Self { signed: false, checksum: Some(checksum), ..Self::signed() }
    }

    /// Sends a checksum after the last chunk, signed as the chunks are: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`.
    ///
    /// There is none where the request has an `x-amz-checksum-*` header already: S3 takes one of them.
    #[must_use]
    pub const fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }

    /// Makes chunks of `bytes`, but for the last.
    ///
    /// # Errors
    ///
    /// Below 8 KiB, the least that S3 takes, and beyond 16 MiB: a chunk is held in memory until it is signed.
    pub fn chunk_bytes(mut self, bytes: u64) -> Result<Self, InvalidChunkSize> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| CHUNKS.contains(bytes));
        self.chunk_bytes = bytes.ok_or(InvalidChunkSize)?;
        Ok(self)
    }

    /// Lets a body of unknown length go unsigned, as under [`Payload::Unsigned`](crate::Payload::Unsigned).
    #[must_use]
    pub const fn unsigned_without_length(mut self) -> Self {
        self.unsigned_without_length = true;
        self
    }
}

/// A chunk was to be smaller than 8 KiB or larger than 16 MiB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidChunkSize;

impl fmt::Display for InvalidChunkSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chunk is 8 KiB to 16 MiB")
    }
}

impl Error for InvalidChunkSize {}

const DEFAULT_CHUNK: usize = 64 << 10;
const CHUNKS: std::ops::RangeInclusive<usize> = 8 << 10..=16 << 20;

#[cfg(feature = "serde")]
mod de {
    use serde::de::{Deserialize, Deserializer, Error};

    use super::Streaming;
    use crate::Checksum;
    use crate::payload::Size;

    /// What its table may say.
    #[derive(serde::Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Table {
        /// The size of a chunk, from 8 KiB to 16 MiB. 64 KiB.
        chunk: Option<Size>,
        /// What stands at the end of the body.
        checksum: Option<Checksum>,
        /// Whether each chunk is signed. `true`.
        signed: Option<bool>,
        /// What happens to a body of unknown length.
        #[serde(default)]
        without_length: WithoutLength,
    }

    #[derive(Default, serde::Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    enum WithoutLength {
        #[default]
        Refuse,
        Unsigned,
    }

    impl<'de> Deserialize<'de> for Streaming {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            let Table { chunk, checksum, signed, without_length } = Table::deserialize(input)?;
            let signed = signed.unwrap_or(true);
            if !signed && checksum.is_none() {
                return Err(D::Error::custom("`signed = false` needs a `checksum`"));
            }
            let unsigned_without_length = matches!(without_length, WithoutLength::Unsigned);
            let streaming = Self { signed, checksum, unsigned_without_length, ..Self::signed() };
            match chunk {
                Some(Size(bytes)) => streaming.chunk_bytes(bytes).map_err(D::Error::custom),
                None => Ok(streaming),
            }
        }
    }
}
