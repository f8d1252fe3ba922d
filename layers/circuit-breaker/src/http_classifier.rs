use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use portcullis_refusal::{Dialect, GrpcStatus, Refused};

use crate::{Classify, ClassifyError, Outcome, Verdict};

/// Judges by the status of HTTP and gRPC, and takes every error for a failure.
///
/// Failures are the statuses from 500 on, without 501 and 505, which depend on the request as those below do; of gRPC
/// `DEADLINE_EXCEEDED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`, and a response that ends without a status; and all errors
/// of the service and of bodies. Neutral are gRPC's `CANCELLED`, and the refusal of a layer in between ([`Refused`] in the
/// extensions), since it is not the service that speaks. All else is a success.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpClassifier {
    statuses: [u64; 16],
    grpc: u32,
}

impl HttpClassifier {
    /// As above.
    #[must_use]
    pub fn new() -> Self {
        let grpc = [
            GrpcStatus::DeadlineExceeded,
            GrpcStatus::Internal,
            GrpcStatus::Unavailable,
            GrpcStatus::DataLoss,
        ];
        Self { statuses: [0; 16], grpc: 0 }
            .failures((500..1000).filter_map(|status| StatusCode::from_u16(status).ok()))
            .successes([StatusCode::NOT_IMPLEMENTED, StatusCode::HTTP_VERSION_NOT_SUPPORTED])
            .grpc_failures(grpc)
    }

    /// Takes these statuses for failures, too: 429, for one.
    #[must_use]
    pub fn failures(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        for status in statuses {
            let (word, bit) = place(status);
            if let Some(word) = self.statuses.get_mut(word) {
                *word |= bit;
            }
        }
        self
    }

    /// Takes these statuses for successes.
    #[must_use]
    pub fn successes(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        for status in statuses {
            let (word, bit) = place(status);
            if let Some(word) = self.statuses.get_mut(word) {
                *word &= !bit;
            }
        }
        self
    }

    /// Takes these statuses of gRPC for failures, too: `UNKNOWN`, for one.
    #[must_use]
    pub fn grpc_failures(mut self, statuses: impl IntoIterator<Item = GrpcStatus>) -> Self {
        for status in statuses {
            self.grpc |= 1 << status as u16;
        }
        self
    }

    fn grpc(&self, status: &HeaderValue) -> Outcome {
        let status = status.to_str().ok().and_then(|status| status.parse::<u32>().ok());
        match status {
            Some(CANCELLED) => Outcome::Neutral,
            Some(status) if self.grpc.checked_shr(status).unwrap_or(0) & 1 == 0 => Outcome::Success,
            _ => Outcome::Failure,
        }
    }
}

/// The same as [`HttpClassifier::new`].
impl Default for HttpClassifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Classify for HttpClassifier {
    fn response<B>(&self, response: &Response<B>) -> Verdict {
        if response.extensions().get::<Refused>().is_some() {
            return Verdict::Known(Outcome::Neutral);
        }
        let (word, bit) = place(response.status());
        if self.statuses.get(word).is_some_and(|word| word & bit != 0) {
            return Verdict::Known(Outcome::Failure);
        }
        match Dialect::of(response.headers()) {
            Dialect::Grpc => match response.headers().get(&GRPC_STATUS) {
                Some(status) => Verdict::Known(self.grpc(status)),
                None => Verdict::UpToTrailers,
            },
            _ => Verdict::Known(Outcome::Success),
        }
    }

    fn trailers(&self, trailers: Option<&HeaderMap>) -> Outcome {
        let status = trailers.and_then(|trailers| trailers.get(&GRPC_STATUS));
        status.map_or(Outcome::Failure, |status| self.grpc(status))
    }
}

impl<E> ClassifyError<E> for HttpClassifier {
    fn error(&self, _: &E) -> Outcome {
        Outcome::Failure
    }
}

/// The word and the bit of a status.
fn place(status: StatusCode) -> (usize, u64) {
    (usize::from(status.as_u16() / 64), 1 << (status.as_u16() % 64))
}

const CANCELLED: u32 = GrpcStatus::Cancelled as u32;
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
