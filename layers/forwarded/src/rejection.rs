use std::error::Error;
use std::fmt;

use http::StatusCode;
use portcullis_refusal::Refusal;

/// Why a request was refused: found in the extensions of the response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NotLetIn {
    /// The client's address is denied, or not among those that are allowed: `403`.
    Address,
    /// The request has been here before: `508`.
    Loop,
}

impl NotLetIn {
    pub(crate) fn refusal(self) -> Refusal {
        let (status, reason) = match self {
            Self::Address => (StatusCode::FORBIDDEN, "address_denied"),
            Self::Loop => (StatusCode::LOOP_DETECTED, "loop_detected"),
        };
        Refusal::new(status, reason, self.words()).extension(self)
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Address => "not from this address",
            Self::Loop => "the request has been here before",
        }
    }
}

impl fmt::Display for NotLetIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

impl Error for NotLetIn {}
