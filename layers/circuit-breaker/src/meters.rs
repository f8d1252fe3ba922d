//! What is counted through the `metrics` facade.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::{KeysMeter, Meters};
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::{KeysMeter, Meters};

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::Arc;

    use metrics::{Counter, Gauge, counter, gauge};

    use crate::transition::Change;
    use crate::{CircuitState, Outcome, Snapshot};

    /// Handles, made once.
    #[derive(Clone)]
    pub(crate) struct Meters {
        success: Counter,
        failure: Counter,
        neutral: Counter,
        rejected: Counter,
        stale: Counter,
        /// None for one of many circuits, which have one name.
        gauges: Option<Gauges>,
    }

    #[derive(Clone)]
    struct Gauges {
        state: Gauge,
        failure_rate: Gauge,
        slow_rate: Gauge,
    }

    impl Meters {
        /// For the one circuit of this name.
        pub(crate) fn one(name: &Arc<str>) -> Self {
            let gauges = Gauges {
                state: gauge!("circuit_breaker_state", "name" => name.clone()),
                failure_rate: gauge!("circuit_breaker_failure_rate", "name" => name.clone()),
                slow_rate: gauge!("circuit_breaker_slow_rate", "name" => name.clone()),
            };
            Self { gauges: Some(gauges), ..Self::many(name) }
        }

        /// For each of the circuits of this name.
        pub(crate) fn many(name: &Arc<str>) -> Self {
            let calls = |outcome| counter!("circuit_breaker_calls_total", "name" => name.clone(), "outcome" => outcome);
            Self {
                success: calls("success"),
                failure: calls("failure"),
                neutral: calls("neutral"),
                rejected: calls("rejected"),
                stale: calls("stale"),
                gauges: None,
            }
        }

        pub(crate) fn ended(&self, outcome: Outcome) {
            let counter = match outcome {
                Outcome::Success => &self.success,
                Outcome::Failure => &self.failure,
                Outcome::Neutral => &self.neutral,
            };
            counter.increment(1);
        }

        pub(crate) fn stale(&self) {
            self.stale.increment(1);
        }

        pub(crate) fn rejected(&self) {
            self.rejected.increment(1);
        }

        #[expect(clippy::unused_self, reason = "a transition is too rare for a handle")]
        pub(crate) fn transition(&self, name: &Arc<str>, change: Change) {
            let Change { from, to, cause } = change;
            counter!(
                "circuit_breaker_transitions_total",
                "name" => name.clone(),
                "from" => from.name(),
                "to" => to.name(),
                "reason" => cause.name()
            )
            .increment(1);
        }

        /// Shows the state, again if it changed meanwhile: of two who do this at once the last is right.
        pub(crate) fn state(&self, now: impl Fn() -> CircuitState) {
            let Some(gauges) = &self.gauges else { return };
            let mut shown = now();
            loop {
                gauges.state.set(f64::from(shown as u8));
                match now() {
                    state if state == shown => return,
                    state => shown = state,
                }
            }
        }

        pub(crate) fn rates(&self, snapshot: &Snapshot) {
            if let Some(gauges) = &self.gauges {
                gauges.failure_rate.set(snapshot.failure_rate());
                gauges.slow_rate.set(snapshot.slow_rate());
            }
        }
    }

    /// How many circuits there are under keys.
    pub(crate) struct KeysMeter(Gauge);

    impl KeysMeter {
        pub(crate) fn new(name: &Arc<str>) -> Self {
            Self(gauge!("circuit_breaker_keys", "name" => name.clone()))
        }

        #[expect(clippy::cast_precision_loss, reason = "what fits into memory fits into this")]
        pub(crate) fn set(&self, keys: usize) {
            self.0.set(keys as f64);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use std::sync::Arc;

    use crate::transition::Change;
    use crate::{CircuitState, Outcome, Snapshot};

    #[derive(Clone)]
    pub(crate) struct Meters;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meters {
        pub(crate) const fn one(_: &Arc<str>) -> Self {
            Self
        }

        pub(crate) const fn many(_: &Arc<str>) -> Self {
            Self
        }

        pub(crate) const fn ended(&self, _: Outcome) {}
        pub(crate) const fn stale(&self) {}
        pub(crate) const fn rejected(&self) {}
        pub(crate) const fn transition(&self, _: &Arc<str>, _: Change) {}
        pub(crate) fn state(&self, _: impl Fn() -> CircuitState) {}
        pub(crate) const fn rates(&self, _: &Snapshot) {}
    }
    pub(crate) struct KeysMeter;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl KeysMeter {
        pub(crate) const fn new(_: &Arc<str>) -> Self {
            Self
        }

        pub(crate) const fn set(&self, _: usize) {}
    }
}
