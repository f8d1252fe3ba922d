use std::error::Error;
use std::fmt;

/// Why a [`GuardedBody`](crate::GuardedBody) broke off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it is cut here or breaks inside: there is no third")]
pub enum GuardedBodyError<E> {
    /// The client sent more than the ceiling allows.
    TooLarge,
    /// The inner body failed.
    Inner(E),
}

impl<E> fmt::Display for GuardedBodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request body is too large",
            Self::Inner(_) => "the request body broke off",
        })
    }
}

impl<E: Error + 'static> Error for GuardedBodyError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TooLarge => None,
            Self::Inner(error) => Some(error),
        }
    }
}
