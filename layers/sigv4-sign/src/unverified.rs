use std::error::Error;
use std::fmt;

use http::{Response, StatusCode};
use portcullis_refusal::{Dialect, Refusal};

/// Why a request is not what its client signed, or cannot be decoded: found in the response's extensions.
///
/// Each has the code and the status with which S3 refuses the same; clients act on the code.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Unverified {
    /// The request has no signature.
    Unsigned,
    /// The request has a signature in a header and in the query, or two in one of them.
    TwoSignatures,
    /// The request is authorised by other means than an HMAC of Signature Version 4.
    OtherMechanism,
    /// `Authorization` is malformed.
    MalformedHeader,
    /// A parameter of a presigned URL is malformed, missing, there twice or out of bounds.
    MalformedQuery,
    /// The scope in `Authorization` has another service, region or date than it should.
    WrongScope,
    /// The scope in a presigned URL has another service, region or date than it should.
    WrongScopeInQuery,
    /// The request has no date, or one that cannot be read.
    NoDate,
    /// The request was signed too long ago, or in the future.
    Skewed,
    /// The presigned URL is not valid yet.
    NotYetValid,
    /// The presigned URL is not valid any more.
    Expired,
    /// Presigned URLs are not accepted.
    Presigned,
    /// `host` or an `x-amz-*` header is there and not signed.
    UnsignedHeader,
    /// There is no such access key.
    UnknownKey,
    /// The signature is not the one of this request by this key.
    WrongSignature,
    /// The session token is not the key's, or is there for a key that has none.
    WrongToken,
    /// The target has a malformed percent escape, or is no path.
    BadTarget,
    /// No host is named, or more than one.
    BadHost,
    /// `x-amz-content-sha256` is missing.
    NoContentHash,
    /// `x-amz-content-sha256` is neither a hash nor a known way to sign.
    BadContentHash,
    /// The body is not signed, and has to be.
    UnsignedBody,
    /// The body has another hash than the one that was signed.
    WrongContentHash,
    /// The body is `aws-chunked`, and `x-amz-decoded-content-length` is missing.
    NoDecodedLength,
    /// What the headers say of an `aws-chunked` body contradicts itself or is not supported.
    BadChunkedHeaders,
    /// A chunk is not framed as it should be.
    MalformedChunk,
    /// A signed chunk is larger than what is held until its signature is checked.
    ChunkTooLarge,
    /// A chunk or the trailer has another signature than the one of its bytes.
    WrongChunkSignature,
    /// The trailer is malformed, or is not the one that was announced.
    MalformedTrailer,
    /// The body is longer or shorter than `x-amz-decoded-content-length` says, or breaks off.
    Incomplete,
    /// The body has another checksum than its trailer says.
    WrongChecksum,
}

impl Unverified {
    /// The error code of S3.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status: `400`, `403` or `411`.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// The reason in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.row().2
    }

    pub(crate) fn into_response<B>(self, dialect: Dialect, body: B) -> Response<B> {
        let (_, status, reason, detail) = self.row();
        Refusal::new(status, reason, detail).extension(self).into_response(dialect, body)
    }

    const fn row(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const NO: StatusCode = StatusCode::FORBIDDEN;
        match self {
            Self::Unsigned => ("AccessDenied", NO, "unsigned", "the request is not signed"),
            Self::TwoSignatures => {
                ("InvalidArgument", BAD, "two_signatures", "only one signature is allowed")
            }
            Self::OtherMechanism => (
                "InvalidRequest",
                BAD,
                "other_mechanism",
                "only signatures by AWS4-HMAC-SHA256 are accepted",
            ),
            Self::MalformedHeader => (
                "AuthorizationHeaderMalformed",
                BAD,
                "malformed_authorization",
                "the authorization header is malformed",
            ),
            Self::MalformedQuery => (
                "AuthorizationQueryParametersError",
                BAD,
                "malformed_presigned_url",
                "a parameter of the presigned URL is malformed or missing",
            ),
            Self::WrongScope => (
                "AuthorizationHeaderMalformed",
                BAD,
                "wrong_scope",
                "the credential is for another service, region or date",
            ),
            Self::WrongScopeInQuery => (
                "AuthorizationQueryParametersError",
                BAD,
                "wrong_scope",
                "the credential is for another service, region or date",
            ),
            Self::NoDate => ("AccessDenied", NO, "no_date", "a valid x-amz-date is required"),
            Self::Skewed => (
                "RequestTimeTooSkewed",
                NO,
                "time_skewed",
                "the date of the request is too far from now",
            ),
            Self::NotYetValid => {
                ("AccessDenied", NO, "not_yet_valid", "the request is not valid yet")
            }
            Self::Expired => ("AccessDenied", NO, "expired", "the request has expired"),
            Self::Presigned => ("AccessDenied", NO, "presigned", "presigned URLs are not accepted"),
            Self::UnsignedHeader => {
                ("AccessDenied", NO, "unsigned_header", "a header that has to be signed is not")
            }
            Self::UnknownKey => {
                ("InvalidAccessKeyId", NO, "unknown_key", "the access key does not exist")
            }
            Self::WrongSignature => (
                "SignatureDoesNotMatch",
                NO,
                "wrong_signature",
                "the signature does not match the request",
            ),
            Self::WrongToken => {
                ("InvalidToken", BAD, "wrong_token", "the session token is not valid")
            }
            Self::BadTarget => ("InvalidURI", BAD, "bad_target", "the target cannot be parsed"),
            Self::BadHost => ("InvalidRequest", BAD, "bad_host", "one host has to be named"),
            Self::NoContentHash => (
                "MissingSecurityHeader",
                BAD,
                "no_content_hash",
                "the header x-amz-content-sha256 is required",
            ),
            Self::BadContentHash => (
                "InvalidArgument",
                BAD,
                "bad_content_hash",
                "x-amz-content-sha256 is not a hash and not a known way to sign",
            ),
            Self::UnsignedBody => {
                ("AccessDenied", NO, "unsigned_body", "the body has to be signed")
            }
            Self::WrongContentHash => (
                "XAmzContentSHA256Mismatch",
                BAD,
                "wrong_content_hash",
                "the body does not match x-amz-content-sha256",
            ),
            Self::NoDecodedLength => (
                "MissingContentLength",
                StatusCode::LENGTH_REQUIRED,
                "no_decoded_length",
                "the header x-amz-decoded-content-length is required",
            ),
            Self::BadChunkedHeaders => (
                "InvalidRequest",
                BAD,
                "bad_chunked_headers",
                "the headers of the chunked body are not supported",
            ),
            Self::MalformedChunk => {
                ("InvalidRequest", BAD, "malformed_chunk", "a chunk is malformed")
            }
            Self::ChunkTooLarge => {
                ("InvalidRequest", BAD, "chunk_too_large", "a signed chunk is too large")
            }
            Self::WrongChunkSignature => (
                "SignatureDoesNotMatch",
                NO,
                "wrong_chunk_signature",
                "the signature of a chunk does not match",
            ),
            Self::MalformedTrailer => {
                ("MalformedTrailerError", BAD, "malformed_trailer", "the trailer is malformed")
            }
            Self::Incomplete => (
                "IncompleteBody",
                BAD,
                "incomplete_body",
                "the body has not the length that it should have",
            ),
            Self::WrongChecksum => {
                ("BadDigest", BAD, "wrong_checksum", "the body does not match its checksum")
            }
        }
    }
}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().3)
    }
}

