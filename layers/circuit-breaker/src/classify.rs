use http::{HeaderMap, Response};

use crate::Outcome;

/// Says what a response says of the service; for errors there is [`ClassifyError`].
///
/// A client that leaves before a call is over is [`Outcome::Neutral`], without a question.
///
/// Implement both for errors that know whose fault they are: what a client broke is neutral, too.
///
/// ```
/// use http::{HeaderMap, Response};
/// use portcullis_circuit_breaker::{Classify, ClassifyError, HttpClassifier, Outcome, Verdict};
///
/// struct Error { by_client: bool }
///
/// #[derive(Clone, Default)]
/// struct ByFault(HttpClassifier);
///
/// impl Classify for ByFault {
///     fn response<B>(&self, response: &Response<B>) -> Verdict {
///         self.0.response(response)
///     }
///     fn trailers(&self, trailers: Option<&HeaderMap>) -> Outcome {
///         self.0.trailers(trailers)
///     }
/// }
///
/// impl ClassifyError<Error> for ByFault {
///     fn error(&self, error: &Error) -> Outcome {
///         if error.by_client { Outcome::Neutral } else { Outcome::Failure }
///     }
/// }
/// ```
pub trait Classify {
    /// What the head of a response says.
    fn response<B>(&self, response: &Response<B>) -> Verdict;

    /// What the end of a response says that is up to its trailers, which may be missing.
    ///
    /// Asked only where outcomes are recorded at the last byte.
    fn trailers(&self, trailers: Option<&HeaderMap>) -> Outcome;
}

/// Says what an error says of the service.
pub trait ClassifyError<E> {
    /// What it says, be it there instead of a response, instead of readiness, or in the midst of a response's body.
    ///
    /// Those of bodies are asked about only where outcomes are recorded at the last byte.
    fn error(&self, error: &E) -> Outcome;
}

/// What is known of a call at its headers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a response ends in one of these ways")]
pub enum Verdict {
    /// The outcome; a success is one only if the body does not break.
    Known(Outcome),
    /// Nothing: the trailers will tell. Recorded at the headers this is a success.
    UpToTrailers,
}

impl Verdict {
    /// What is recorded when nothing is waited for.
    pub(crate) const fn at_headers(self) -> Outcome {
        match self {
            Self::Known(outcome) => outcome,
            Self::UpToTrailers => Outcome::Success,
        }
    }

    /// Whether the body can change it.
    pub(crate) const fn is_up_to_the_body(self) -> bool {
        matches!(self, Self::Known(Outcome::Success) | Self::UpToTrailers)
    }
}
