use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use portcullis_refusal::{Dialect, EmptyBody, GrpcStatus, Refusal};

use crate::store::Standing;
use crate::{Limit, fields};

/// Why a request was refused: found in the extensions of the response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Throttled {
    limit: Arc<str>,
    cause: Cause,
    retry_after: Option<Duration>,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// Its limit is exceeded: `429`.
    Exceeded,
    /// It has no key, and the limit asks for one: `400`.
    MissingKey,
    /// The store is away, and nothing is let through without it: `503`.
    StoreAway,
}

impl Throttled {
    pub(crate) const fn new(limit: Arc<str>, cause: Cause, retry_after: Option<Duration>) -> Self {
        Self { limit, cause, retry_after }
    }

    /// The name of the limit that it has to wait longest for. If the store is away, the first.
    #[must_use]
    pub fn limit(&self) -> &str {
        &self.limit
    }

    /// What is wrong.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// How long until it would have been let through, had nobody else come; none if coming again is no use.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn refusal(self) -> Refusal {
        let (status, reason) = match self.cause {
            Cause::Exceeded => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Cause::MissingKey => (StatusCode::BAD_REQUEST, "rate_limit_key_missing"),
            Cause::StoreAway => (StatusCode::SERVICE_UNAVAILABLE, "rate_limit_store_away"),
        };
        let refusal = Refusal::new(status, reason, self.cause.words());
        let refusal = match (self.cause, self.retry_after) {
            (Cause::MissingKey, _) | (_, None) => refusal,
            (_, Some(wait)) => refusal.retry_after(wait),
        };
        match self.cause {
            Cause::Exceeded => refusal.grpc_status(GrpcStatus::ResourceExhausted),
            Cause::MissingKey => refusal.grpc_status(GrpcStatus::InvalidArgument),
            Cause::StoreAway => refusal,
        }
        .extension(self)
    }
}

impl Cause {
    const fn words(self) -> &'static str {
        match self {
            Self::Exceeded => "too many requests",
            Self::MissingKey => "nothing says whose request it is",
            Self::StoreAway => "the limits cannot be looked up",
        }
    }
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.words())
    }
}

impl Error for Throttled {}

/// A refusal that is made only when it is needed.
#[derive(Debug)]
pub(crate) struct Reply<R> {
    pub(crate) throttled: Throttled,
    pub(crate) standing: Option<Standing>,
    pub(crate) dialect: Dialect,
    pub(crate) empty: R,
}

impl<R> Reply<R> {
    pub(crate) fn response<B>(&self, limits: &[Limit]) -> Response<B>
    where
        R: EmptyBody<B>,
    {
        let refusal = self.throttled.clone().refusal();
        let mut response = refusal.into_response(self.dialect, self.empty.empty());
        let headers = response.headers_mut();
        if let Some(standing) = &self.standing {
            fields::write(limits, headers, standing);
        }
        if self.dialect == Dialect::Grpc && self.throttled.cause == Cause::Exceeded {
            let pushback = pushback(self.throttled.retry_after);
            headers.insert(HeaderName::from_static("grpc-retry-pushback-ms"), pushback);
        }
        response
    }
}

/// gRPC retry design (A6): milliseconds until the next attempt, or a negative number for none.
fn pushback(wait: Option<Duration>) -> HeaderValue {
    wait.map_or(HeaderValue::from_static("-1"), |wait| {
        let millis = wait.as_nanos().div_ceil(1_000_000);
        HeaderValue::from(i32::try_from(millis).unwrap_or(i32::MAX))
    })
}
