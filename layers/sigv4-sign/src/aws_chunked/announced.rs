use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};

use crate::Unverified;
use crate::checksum::Checksum;

/// What the headers of a request say of its `aws-chunked` body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    pub(super) length: u64,
    pub(super) checksum: Option<Checksum>,
    pub(super) has_signed_trailer: bool,
}

/// Whether the body is `aws-chunked`: by its coding, or by the way it is signed, which most clients leave at.
pub(crate) fn is_announced(headers: &HeaderMap) -> bool {
    let streams = |value: &HeaderValue| value.as_bytes().starts_with(STREAMING);
    headers.get_all(X_AMZ_CONTENT_SHA256).iter().any(streams)
        || headers.get_all(CONTENT_ENCODING).iter().flat_map(codings).any(is_aws_chunked)
}

impl Announced {
    /// Reads what is announced.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Unverified> {
        let mut lengths = headers.get_all(X_AMZ_DECODED_CONTENT_LENGTH).iter();
        let length = lengths.next().ok_or(Unverified::NoDecodedLength)?.as_bytes();
        let is_number = length.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(length).ok().filter(|_| is_number);
        let length = length.and_then(|length| length.parse().ok());
        let length = length.filter(|_| lengths.next().is_none());

        let signing = headers.get(X_AMZ_CONTENT_SHA256).map_or(&b""[..], HeaderValue::as_bytes);
        let has_signed_trailer = signing.ends_with(b"-TRAILER") && signing != UNSIGNED_TRAILER;
        Ok(Self {
            length: length.ok_or(Unverified::BadChunkedHeaders)?,
            checksum: checksum(headers)?,
            has_signed_trailer,
        })
    }

    /// Makes `headers` those of the decoded body.
    pub(crate) fn settle(self, headers: &mut HeaderMap) -> Result<(), Unverified> {
        // Where the checksum that it names has been in the trailer, S3 would look for it in vain.
        let of_the_coding = [
            X_AMZ_CONTENT_SHA256,
            X_AMZ_DECODED_CONTENT_LENGTH,
            X_AMZ_SDK_CHECKSUM_ALGORITHM,
            X_AMZ_TRAILER,
            TRANSFER_ENCODING,
        ];
        for name in of_the_coding {
            headers.remove(name);
        }
        take_coding(headers)?;
        headers
            .try_insert(CONTENT_LENGTH, self.length.into())
            .map(drop)
            .map_err(|_| Unverified::BadChunkedHeaders)
    }
}

/// The checksum in the trailer: one at most, and one that can be checked.
fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Unverified> {
    let mut trailers = headers.get_all(X_AMZ_TRAILER).iter();
    let Some(name) = trailers.next() else { return Ok(None) };
    let name = name.as_bytes().trim_ascii();
    let known =
        [Checksum::Crc32, Checksum::Crc32c, Checksum::Crc64Nvme, Checksum::Sha1, Checksum::Sha256];
    let mut known = known.into_iter();
    let checksum = known.find(|sum| name.eq_ignore_ascii_case(sum.header().as_bytes()));
    match (checksum, trailers.next()) {
        (Some(checksum), None) => Ok(Some(checksum)),
        _ => Err(Unverified::BadChunkedHeaders),
    }
}

/// Takes `aws-chunked` out of `Content-Encoding`, and the header away if nothing else is in it.
fn take_coding(headers: &mut HeaderMap) -> Result<(), Unverified> {
    if !headers.get_all(CONTENT_ENCODING).iter().flat_map(codings).any(is_aws_chunked) {
        return Ok(());
    }
    let lines = headers.get_all(CONTENT_ENCODING).iter();
    let rest: Vec<_> = lines.flat_map(codings).filter(|coding| !is_aws_chunked(coding)).collect();
    let rest = rest.join(&b", "[..]);
    headers.remove(CONTENT_ENCODING);
    if !rest.is_empty() {
        let rest = HeaderValue::from_bytes(&rest).map_err(|_| Unverified::BadChunkedHeaders)?;
        let inserted = headers.try_insert(CONTENT_ENCODING, rest);
        inserted.map_err(|_| Unverified::BadChunkedHeaders)?;
    }
    Ok(())
}

fn codings(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let codings = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    codings.filter(|coding| !coding.is_empty())
}

fn is_aws_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"aws-chunked")
}

const STREAMING: &[u8] = b"STREAMING-";
const UNSIGNED_TRAILER: &[u8] = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_DECODED_CONTENT_LENGTH: HeaderName =
    HeaderName::from_static("x-amz-decoded-content-length");
const X_AMZ_SDK_CHECKSUM_ALGORITHM: HeaderName =
    HeaderName::from_static("x-amz-sdk-checksum-algorithm");
const X_AMZ_TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
