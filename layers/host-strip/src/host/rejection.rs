use std::error::Error;
use std::fmt;

use http::StatusCode;
use portcullis_refusal::Refusal;

/// `Host` was to be made from a URI that has no authority: found in the extensions of the `500` response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct NoAuthority;

impl NoAuthority {
    /// The reason in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        "no_authority"
    }

    pub(crate) fn refusal(self) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, self.reason(), DETAIL).extension(self)
    }
}

impl fmt::Display for NoAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DETAIL)
    }
}

impl Error for NoAuthority {}

const DETAIL: &str = "the request does not name its upstream";
