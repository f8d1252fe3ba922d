use std::error::Error;
use std::fmt;

/// Why the body of a signed request broke off.
///
/// Of the two that concern the length, neither occurs unless the body is sent in chunks: see
/// [`Streaming`](crate::Streaming).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignedBodyError<E> {
    /// The body failed.
    Inner(E),
    /// The body ended before the length that was signed.
    TooShort,
    /// The body went on beyond the length that was signed.
    TooLong,
}

impl<E> fmt::Display for SignedBodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner(_) => "the request body broke off",
            Self::TooShort => "the request body is shorter than it said",
            Self::TooLong => "the request body is longer than it said",
        })
    }
}

impl<E: Error + 'static> Error for SignedBodyError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Inner(error) => Some(error),
            Self::TooShort | Self::TooLong => None,
        }
    }
}
