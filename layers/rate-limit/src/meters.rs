//! What is counted through the `metrics` facade.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::Meter;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::Meter;

#[cfg(feature = "metrics")]
mod facade {
    use std::sync::Arc;

    use metrics::{Counter, Gauge, counter, gauge};

    use crate::store::Ruling;
    use crate::table::Table;
    use crate::{Demand, Verdict};

    /// The handles of one limit, made once.
    pub(crate) struct Meter {
        allowed: Counter,
        delayed: Counter,
        refused: Counter,
        shadowed: Counter,
        exempt: Counter,
        unavailable: Counter,
        missing_key: Counter,
        crowded: Counter,
        evicted: Counter,
        keys: Gauge,
        waiting: Gauge,
    }

    impl Meter {
        pub(crate) fn new(name: &Arc<str>) -> Self {
            let decisions = |outcome| counter!("rate_limit_decisions_total", "limit" => name.clone(), "outcome" => outcome);
            Self {
                allowed: decisions("allowed"),
                delayed: decisions("delayed"),
                refused: decisions("refused"),
                shadowed: decisions("shadowed"),
                exempt: decisions("exempt"),
                unavailable: decisions("unavailable"),
                missing_key: counter!("rate_limit_missing_keys_total", "limit" => name.clone()),
                crowded: counter!("rate_limit_crowded_total", "limit" => name.clone()),
                evicted: counter!("rate_limit_evictions_total", "limit" => name.clone()),
                keys: gauge!("rate_limit_keys", "limit" => name.clone()),
                waiting: gauge!("rate_limit_waiting", "limit" => name.clone()),
            }
        }

        pub(crate) fn exempt(&self) {
            self.exempt.increment(1);
        }

        pub(crate) fn missing_key(&self) {
            self.missing_key.increment(1);
        }

        pub(crate) fn evicted(&self) {
            self.evicted.increment(1);
        }

        pub(crate) fn waits(&self) {
            self.waiting.increment(1.0);
        }

        pub(crate) fn waits_no_longer(&self) {
            self.waiting.decrement(1.0);
        }

        /// Counts what came of a request. A limit that would have let a refused one through is not counted.
        #[expect(clippy::cast_precision_loss, reason = "what fits into memory fits into this")]
        pub(crate) fn count(&self, demand: &Demand<'_>, verdict: &Verdict, table: &Table) {
            let counter = match verdict.ruling {
                Ruling::Unavailable => Some(&self.unavailable),
                Ruling::Refused { .. } => {
                    (verdict.refused & demand.bit() != 0).then_some(&self.refused)
                }
                Ruling::Admitted { .. } if verdict.shadowed & demand.bit() != 0 => {
                    Some(&self.shadowed)
                }
                Ruling::Admitted { wait, .. } if !wait.is_zero() => Some(&self.delayed),
                Ruling::Admitted { .. } => Some(&self.allowed),
            };
            if let Some(counter) = counter {
                counter.increment(1);
            }
            if verdict.crowded & demand.bit() != 0 {
                self.crowded.increment(1);
            }
            self.keys.set(table.keys() as f64);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use std::sync::Arc;

    use crate::table::Table;
    use crate::{Demand, Verdict};

    pub(crate) struct Meter;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meter {
        pub(crate) const fn new(_: &Arc<str>) -> Self {
            Self
        }

        pub(crate) const fn exempt(&self) {}
        pub(crate) const fn missing_key(&self) {}
        pub(crate) const fn evicted(&self) {}
        pub(crate) const fn waits(&self) {}
        pub(crate) const fn waits_no_longer(&self) {}
        pub(crate) const fn count(&self, _: &Demand<'_>, _: &Verdict, _: &Table) {}
    }
}
