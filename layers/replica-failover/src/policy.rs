use std::num::NonZeroU32;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, Method, StatusCode};

use crate::{Backoff, Hedge, Order, Resume, RetryBudget};

/// When a request goes to another replica, and how often.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Durations are text, sizes a number of bytes or text with
/// one of the units `B`, `KiB`, `MiB` and `GiB`. Every key may be left out; an unknown one is an error.
///
/// ```toml
/// [failover]
/// order = "priority"                # default; round_robin, weighted, least_request, peak_ewma, hash
/// failback_after = "10s"            # default
/// max_attempts = 3                  # default, the first one included
/// per_try = "20s"                   # default, to the headers of the response
/// within = "30s"                    # of all attempts; by default, there is no limit
/// limit_header = "x-envoy-expected-rq-timeout-ms" # by default, only gRPC has one
/// ready_within = "1s"               # default
/// statuses = [500, 502, 503, 504]   # default
/// lagging = false                   # default
/// idempotency_key = "idempotency-key" # by default, no header makes a request safe to repeat
/// max_replay = "64KiB"              # default
/// max_drain = "64KiB"               # default
/// max_retry_after = "1s"            # default
/// backoff = { base = "25ms", max = "250ms" } # default
/// budget = { share = 20, per_second = 10 }   # default
/// hedge = { after = "50ms" }        # or { percentile = 95 }; by default, no request is hedged
/// resume = "if_range"               # default; if_match, for S3
/// max_resumes = 3                   # default, requests for the rest of one response; 0 for none
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer applies it"]
pub struct FailoverPolicy {
    /// Which replica is asked first.
    pub(crate) order: Order,
    /// How long a replica that failed must have been quiet before it is first again.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) failback_after: Duration,
    /// The first one included.
    pub(crate) max_attempts: NonZeroU32,
    /// How long an attempt may take, to the headers of the response.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) per_try: Duration,
    /// How long all attempts may take; no limit when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::some_duration"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::duration"))]
    pub(crate) within: Option<Duration>,
    /// The header by which a client may ask for less time; none when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::header_name"))]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(crate) limit_header: Option<HeaderName>,
    /// How long a replica is waited for when none is ready.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) ready_within: Duration,
    /// What counts as a failure of a replica.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::statuses"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::statuses"))]
    pub(crate) statuses: Vec<StatusCode>,
    /// Asks the next replica when one answers a `GET` or `HEAD` with 404.
    pub(crate) lagging: bool,
    /// The header that makes any request safe to repeat; none when left out.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::header_name"))]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(crate) idempotency_key: Option<HeaderName>,
    /// How much of a body is kept to be sent again, in bytes.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    pub(crate) max_replay: u64,
    /// How much of a failed response is read, in bytes, so that its connection can be used again.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::size"))]
    pub(crate) max_drain: u64,
    /// The longest `Retry-After` after which the same replica is asked again.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    pub(crate) max_retry_after: Duration,
    /// The wait before a replica is asked again that has failed the request.
    pub(crate) backoff: Backoff,
    /// How many retries there may be in all.
    pub(crate) budget: RetryBudget,
    /// When a second replica is asked beside the first; never when left out.
    pub(crate) hedge: Option<Hedge>,
    /// How the rest of a response is asked for.
    pub(crate) resume: Resume,
    /// How many times, for one response; at zero none.
    pub(crate) max_resumes: u32,
}

