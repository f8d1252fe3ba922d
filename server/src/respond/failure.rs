use std::error::Error as StdError;

use http::StatusCode;
use portcullis_refusal::{GrpcStatus, Refusal};

use crate::body::Side;
use crate::upstream::{Error, Phase};

/// What a client is told of a request that a replica gave no response to.
pub(super) fn refusal(error: &Error) -> Refusal {
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
        Side::Client => (StatusCode::BAD_REQUEST, "the request body broke off"),
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

/// The error and its causes in a line, for the operator.
pub(super) fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told += ": ";
        told += &error.to_string();
        cause = error.source();
    }
    told
}
