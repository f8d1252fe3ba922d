use std::error::Error;
use std::fmt;

use http::StatusCode;

use crate::ConfigError;

/// Why an issuer's keys could not be had.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RefreshError {
    /// The fetcher failed, or the body broke off; in its words.
    Failed(String),
    /// It took longer than the policy allows.
    TimedOut,
    /// The answer has a status other than `200`. Redirects are not followed.
    Status(StatusCode),
    /// The document is longer than the policy allows.
    TooLarge,
    /// The discovery document is not that of the issuer, or has no `jwks_uri` that may be asked.
    NotTheIssuer,
    /// The document is not a set with usable keys.
    KeySet(ConfigError),
    /// The runtime that asked has ended, or the fetcher panicked.
    Aborted,
}

impl RefreshError {
    /// All that [`RefreshError::reason`] may say.
    #[cfg(feature = "metrics")]
    pub(crate) const REASONS: [&str; 7] =
        ["failed", "timed_out", "status", "too_large", "not_the_issuer", "key_set", "aborted"];

    /// The kind in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::TimedOut => "timed_out",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::NotTheIssuer => "not_the_issuer",
            Self::KeySet(_) => "key_set",
            Self::Aborted => "aborted",
        }
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(words) => write!(f, "cannot ask for keys: {words}"),
            Self::TimedOut => f.write_str("asking for keys took too long"),
            Self::Status(status) => write!(f, "asked for keys, got {status}"),
            Self::TooLarge => f.write_str("the document is too large"),
            Self::NotTheIssuer => f.write_str("the document is not the issuer's"),
            Self::KeySet(_) => f.write_str("the key set cannot be used"),
            Self::Aborted => f.write_str("asking for keys broke off"),
        }
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::KeySet(error) => Some(error),
            _ => None,
        }
    }
}