impl FailoverPolicy {
    /// The defaults, as in the section above.
    pub fn new() -> Self {
        Self {
            order: Order::Priority,
            failback_after: Duration::from_secs(10),
            max_attempts: NonZeroU32::MIN.saturating_add(2),
            per_try: Duration::from_secs(20),
            within: None,
            limit_header: None,
            ready_within: Duration::from_secs(1),
            statuses: vec![
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            lagging: false,
            idempotency_key: None,
            max_replay: 64 << 10,
            max_drain: 64 << 10,
            max_retry_after: Duration::from_secs(1),
            backoff: Backoff::default(),
            budget: RetryBudget::default(),
            hedge: None,
            resume: Resume::default(),
            max_resumes: 3,
        }
    }

    /// Asks the replicas of a tier in this order.
    pub const fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Holds a failure against a replica for so long.
    ///
    /// Until then a second attempt rather goes elsewhere, and costs the [`RetryBudget`] if it cannot. In
    /// [`Order::Priority`] first attempts go elsewhere, too, until the replica has been quiet for so long.
    pub const fn failback_after(mut self, quiet: Duration) -> Self {
        self.failback_after = quiet;
        self
    }

    /// Sends a request at most so many times.
    pub const fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Gives an attempt so long to answer with headers.
    pub const fn per_try(mut self, limit: Duration) -> Self {
        self.per_try = limit;
        self
    }

    /// Gives all attempts together so long to answer with headers. At zero, every request that has to wait is refused.
    ///
    /// If it is sooner, the end of a gRPC client's `grpc-timeout` takes its place, and the replica is told in that header how
    /// much is left of what the client said. Of a limit that is the layer's own it is told there nothing, since that ends
    /// with the headers, and gRPC's with the last message: see [`limit_header`](Self::limit_header).
    pub const fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// Tells the replica in this header how many milliseconds an attempt has to answer with headers, rounded down, at
    /// least 1: what is left of [`within`](Self::within), of a `grpc-timeout`, or of [`per_try`](Self::per_try).
    ///
    /// What a client says in it is removed. It may be `grpc-timeout`: then gRPC requests are told so in their own form, and
    /// others as without it. That is for services without streams, which it would cut off.
    pub fn limit_header(mut self, header: HeaderName) -> Self {
        self.limit_header = Some(header);
        self
    }

    /// Waits so long for a replica to become ready when none is.
    pub const fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Takes responses with these statuses for failures of the replica.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    /// Asks the next replica when one answers a `GET` or `HEAD` with 404, since it may not have the object yet.
    ///
    /// That is no failure; a 404 of the last one asked is passed on.
    pub const fn lagging(mut self) -> Self {
        self.lagging = true;
        self
    }

    /// Takes a request with this header for safe to repeat, whatever its method.
    pub fn idempotency_key(mut self, header: HeaderName) -> Self {
        self.idempotency_key = Some(header);
        self
    }

    /// Keeps up to so many bytes of a request's body, as it is read, for another attempt.
    ///
    /// A larger body goes to another replica only as long as no byte of it has been read.
    pub const fn max_replay(mut self, bytes: u64) -> Self {
        self.max_replay = bytes;
        self
    }

    /// How many bytes of a request's body are kept at most: of a longer one, whose length is known, none are.
    #[must_use]
    pub const fn most_replayed(&self) -> u64 {
        self.max_replay
    }

    /// Reads up to so many bytes of a failed response, so that its connection can be used again. What is larger, or takes
    /// more than 25 ms, is dropped.
    pub const fn max_drain(mut self, bytes: u64) -> Self {
        self.max_drain = bytes;
        self
    }

    /// Goes back to a replica that said `Retry-After` only if that is no longer than this, and not before.
    pub const fn max_retry_after(mut self, wait: Duration) -> Self {
        self.max_retry_after = wait;
        self
    }

    /// Waits before a request goes back to a replica that failed it.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Bounds the attempts that go to replicas which failed lately, and hedges.
    pub const fn budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Sends a request that is safe to repeat to another replica, too, when the first takes long.
    pub const fn hedge(mut self, hedge: Hedge) -> Self {
        self.hedge = Some(hedge);
        self
    }

    /// Asks for the rest of a response that broke off in this way.
    ///
    /// That is done for the response to a `GET` without a body if it has a status of 200 or 206, one strong `ETag`, and a length
    /// (a 206 also a `Content-Range` with the length of the whole); and no content coding, no `Trailer`, and not several ranges.
    /// A replica has the rest if it answers 206 with the same `ETag`, the same length of the whole, and a
    /// `Content-Range` from the next byte to the last one of the first response. A 200 is not used: what the client
    /// has would have to be read again. The replica that broke off counts as failed, and each request has the
    /// [`per_try`](Self::per_try) limit; [`within`](Self::within) ends with the headers.
    pub const fn resume(mut self, resume: Resume) -> Self {
        self.resume = resume;
        self
    }

    /// Asks for the rest of one response at most so many times, whatever is answered. At zero, none is resumed.
    pub const fn max_resumes(mut self, requests: u32) -> Self {
        self.max_resumes = requests;
        self
    }

    /// Whether a request may be sent again although a replica may have acted on it (RFC 9110 §9.2.2).
    pub(crate) fn is_repeatable(&self, request: &Parts) -> bool {
        let says_so =
            |name: &HeaderName| request.headers.get(name).is_some_and(|value| !value.is_empty());
        request.method.is_idempotent() || self.idempotency_key.as_ref().is_some_and(says_so)
    }

    pub(crate) fn looks_further(&self, method: &Method, status: StatusCode) -> bool {
        self.lagging
            && status == StatusCode::NOT_FOUND
            && matches!(*method, Method::GET | Method::HEAD)
    }
}

impl Default for FailoverPolicy {
    fn default() -> Self {
        Self::new()
    }
}
