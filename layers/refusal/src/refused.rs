use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Marks a response as a refusal: found in its extensions.
///
/// It tells a layer further out that the response was made here and not by the inner service, with which status (a gRPC
/// client sees `200`), and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    status: StatusCode,
    reason: &'static str,
    detail: Cow<'static, str>,
}

impl Refused {
    pub(crate) const fn new(
        status: StatusCode,
        reason: &'static str,
        detail: Cow<'static, str>,
    ) -> Self {
        Self { status, reason, detail }
    }

    /// The HTTP status that was meant.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason in `snake_case`: one of a small, fixed set, fit for a metric label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// The reason in words that the client may read.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Refused {}
