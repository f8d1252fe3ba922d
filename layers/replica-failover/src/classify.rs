use std::error::Error;
use std::io;

use http::{HeaderName, Method, StatusCode, response};
use portcullis_refusal::{Dialect, Refused};

use crate::{FailoverPolicy, Reason, Verdict};

/// Tells failures of a replica from answers.
///
/// Closures over the service's error are classifiers, too; they judge responses by the policy.
pub trait Classify<E> {
    /// What an error of the service means.
    fn error(&self, error: &E) -> Verdict;

    /// What a response means, by its head and the request's method.
    ///
    /// By default, what [`FailoverPolicy::judge`] says.
    fn response(
        &self,
        policy: &FailoverPolicy,
        method: &Method,
        response: &response::Parts,
    ) -> Verdict {
        policy.judge(method, response)
    }
}

impl<E, F: Fn(&E) -> Verdict> Classify<E> for F {
    fn error(&self, error: &E) -> Verdict {
        self(error)
    }
}

/// Takes every error for a failure after which the replica may have acted on the request, unless its cause is a refused
/// connection.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ByCause;

impl ByCause {
    /// Errors are judged by their cause.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<E: Error + 'static> Classify<E> for ByCause {
    fn error(&self, error: &E) -> Verdict {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            match error.downcast_ref::<io::Error>().map(io::Error::kind) {
                // Only the opening of a connection fails so. Other kinds come of a broken one, too.
                Some(io::ErrorKind::ConnectionRefused) => return Verdict::unsent(Reason::Connect),
                Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                    return Verdict::failed(Reason::Reset);
                }
                Some(io::ErrorKind::TimedOut) => return Verdict::failed(Reason::Timeout),
                _ => cause = error.source(),
            }
        }
        Verdict::failed(Reason::Error)
    }
}

impl FailoverPolicy {
    /// What a response means: refused by a layer in front of the replica with a 503, it was not sent; with one of the
    /// [`statuses`](Self::statuses), or the gRPC status `UNAVAILABLE` in its headers, the replica failed.
    #[must_use]
    pub fn judge(&self, method: &Method, response: &response::Parts) -> Verdict {
        if let Some(refused) = response.extensions.get::<Refused>() {
            let unavailable = refused.status() == StatusCode::SERVICE_UNAVAILABLE;
            return if unavailable { Verdict::Skip } else { Verdict::PassOn };
        }
        if self.statuses.contains(&response.status) {
            return Verdict::failed(Reason::Status(response.status));
        }
        if self.looks_further(method, response.status) {
            return Verdict::LookFurther;
        }
        let unavailable = || response.headers.get(GRPC_STATUS).is_some_and(|code| code == "14");
        match is_grpc(response) && unavailable() {
            true => Verdict::failed(Reason::Unavailable),
            false => Verdict::PassOn,
        }
    }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

fn is_grpc(response: &response::Parts) -> bool {
    Dialect::of(&response.headers) == Dialect::Grpc
}
