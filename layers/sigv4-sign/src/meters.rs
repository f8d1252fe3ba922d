//! What is counted of a layer.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::Meters;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::Meters;

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::{SystemTime, UNIX_EPOCH};

    use http::header::HeaderValue;
    use metrics::{Counter, Gauge, counter, gauge};

    use crate::Signing;
    use crate::collect::{EMPTY, UNSIGNED};

    /// Handles, each made when it is first needed: a recorder may be installed after a layer was built.
    #[derive(Default)]
    pub(crate) struct Meters {
        service: String,
        region: String,
        signed: [OnceLock<Counter>; 4],
        refused: Outcomes,
        refreshes: Outcomes,
        expiry: OnceLock<Gauge>,
        skew: OnceLock<Gauge>,
    }

    /// Few, and rarely counted.
    type Outcomes = Mutex<Vec<(&'static str, Counter)>>;

    impl Meters {
        pub(crate) fn new(signing: &Signing) -> Self {
            let (service, region) = (signing.service().as_str(), signing.region().as_str());
            Self { service: service.to_owned(), region: region.to_owned(), ..Self::default() }
        }

        pub(crate) fn signed(&self, payload: &HeaderValue) {
            let [empty, unsigned, streaming, hashed] = &self.signed;
            let (place, payload) = if *payload == EMPTY {
                (empty, "empty")
            } else if *payload == UNSIGNED {
                (unsigned, "unsigned")
            } else if payload.as_bytes().starts_with(b"STREAMING-") {
                (streaming, "streaming")
            } else {
                (hashed, "hashed")
            };
            place.get_or_init(|| self.requests(payload, "signed")).increment(1);
        }

        pub(crate) fn refused(&self, reason: &'static str) {
            count(&self.refused, reason, || self.requests("none", reason));
        }

        pub(crate) fn refreshed(&self, outcome: &'static str) {
            count(&self.refreshes, outcome, || {
                let (service, region) = (self.service.clone(), self.region.clone());
                counter!("sigv4_credentials_refresh_total", "service" => service, "region" => region, "outcome" => outcome)
            });
        }

        /// Credentials are at hand until then.
        pub(crate) fn expiry(&self, expiry: Option<SystemTime>) {
            let seconds = expiry.map_or(f64::INFINITY, |expiry| {
                expiry.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
            });
            let gauge = || {
                let (service, region) = (self.service.clone(), self.region.clone());
                gauge!("sigv4_credentials_expiry_seconds", "service" => service, "region" => region)
            };
            self.expiry.get_or_init(gauge).set(seconds);
        }

        #[expect(clippy::cast_precision_loss, reason = "a day at most")]
        pub(crate) fn skew(&self, correction: i64) {
            let gauge = || {
                let (service, region) = (self.service.clone(), self.region.clone());
                gauge!("sigv4_clock_skew_seconds", "service" => service, "region" => region)
            };
            self.skew.get_or_init(gauge).set(correction as f64);
        }

        fn requests(&self, payload: &'static str, outcome: &'static str) -> Counter {
            let service = self.service.clone();
            counter!("sigv4_sign_requests_total", "service" => service, "payload" => payload, "outcome" => outcome)
        }
    }

    fn count(outcomes: &Outcomes, name: &'static str, counter: impl FnOnce() -> Counter) {
        let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = outcomes.iter().find(|(outcome, _)| *outcome == name) {
            known.increment(1);
        } else {
            let counter = counter();
            counter.increment(1);
            outcomes.push((name, counter));
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use std::time::SystemTime;

    use http::header::HeaderValue;

    use crate::Signing;

    pub(crate) struct Meters;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meters {
        pub(crate) const fn new(_: &Signing) -> Self {
            Self
        }

        pub(crate) const fn signed(&self, _: &HeaderValue) {}
        pub(crate) const fn refused(&self, _: &'static str) {}
        pub(crate) const fn refreshed(&self, _: &'static str) {}
        pub(crate) const fn expiry(&self, _: Option<SystemTime>) {}
        pub(crate) const fn skew(&self, _: i64) {}
    }
}
