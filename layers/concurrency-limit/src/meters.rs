//! What is counted through the `metrics` facade.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::Meters;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::Meters;

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::Arc;

    use metrics::{Counter, Gauge, counter, gauge};

    use crate::Why;

    /// Handles, made once.
    pub(crate) struct Meters {
        admitted: Counter,
        full: Counter,
        late: Counter,
        under_way: Gauge,
        waiting: Gauge,
        limit: Gauge,
    }

    impl Meters {
        pub(crate) fn new(name: &Arc<str>) -> Self {
            let requests = |outcome| counter!("concurrency_limit_requests_total", "name" => name.clone(), "outcome" => outcome);
            Self {
                admitted: requests("admitted"),
                full: requests("full"),
                late: requests("late"),
                under_way: gauge!("concurrency_limit_under_way", "name" => name.clone()),
                waiting: gauge!("concurrency_limit_waiting", "name" => name.clone()),
                limit: gauge!("concurrency_limit_limit", "name" => name.clone()),
            }
        }

        pub(crate) fn entered(&self) {
            self.admitted.increment(1);
            self.under_way.increment(1.0);
        }

        pub(crate) fn left(&self) {
            self.under_way.decrement(1.0);
        }

        pub(crate) fn waits(&self) {
            self.waiting.increment(1.0);
        }

        pub(crate) fn waits_no_longer(&self) {
            self.waiting.decrement(1.0);
        }

        pub(crate) fn refused(&self, why: Why) {
            match why {
                Why::Full => self.full.increment(1),
                Why::Late => self.late.increment(1),
            }
        }

        pub(crate) fn limit(&self, limit: u32) {
            self.limit.set(f64::from(limit));
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use std::sync::Arc;

    use crate::Why;

    pub(crate) struct Meters;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meters {
        pub(crate) const fn new(_: &Arc<str>) -> Self {
            Self
        }

        pub(crate) const fn entered(&self) {}
        pub(crate) const fn left(&self) {}
        pub(crate) const fn waits(&self) {}
        pub(crate) const fn waits_no_longer(&self) {}
        pub(crate) const fn refused(&self, _: Why) {}
        pub(crate) const fn limit(&self, _: u32) {}
    }
}
