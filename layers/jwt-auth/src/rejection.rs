use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use portcullis_refusal::Refusal;

use crate::challenge::Challenge;

/// Why a request was refused: found in the extensions of the response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Unauthorized {
    /// No source of the policy has a token: `401`, without an error code (RFC 6750 §3.1).
    MissingToken,
    /// More than one token came with the request: `400`.
    AmbiguousToken,
    /// A credential is there, but holds no token, or cannot be taken out of the request: `400`.
    MalformedCredential,
    /// The token is longer than the policy allows: `401`.
    TokenTooLarge,
    /// The token is not three segments of base64url, not JSON, or says something twice or in a wrong type: `401`.
    MalformedToken,
    /// The token is encrypted or nested, or needs an extension that is not understood: `401`.
    UnsupportedToken,
    /// The token's algorithm is `none` or unknown: `401`.
    UnsupportedAlgorithm,
    /// The token is from an issuer that is not trusted, or does not say from which: `401`.
    UnknownIssuer,
    /// No key of the issuer has the token's `kid` and algorithm: `401`.
    UnknownKey,
    /// The signature is not one by the issuer's keys: `401`.
    InvalidSignature,
    /// A claim that must be there is not: `401`.
    MissingClaim,
    /// A registered claim has a wrong type or an impossible value: `401`.
    MalformedClaim,
    /// The token is past its `exp`: `401`.
    Expired,
    /// The token is before its `nbf`: `401`.
    NotYetValid,
    /// The token is from the future by its `iat`: `401`.
    IssuedInFuture,
    /// The token was issued longer ago than the policy allows: `401`.
    TooOld,
    /// The token is for another audience: `401`.
    WrongAudience,
    /// The token is of another type (`typ`) than the policy asks for: `401`.
    WrongType,
    /// The token is valid, but has not the scopes that the policy asks for: `403`.
    InsufficientScope,
    /// The token is valid, but a rule of the policy does not hold: `403`.
    Forbidden,
    /// The token is valid, but its [`TokenStatus`](crate::TokenStatus) is not: `401`.
    Revoked,
    /// The [`TokenStatus`](crate::TokenStatus) cannot be told now: `503`.
    StatusUnavailable,
    /// The issuer's keys, or whether the token's is one of them, cannot be known now: `503`.
    KeysUnavailable {
        /// When the issuer may be asked again.
        retry_after: Duration,
    },
}

impl Unauthorized {
    /// The HTTP status: `400`, `401`, `403` or `503`.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::AmbiguousToken | Self::MalformedCredential => StatusCode::BAD_REQUEST,
            Self::InsufficientScope | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::StatusUnavailable | Self::KeysUnavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// All that [`Unauthorized::reason`] may say.
    #[cfg(feature = "metrics")]
    pub(crate) const REASONS: [&str; 23] = [
        "missing_token",
        "ambiguous_token",
        "malformed_credential",
        "token_too_large",
        "malformed_token",
        "unsupported_token",
        "unsupported_algorithm",
        "unknown_issuer",
        "unknown_key",
        "invalid_signature",
        "missing_claim",
        "malformed_claim",
        "expired",
        "not_yet_valid",
        "issued_in_future",
        "too_old",
        "wrong_audience",
        "wrong_type",
        "insufficient_scope",
        "forbidden",
        "token_revoked",
        "token_status_unavailable",
        "keys_unavailable",
    ];

    /// The reason in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::AmbiguousToken => "ambiguous_token",
            Self::MalformedCredential => "malformed_credential",
            Self::TokenTooLarge => "token_too_large",
            Self::MalformedToken => "malformed_token",
            Self::UnsupportedToken => "unsupported_token",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey => "unknown_key",
            Self::InvalidSignature => "invalid_signature",
            Self::MissingClaim => "missing_claim",
            Self::MalformedClaim => "malformed_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::TooOld => "too_old",
            Self::WrongAudience => "wrong_audience",
            Self::WrongType => "wrong_type",
            Self::InsufficientScope => "insufficient_scope",
            Self::Forbidden => "forbidden",
            Self::Revoked => "token_revoked",
            Self::StatusUnavailable => "token_status_unavailable",
            Self::KeysUnavailable { .. } => "keys_unavailable",
        }
    }

    /// The refusal with its challenge (RFC 6750 §3).
    pub(crate) fn refusal(self, challenge: &Challenge) -> Refusal {
        let refusal = Refusal::new(self.status(), self.reason(), self.detail()).extension(self);
        match self {
            // Nothing is said of the token, so there is no challenge.
            Self::KeysUnavailable { retry_after } => return refusal.retry_after(retry_after),
            Self::StatusUnavailable => return refusal.retry_after(Duration::from_secs(1)),
            _ => {}
        }
        match challenge.header(self) {
            Some(challenge) => refusal.header(WWW_AUTHENTICATE, challenge),
            None => refusal,
        }
    }

    /// Whether another token may do, if it has the scopes that the policy asks for.
    pub(crate) fn is_cured_by_scope(self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED || self == Self::InsufficientScope
    }

    /// The error code of RFC 6750 §3.1.
    pub(crate) const fn error(self) -> Option<&'static str> {
        match self {
            Self::MissingToken => None,
            Self::InsufficientScope | Self::Forbidden => Some("insufficient_scope"),
            Self::AmbiguousToken | Self::MalformedCredential => Some("invalid_request"),
            _ => Some("invalid_token"),
        }
    }

    /// What the client is told, which is nothing that the request does not have.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::MissingToken => "a token is required",
            Self::AmbiguousToken => "more than one token",
            Self::MalformedCredential => "the credential is malformed",
            Self::TokenTooLarge => "the token is too large",
            Self::MalformedToken => "the token is malformed",
            Self::UnsupportedToken => "the token is of an unsupported kind",
            Self::UnsupportedAlgorithm => "the token's algorithm is not supported",
            Self::UnknownIssuer => "the token's issuer is not trusted",
            Self::UnknownKey => "the token's key is not known",
            Self::InvalidSignature => "the token's signature is invalid",
            Self::MissingClaim => "the token lacks a claim",
            Self::MalformedClaim => "the token has a malformed claim",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuedInFuture => "the token is from the future",
            Self::TooOld => "the token is too old",
            Self::WrongAudience => "the token is for another audience",
            Self::WrongType => "the token is of another type",
            Self::InsufficientScope => "the token lacks a scope",
            Self::Forbidden => "the token does not allow this",
            Self::Revoked => "the token is revoked",
            Self::StatusUnavailable => "the token cannot be checked now",
            Self::KeysUnavailable { .. } => "the keys to check tokens are not available now",
        }
    }
}

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl Error for Unauthorized {}
