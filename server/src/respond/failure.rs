use std::any::Any;
use std::error::Error as StdError;

use http::{Response, StatusCode};
use portcullis_refusal::{Dialect, GrpcStatus, Refusal};

use crate::body::Side;
use crate::facts::{Facts, Voice};
use crate::upstream::{Error, Phase};

use super::client_closed_request;

/// Why there is no response to pass on.
#[derive(Debug)]
pub(super) enum Failure {
    /// A replica gave none.
    Upstream(Error),
    /// A layer panicked.
    Panic(Panic),
}

/// What a panic said.
#[derive(Debug)]
pub(super) struct Panic(String);

impl From<Box<dyn Any + Send>> for Panic {
    fn from(panic: Box<dyn Any + Send>) -> Self {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_default())
    }
}

impl Failure {
    /// The refusal, with this empty body, of the request that these facts are of.
    pub(super) fn response<B>(&self, facts: &Facts, empty: B) -> Response<B> {
        let dialect = {
            let mut known = facts.known();
            known.error = Some(self.told());
            if known.voice == Voice::Grpc { Dialect::Grpc } else { Dialect::Http }
        };
        self.refusal().into_response(dialect, empty)
    }

    /// What the client is told.
    pub(super) fn refusal(&self) -> Refusal {
        let error = match self {
            Self::Upstream(error) => error,
            Self::Panic(_) => {
                return Refusal::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "panic",
                    "the gateway failed",
                )
                .grpc_status(GrpcStatus::Internal);
            }
        };
        if let Some(side) = error.body_side() {
            return broken_body(side);
        }
        let (reason, detail) = reason(error);
        if error.is_timeout() {
            let refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, reason, detail);
            return refusal.grpc_status(GrpcStatus::DeadlineExceeded);
        }
        Refusal::new(StatusCode::BAD_GATEWAY, reason, detail)
    }

    /// The failure and its causes in a line, for the operator.
    pub(super) fn told(&self) -> String {
        let error = match self {
            Self::Upstream(error) => error,
            Self::Panic(Panic(text)) => return format!("a panic: {text}"),
        };
        let mut told = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            told += ": ";
            told += &error.to_string();
            cause = error.source();
        }
        told
    }
}

fn reason(error: &Error) -> (&'static str, &'static str) {
    match (error.phase(), error.is_timeout()) {
        (Phase::Resolve, false) => ("upstream_resolve", "the upstream's name has no address"),
        (Phase::Connect, false) => ("upstream_connect", "the upstream cannot be reached"),
        (Phase::Handshake, false) => ("upstream_handshake", "no TLS with the upstream"),
        (Phase::Send, false) => ("upstream_send", "the upstream did not take the request"),
        (Phase::Headers, false) => ("upstream_headers", "the upstream gave no valid response"),
        (Phase::Body, false) => ("upstream_body", "the upstream broke its response off"),
        (Phase::Resolve, true) => ("upstream_resolve_timeout", "the upstream's name took too long"),
        (Phase::Connect, true) => {
            ("upstream_connect_timeout", "the upstream cannot be reached in time")
        }
        (Phase::Handshake, true) => {
            ("upstream_handshake_timeout", "no TLS with the upstream in time")
        }
        (Phase::Send, true) => {
            ("upstream_send_timeout", "the upstream did not take the request in time")
        }
        (Phase::Headers, true) => {
            ("upstream_headers_timeout", "the upstream did not answer in time")
        }
        (Phase::Body, true) => ("upstream_body_timeout", "the upstream stopped sending"),
    }
}

/// A request body that broke off is nobody's failure but that of the side that broke it.
fn broken_body(side: Side) -> Refusal {
    let (status, detail) = match side {
        Side::ClientLeft => (client_closed_request(), "the client left"),
        Side::Client => (StatusCode::BAD_REQUEST, "the request body makes no sense"),
        Side::ClientTimeout => (StatusCode::REQUEST_TIMEOUT, "the request body stopped coming"),
        Side::Limit => (StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large"),
        Side::Deadline => (StatusCode::GATEWAY_TIMEOUT, "the request took too long"),
        Side::Upstream | Side::UpstreamTimeout => (StatusCode::BAD_GATEWAY, "the upstream failed"),
    };
    let refusal = Refusal::new(status, side.reason(), detail);
    match side {
        Side::Limit => refusal.grpc_status(GrpcStatus::ResourceExhausted),
        Side::Deadline => refusal.grpc_status(GrpcStatus::DeadlineExceeded),
        _ => refusal,
    }
}

#[cfg(test)]
mod tests {
    use portcullis_refusal::Refused;

    use super::*;
    use crate::body;

    fn told(failure: &Failure) -> (u16, &'static str) {
        let response = failure.refusal().into_response(Dialect::Http, ());
        (response.status().as_u16(), response.extensions().get::<Refused>().unwrap().reason())
    }

    #[test]
    fn who_cannot_be_reached_is_502_and_who_is_late_504() {
        for phase in Phase::ALL {
            let failed = Failure::Upstream(Error::failed(phase, false, "a cause"));
            let late = Failure::Upstream(Error::timed_out(phase, false));

            assert_eq!(told(&failed), (502, told(&failed).1));
            assert_eq!(told(&late).0, 504);
            assert!(told(&late).1.ends_with("_timeout"));
        }
    }

    #[test]
    fn a_body_that_the_client_broke_is_not_the_upstreams_failure() {
        for (side, status) in [
            (Side::ClientLeft, 499),
            (Side::Client, 400),
            (Side::ClientTimeout, 408),
            (Side::Limit, 413),
        ] {
            let error = Error::failed(Phase::Send, true, body::Error::bare(side));
            assert_eq!(told(&Failure::Upstream(error)), (status, side.reason()));
        }
    }

    #[test]
    fn a_panic_is_500_and_tells_the_client_nothing() {
        let panic = Failure::Panic(Panic::from(
            std::panic::catch_unwind(|| panic!("a secret")).unwrap_err(),
        ));

        assert_eq!(told(&panic), (500, "panic"));
        assert!(!format!("{:?}", panic.refusal()).contains("secret"));
        assert_eq!(panic.told(), "a panic: a secret");
    }
}
