//! What is counted of requests.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::RequestMeters;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::RequestMeters;

#[cfg(feature = "metrics")]
mod facade {
    use std::fmt;
    use std::sync::Arc;

    use metrics::{
        Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram,
    };
    use tokio::time::Instant;

    use crate::Unauthorized;
    use crate::grant::Grant;

    /// Handles, made with the layer. Clones share them.
    #[derive(Clone)]
    pub(crate) struct RequestMeters(Arc<Handles>);

    struct Handles {
        token: Counter,
        no_token: Counter,
        preflight: Counter,
        refused: Vec<(&'static str, Counter)>,
        hits: Counter,
        misses: Counter,
        evictions: Counter,
        verify: Histogram,
    }

    impl RequestMeters {
        pub(crate) fn new() -> Self {
            describe();
            let requests = |outcome: &'static str, reason: &'static str| counter!("jwt_auth_requests_total", "outcome" => outcome, "reason" => reason);
            let refused = Unauthorized::REASONS.iter().map(|it| (*it, requests("refused", it)));
            Self(Arc::new(Handles {
                token: requests("allowed", "token"),
                no_token: requests("allowed", "no_token"),
                preflight: requests("allowed", "preflight"),
                refused: refused.collect(),
                hits: counter!("jwt_auth_token_cache_hits_total"),
                misses: counter!("jwt_auth_token_cache_misses_total"),
                evictions: counter!("jwt_auth_token_cache_evictions_total"),
                verify: histogram!("jwt_auth_verify_seconds"),
            }))
        }

        pub(crate) fn allowed(&self, grant: &Grant) {
            let counter = match grant {
                Grant::Token(_) => &self.0.token,
                Grant::NoToken => &self.0.no_token,
                Grant::Preflight => &self.0.preflight,
            };
            counter.increment(1);
        }

        pub(crate) fn refused(&self, reason: Unauthorized) {
            let reason = reason.reason();
            for (_, counter) in self.0.refused.iter().filter(|(name, _)| *name == reason) {
                counter.increment(1);
            }
        }

        pub(crate) fn found(&self, known: bool) {
            if known { self.0.hits.increment(1) } else { self.0.misses.increment(1) }
        }

        pub(crate) fn evicted(&self, tokens: usize) {
            self.0.evictions.increment(u64::try_from(tokens).unwrap_or(u64::MAX));
        }

        pub(crate) fn time<T>(&self, verify: impl FnOnce() -> T) -> T {
            let start = Instant::now();
            let verdict = verify();
            self.0.verify.record(start.elapsed());
            verdict
        }
    }

    fn describe() {
        describe_counter!("jwt_auth_requests_total", "Requests, by what became of them and why.");
        describe_counter!("jwt_auth_token_cache_hits_total", "Tokens that were remembered.");
        describe_counter!("jwt_auth_token_cache_misses_total", "Tokens that were not remembered.");
        describe_counter!(
            "jwt_auth_token_cache_evictions_total",
            "Tokens that were forgotten to make room for others."
        );
        describe_histogram!(
            "jwt_auth_verify_seconds",
            Unit::Seconds,
            "How long it took to verify a token that was not remembered, valid or not."
        );
    }

    impl fmt::Debug for RequestMeters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("RequestMeters")
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use crate::Unauthorized;
    use crate::grant::Grant;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct RequestMeters;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl RequestMeters {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn allowed(self, _: &Grant) {}
        pub(crate) fn refused(self, _: Unauthorized) {}
        pub(crate) fn found(self, _: bool) {}
        pub(crate) fn evicted(self, _: usize) {}

        pub(crate) fn time<T>(self, verify: impl FnOnce() -> T) -> T {
            verify()
        }
    }
}