impl Error for Unverified {}

#[cfg(test)]
mod tests {
    use portcullis_refusal::Refused;

    use super::*;

    #[test]
    fn each_reason_has_the_code_and_the_status_of_s3() {
        let known = [
            (Unverified::Unsigned, "AccessDenied", 403),
            (Unverified::TwoSignatures, "InvalidArgument", 400),
            (Unverified::OtherMechanism, "InvalidRequest", 400),
            (Unverified::MalformedHeader, "AuthorizationHeaderMalformed", 400),
            (Unverified::MalformedQuery, "AuthorizationQueryParametersError", 400),
            (Unverified::WrongScope, "AuthorizationHeaderMalformed", 400),
            (Unverified::WrongScopeInQuery, "AuthorizationQueryParametersError", 400),
            (Unverified::NoDate, "AccessDenied", 403),
            (Unverified::Skewed, "RequestTimeTooSkewed", 403),
            (Unverified::NotYetValid, "AccessDenied", 403),
            (Unverified::Expired, "AccessDenied", 403),
            (Unverified::Presigned, "AccessDenied", 403),
            (Unverified::UnsignedHeader, "AccessDenied", 403),
            (Unverified::UnknownKey, "InvalidAccessKeyId", 403),
            (Unverified::WrongSignature, "SignatureDoesNotMatch", 403),
            (Unverified::WrongToken, "InvalidToken", 400),
            (Unverified::BadTarget, "InvalidURI", 400),
            (Unverified::BadHost, "InvalidRequest", 400),
            (Unverified::NoContentHash, "MissingSecurityHeader", 400),
            (Unverified::BadContentHash, "InvalidArgument", 400),
            (Unverified::UnsignedBody, "AccessDenied", 403),
            (Unverified::WrongContentHash, "XAmzContentSHA256Mismatch", 400),
            (Unverified::NoDecodedLength, "MissingContentLength", 411),
            (Unverified::BadChunkedHeaders, "InvalidRequest", 400),
            (Unverified::MalformedChunk, "InvalidRequest", 400),
            (Unverified::ChunkTooLarge, "InvalidRequest", 400),
            (Unverified::WrongChunkSignature, "SignatureDoesNotMatch", 403),
            (Unverified::MalformedTrailer, "MalformedTrailerError", 400),
            (Unverified::Incomplete, "IncompleteBody", 400),
            (Unverified::WrongChecksum, "BadDigest", 400),
        ];
        for (reason, code, status) in known {
            assert_eq!((reason.code(), reason.status().as_u16()), (code, status), "{reason:?}");
            let response = reason.into_response(Dialect::Http, ());
            assert_eq!(response.status(), status);
            assert_eq!(response.extensions().get(), Some(&reason));
            let refused: &Refused = response.extensions().get().unwrap();
            assert_eq!(
                (refused.reason(), refused.detail()),
                (reason.reason(), &*reason.to_string())
            );
        }
    }
}
