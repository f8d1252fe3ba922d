//! What is counted through the `metrics` facade.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::Meters;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::Meters;

#[cfg(feature = "metrics")]
mod facade {
    use metrics::{Counter, Gauge, counter, gauge};

    use crate::limit::Limit;
    use crate::store::Ruling;
    use crate::{Demands, Memory, Verdict};

    /// Handles, made once.
    pub(crate) struct Meters(Box<[Meter]>);

    struct Meter {
        name: std::sync::Arc<str>,
        allowed: Counter,
        delayed: Counter,
        refused: Counter,
        shadowed: Counter,
        exempt: Counter,
        missing_key: Counter,
        unavailable: Counter,
        crowded: Counter,
        keys: Gauge,
    }

    impl Meters {
        pub(crate) fn new(limits: &[Limit]) -> Self {
            let meter = |limit: &Limit| {
                let name = &limit.name;
                let decisions = |outcome| counter!("rate_limit_decisions_total", "limit" => name.clone(), "outcome" => outcome);
                Meter {
                    allowed: decisions("allowed"),
                    delayed: decisions("delayed"),
                    refused: decisions("refused"),
                    shadowed: decisions("shadowed"),
                    exempt: decisions("exempt"),
                    missing_key: counter!("rate_limit_missing_keys_total", "limit" => name.clone()),
                    unavailable: decisions("unavailable"),
                    crowded: counter!("rate_limit_crowded_total", "limit" => name.clone()),
                    keys: gauge!("rate_limit_keys", "limit" => name.clone()),
                    name: name.clone(),
                }
            };
            Self(limits.iter().map(meter).collect())
        }

        pub(crate) fn exempt(&self) {
            for meter in &self.0 {
                meter.exempt.increment(1);
            }
        }

        pub(crate) fn missing_key(&self, limit: &str) {
            if let Some(meter) = self.0.iter().find(|meter| &*meter.name == limit) {
                meter.missing_key.increment(1);
            }
        }

        /// Counts what came of a request. Limits that would have let a refused one through are not counted.
        #[expect(clippy::cast_precision_loss, reason = "what fits into memory fits into this")]
        pub(crate) fn count(&self, demands: Demands<'_>, verdict: &Verdict, memory: &Memory) {
            for demand in demands.iter() {
                let index = usize::from(demand.index());
                let Some(meter) = self.0.get(index) else { continue };
                let counter = match verdict.ruling {
                    Ruling::Unavailable => Some(&meter.unavailable),
                    Ruling::Refused { .. } => {
                        (verdict.refused & demand.bit() != 0).then_some(&meter.refused)
                    }
                    Ruling::Admitted { .. } if verdict.shadowed & demand.bit() != 0 => {
                        Some(&meter.shadowed)
                    }
                    Ruling::Admitted { wait, .. } if !wait.is_zero() => Some(&meter.delayed),
                    Ruling::Admitted { .. } => Some(&meter.allowed),
                };
                if let Some(counter) = counter {
                    counter.increment(1);
                }
                if verdict.crowded & demand.bit() != 0 {
                    meter.crowded.increment(1);
                }
                if let Some(table) = memory.table(index) {
                    meter.keys.set(table.keys() as f64);
                }
            }
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use crate::limit::Limit;
    use crate::{Demands, Memory, Verdict};

    pub(crate) struct Meters;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meters {
        pub(crate) const fn new(_: &[Limit]) -> Self {
            Self
        }

        pub(crate) const fn exempt(&self) {}
        pub(crate) const fn missing_key(&self, _: &str) {}
        pub(crate) const fn count(&self, _: Demands<'_>, _: &Verdict, _: &Memory) {}
    }
}
