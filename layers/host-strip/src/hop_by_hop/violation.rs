use std::error::Error;
use std::fmt;

use http::StatusCode;
use portcullis_refusal::Refusal;

/// What is wrong with a message: found in the extensions of the response that refuses it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Violation {
    /// `Connection` has an element that is no header name.
    MalformedNomination,
    /// `Connection` names a field that is not for one connection only (RFC 9110 §7.6.1).
    ProtectedNomination,
    /// `Connection` names more fields than the policy has patience for.
    TooManyNominations,
    /// `Transfer-Encoding` and `Content-Length` stand side by side (RFC 9112 §6.3).
    AmbiguousFraming,
    /// `Transfer-Encoding` says anything but `chunked`, once (RFC 9112 §6.1).
    UnknownCoding,
    /// The upstream switches to a protocol that it was not asked for (RFC 9110 §7.8).
    UnaskedUpgrade,
}

impl Violation {
    pub(super) const ALL: [Self; 6] = [
        Self::MalformedNomination,
        Self::ProtectedNomination,
        Self::TooManyNominations,
        Self::AmbiguousFraming,
        Self::UnknownCoding,
        Self::UnaskedUpgrade,
    ];

    /// The reason in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::MalformedNomination => "malformed_nomination",
            Self::ProtectedNomination => "protected_nomination",
            Self::TooManyNominations => "too_many_nominations",
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::UnknownCoding => "unknown_coding",
            Self::UnaskedUpgrade => "unasked_upgrade",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::MalformedNomination => "connection has an element that is no header name",
            Self::ProtectedNomination => "connection names a header that must not be removed",
            Self::TooManyNominations => "connection names too many headers",
            Self::AmbiguousFraming => "transfer-encoding and content-length exclude each other",
            Self::UnknownCoding => "the only transfer-encoding is chunked",
            Self::UnaskedUpgrade => "the upstream switched to a protocol it was not asked for",
        }
    }

    pub(super) fn refusal(self, status: StatusCode) -> Refusal {
        Refusal::new(status, self.reason(), self.detail()).extension(self)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl Error for Violation {}
