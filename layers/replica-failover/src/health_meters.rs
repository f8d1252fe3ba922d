//! What is counted of checks.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::HealthMeters;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::HealthMeters;

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::Arc;

    use metrics::{Counter, Gauge, counter, gauge};

    use crate::CheckFailure;

    /// The meters of one replica, made once.
    pub(crate) struct HealthMeters {
        outcomes: Box<[(&'static str, Counter)]>,
        state: Gauge,
    }

    impl HealthMeters {
        pub(crate) fn new(upstream: &Arc<str>, replica: &Arc<str>) -> Self {
            let outcomes = CheckFailure::NAMES.iter().chain(&[OK]).map(|outcome| {
                let (upstream, replica) = (upstream.clone(), replica.clone());
                (*outcome, counter!("health_check_total", "upstream" => upstream, "replica" => replica, "outcome" => *outcome))
            });
            Self {
                outcomes: outcomes.collect(),
                state: gauge!("health_state", "upstream" => upstream.clone(), "replica" => replica.clone()),
            }
        }

        pub(crate) fn checked(&self, result: &Result<(), CheckFailure>) {
            let outcome = result.as_ref().map_or_else(CheckFailure::name, |()| OK);
            for (_, counter) in self.outcomes.iter().filter(|(known, _)| *known == outcome) {
                counter.increment(1);
            }
        }

        /// Whether it has requests, as far as its health goes.
        pub(crate) fn is(&self, healthy: bool) {
            self.state.set(f64::from(u8::from(healthy)));
        }
    }

    const OK: &str = "ok";
}

#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
mod nothing {
    use std::sync::Arc;

    use crate::CheckFailure;

    pub(crate) struct HealthMeters;

    impl HealthMeters {
        pub(crate) const fn new(_: &Arc<str>, _: &Arc<str>) -> Self {
            Self
        }

        pub(crate) const fn checked(&self, _: &Result<(), CheckFailure>) {}
        pub(crate) const fn is(&self, _: bool) {}
    }
}
