use std::error::Error;
use std::fmt;

/// The text is no status, or no type of content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidCondition {
    /// It is no status and no class of them.
    Status,
    /// It is no type of content.
    MediaType,
}

impl fmt::Display for InvalidCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "not a status like \"404\" and not a class like \"4xx\"",
            Self::MediaType => "not a type of content like \"text/html\" or \"text/*\"",
        })
    }
}

impl Error for InvalidCondition {}
