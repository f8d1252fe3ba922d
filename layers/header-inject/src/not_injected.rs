use std::error::Error;
use std::fmt;

use http::StatusCode;
use http::header::HeaderName;
use portcullis_refusal::Refusal;

/// Why a message could not be given what the rules say: found in the extensions of the response that stands for it.
///
/// A request is answered with 403 or 431, and a response is replaced by a 502.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NotInjected {
    /// There is no value for this header, without which no request may go on:
    /// [`OnMissing::Reject`](crate::OnMissing::Reject).
    MissingValue(HeaderName),
    /// With what the rules added, the headers are larger than the policy allows.
    HeadersTooLarge,
}

impl NotInjected {
    /// The reason in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::MissingValue(_) => "header_value_missing",
            Self::HeadersTooLarge => "injected_headers_too_large",
        }
    }

    /// The answer to a request.
    pub(crate) fn refusal(&self) -> Refusal {
        self.with(match self {
            Self::MissingValue(_) => StatusCode::FORBIDDEN,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        })
    }

    /// What stands for a response.
    pub(crate) fn failure(&self) -> Refusal {
        self.with(StatusCode::BAD_GATEWAY)
    }

    /// A client is not told what the upstream trusts.
    fn with(&self, status: StatusCode) -> Refusal {
        let detail = match self {
            Self::MissingValue(_) => "what the upstream must be told of this request is not known",
            Self::HeadersTooLarge => "the headers are too large with those of this server",
        };
        Refusal::new(status, self.reason(), detail).extension(self.clone())
    }
}

impl fmt::Display for NotInjected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingValue(name) => write!(f, "there is no value for `{name}`"),
            Self::HeadersTooLarge => f.write_str("the headers are too large with those added"),
        }
    }
}

impl Error for NotInjected {}
