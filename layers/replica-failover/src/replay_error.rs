use std::error::Error;
use std::fmt;

/// Why a [`ReplayBody`](crate::ReplayBody) broke off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReplayBodyError<E> {
    /// The request's own body did. Only the attempt that read it sees this, and no other follows.
    Inner(E),
    /// The attempt was given up, or another has read what is not kept.
    Cut,
}

impl<E> fmt::Display for ReplayBodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner(_) => "the request body broke off",
            Self::Cut => "the request body was taken away from this attempt",
        })
    }
}

impl<E: Error + 'static> Error for ReplayBodyError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Inner(error) => Some(error),
            Self::Cut => None,
        }
    }
}
