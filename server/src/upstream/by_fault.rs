use http::{HeaderMap, Method, Response, StatusCode, response};
use portcullis_circuit_breaker as breaker;
use portcullis_circuit_breaker::{ClassifyError, HttpClassifier, Outcome};
use portcullis_refusal::Refused;
use portcullis_replica_failover as failover;
use portcullis_replica_failover::{FailoverPolicy, Reason, Verdict};

use crate::body::{self, find};

use super::http1::Broken;
use super::s3_errors::{UPSTREAM_CREDENTIALS, UPSTREAM_ERROR};
use super::{Error, Phase};

/// Tells what a replica did wrong from what its client did, for its circuit and for failing over.
///
/// A refusal in between is nobody's failure, but for those that stand in place of what an S3 server said.
#[derive(Clone, Debug, Default)]
pub struct ByFault(HttpClassifier);

impl breaker::Classify for ByFault {
    fn response<B>(&self, response: &Response<B>) -> breaker::Verdict {
        match refused(response.extensions()) {
            Some(UPSTREAM_ERROR) => breaker::Verdict::Known(Outcome::Failure),
            _ => self.0.response(response),
        }
    }

    fn trailers(&self, trailers: Option<&HeaderMap>) -> Outcome {
        self.0.trailers(trailers)
    }
}

impl ClassifyError<Error> for ByFault {
    fn error(&self, error: &Error) -> Outcome {
        if is_clients(error) { Outcome::Neutral } else { Outcome::Failure }
    }
}

impl ClassifyError<body::Error> for ByFault {
    fn error(&self, error: &body::Error) -> Outcome {
        if error.side().is_upstream() { Outcome::Failure } else { Outcome::Neutral }
    }
}

impl failover::Classify<Error> for ByFault {
    fn error(&self, error: &Error) -> Verdict {
        if is_clients(error) {
            return Verdict::PassOn;
        }
        let reason = match error.phase() {
            _ if error.is_timeout() => Reason::Timeout,
            Phase::Resolve | Phase::Connect | Phase::Handshake => Reason::Connect,
            Phase::Send | Phase::Headers | Phase::Body => match find::<Broken>(error) {
                Some(broken) if broken.is_malformed() => Reason::Error,
                _ => Reason::Reset,
            },
        };
        Verdict::Failed { reason, may_have_run: error.may_have_run() }
    }

    fn response(
        &self,
        policy: &FailoverPolicy,
        method: &Method,
        response: &response::Parts,
    ) -> Verdict {
        match refused(&response.extensions) {
            Some(UPSTREAM_ERROR) => policy.judge(method, &said()),
            // Another may know the gateway. It is no failure: a client may have had its part in what was not understood.
            Some(UPSTREAM_CREDENTIALS) => Verdict::LookFurther,
            _ => policy.judge(method, response),
        }
    }
}

fn refused(extensions: &http::Extensions) -> Option<&'static str> {
    extensions.get().map(Refused::reason)
}

/// Whether it was not the replica that broke the exchange off.
fn is_clients(error: &Error) -> bool {
    error.body_side().is_some_and(|side| !side.is_upstream())
}

/// What an S3 server said that failed.
fn said() -> response::Parts {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.into_parts().0
}

#[cfg(test)]
mod tests {
    use portcullis_refusal::{Dialect, Refusal};

    use super::*;
    use crate::body::Side;

    const SIDES: [(Side, bool); 7] = [
        (Side::ClientLeft, false),
        (Side::Client, false),
        (Side::ClientTimeout, false),
        (Side::Limit, false),
        (Side::Deadline, false),
        (Side::Upstream, true),
        (Side::UpstreamTimeout, true),
    ];

    fn verdict(error: &Error) -> Verdict {
        failover::Classify::error(&ByFault::default(), error)
    }

    fn judged(response: &Response<()>, policy: &FailoverPolicy) -> (breaker::Verdict, Verdict) {
        let by_fault = ByFault::default();
        let outcome = breaker::Classify::response(&by_fault, response);
        let (parts, ()) = response.clone().into_parts();
        (outcome, failover::Classify::response(&by_fault, policy, &Method::GET, &parts))
    }

    fn refusal(status: StatusCode, reason: &'static str) -> Response<()> {
        Refusal::new(status, reason, "a detail").into_response(Dialect::Http, ())
    }

    #[test]
    fn what_a_client_broke_is_not_held_against_the_replica_and_not_sent_again() {
        for (side, is_upstreams) in SIDES {
            let error = Error::failed(Phase::Send, true, body::Error::bare(side));
            let outcome = if is_upstreams { Outcome::Failure } else { Outcome::Neutral };

            assert_eq!(ClassifyError::error(&ByFault::default(), &error), outcome, "{side:?}");
            assert_eq!(
                ClassifyError::error(&ByFault::default(), &body::Error::bare(side)),
                outcome,
                "{side:?}"
            );
            assert_eq!(verdict(&error) != Verdict::PassOn, is_upstreams, "{side:?}");
        }
    }

    #[test]
    fn only_what_cannot_have_run_is_sent_again_whatever_it_is() {
        for phase in Phase::ALL {
            for may_have_run in [false, true] {
                for error in [
                    Error::failed(phase, may_have_run, "a cause"),
                    Error::timed_out(phase, may_have_run),
                ] {
                    let Verdict::Failed { may_have_run: judged, .. } = verdict(&error) else {
                        panic!("{error:?} is no failure");
                    };
                    assert_eq!(judged, may_have_run, "{error:?}");
                }
            }
        }
    }

    #[test]
    fn a_storage_that_failed_failed_though_the_gateway_words_it() {
        let response = refusal(StatusCode::BAD_GATEWAY, UPSTREAM_ERROR);
        let policy = FailoverPolicy::new();

        let (outcome, verdict) = judged(&response, &policy);

        assert_eq!(outcome, breaker::Verdict::Known(Outcome::Failure));
        let reason = Reason::Status(StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(verdict, Verdict::failed(reason));
        let other = policy.statuses([StatusCode::BAD_GATEWAY]);
        assert_eq!(judged(&response, &other).1, Verdict::PassOn);
    }

    #[test]
    fn who_does_not_know_the_gateway_is_left_for_another_and_not_blamed() {
        let response = refusal(StatusCode::BAD_GATEWAY, UPSTREAM_CREDENTIALS);

        let judged = judged(&response, &FailoverPolicy::new());

        assert_eq!(judged, (breaker::Verdict::Known(Outcome::Neutral), Verdict::LookFurther));
    }

    #[test]
    fn a_signer_without_credentials_sent_nothing_and_one_that_refuses_spoke() {
        let none = refusal(StatusCode::SERVICE_UNAVAILABLE, "no_credentials");
        let refused = refusal(StatusCode::INTERNAL_SERVER_ERROR, "unsigned_over_http");
        let policy = FailoverPolicy::new();

        let neutral = breaker::Verdict::Known(Outcome::Neutral);
        assert_eq!(judged(&none, &policy), (neutral, Verdict::Skip));
        assert_eq!(judged(&refused, &policy), (neutral, Verdict::PassOn));
    }
}
