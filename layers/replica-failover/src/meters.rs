//! What is counted of attempts.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::{Gauge, Meters, Outcomes, ReplicaMeters};
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::{Gauge, Meters, Outcomes, ReplicaMeters};

/// What comes of a request for the rest of a response, and of a response that has no rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ResumeOutcome {
    Resumed,
    /// The replica has something else.
    Differs,
    Failed,
    GaveUp,
}

/// What comes of the moment when a request is to be hedged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HedgeOutcome {
    /// Its response was passed on.
    Won,
    /// Another's was, or the client has left.
    Cancelled,
    Failed,
    /// There was no budget for it.
    NoBudget,
    /// No replica was to be had at once.
    NoReplica,
}

pub(crate) type ResumeMeters = Outcomes<ResumeOutcome>;
pub(crate) type HedgeMeters = Outcomes<HedgeOutcome>;

#[cfg(feature = "metrics")]
mod facade {
    use std::fmt;
    use std::sync::Arc;

    use metrics::{Counter, counter, gauge};

    use super::{HedgeMeters, HedgeOutcome, ResumeMeters, ResumeOutcome};
    use crate::{Reason, Unserved};

    pub(crate) struct Meters {
        upstream: Arc<str>,
        budget: Counter,
        unserved: [(Unserved, Counter); 3],
        kept: Gauge,
    }

    impl Meters {
        pub(crate) fn new(upstream: Arc<str>) -> Self {
            let kinds = [Unserved::AllFailed, Unserved::NoneAvailable, Unserved::OutOfTime];
            let unserved = kinds.map(|why| {
                let labels =
                    [("upstream", upstream.to_string()), ("reason", why.reason().to_owned())];
                (why, counter!("replica_failover_unserved_total", &labels))
            });
            Self {
                budget: counter!("replica_failover_budget_exhausted_total", "upstream" => upstream.clone()),
                kept: Gauge(
                    gauge!("replica_failover_replay_buffer_bytes", "upstream" => upstream.clone()),
                ),
                unserved,
                upstream,
            }
        }

        pub(crate) fn replica(&self, name: &Arc<str>) -> ReplicaMeters {
            let outcome = |outcome| {
                let (upstream, name) = (self.upstream.clone(), name.clone());
                counter!("replica_failover_attempts_total", "upstream" => upstream, "replica" => name, "outcome" => outcome)
            };
            let failed = Reason::NAMES.iter().map(|reason| (*reason, outcome(*reason)));
            ReplicaMeters { failed: failed.collect(), answered: outcome(OK) }
        }

        pub(crate) fn resumes(&self) -> ResumeMeters {
            let outcomes = [
                (ResumeOutcome::Resumed, "resumed"),
                (ResumeOutcome::Differs, "differs"),
                (ResumeOutcome::Failed, "failed"),
                (ResumeOutcome::GaveUp, "gave_up"),
            ];
            self.outcomes("replica_failover_resumes_total", &outcomes)
        }

        pub(crate) fn hedges(&self) -> HedgeMeters {
            let outcomes = [
                (HedgeOutcome::Won, "won"),
                (HedgeOutcome::Cancelled, "cancelled"),
                (HedgeOutcome::Failed, "failed"),
                (HedgeOutcome::NoBudget, "no_budget"),
                (HedgeOutcome::NoReplica, "no_replica"),
            ];
            self.outcomes("replica_failover_hedges_total", &outcomes)
        }

        fn outcomes<O: Copy>(
            &self,
            name: &'static str,
            outcomes: &[(O, &'static str)],
        ) -> Outcomes<O> {
            let counter = |(outcome, label): &(O, &'static str)| {
                let upstream = self.upstream.clone();
                (*outcome, counter!(name, "upstream" => upstream, "outcome" => *label))
            };
            Outcomes(outcomes.iter().map(counter).collect())
        }

        pub(crate) fn failover(&self, from: &Arc<str>, to: &Arc<str>, reason: Reason) {
            let (upstream, from, to) = (self.upstream.clone(), from.clone(), to.clone());
            counter!("replica_failover_failovers_total", "upstream" => upstream, "from" => from, "to" => to, "reason" => reason.name()).increment(1);
        }

        pub(crate) fn budget_exhausted(&self) {
            self.budget.increment(1);
        }

        pub(crate) fn unserved(&self, why: Unserved) {
            for (_, counter) in self.unserved.iter().filter(|(known, _)| *known == why) {
                counter.increment(1);
            }
        }

        pub(crate) fn kept(&self) -> Gauge {
            self.kept.clone()
        }
    }

    /// The counters of one replica, made once.
    pub(crate) struct ReplicaMeters {
        answered: Counter,
        failed: Box<[(&'static str, Counter)]>,
    }

    impl ReplicaMeters {
        pub(crate) fn answered(&self) {
            self.answered.increment(1);
        }

        pub(crate) fn failed(&self, reason: Reason) {
            for (_, counter) in self.failed.iter().filter(|(known, _)| *known == reason.name()) {
                counter.increment(1);
            }
        }
    }

    impl fmt::Debug for ReplicaMeters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ReplicaMeters")
        }
    }

    /// A counter for each outcome, made once.
    pub(crate) struct Outcomes<O>(Box<[(O, Counter)]>);

    impl<O: Copy + PartialEq> Outcomes<O> {
        pub(crate) fn count(&self, outcome: O) {
            for (_, counter) in self.0.iter().filter(|(known, _)| *known == outcome) {
                counter.increment(1);
            }
        }
    }

    impl<O> fmt::Debug for Outcomes<O> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Outcomes")
        }
    }

    /// How many bytes are kept.
    #[derive(Clone)]
    pub(crate) struct Gauge(metrics::Gauge);

    #[expect(clippy::cast_precision_loss, reason = "nobody keeps 2⁵² bytes")]
    impl Gauge {
        pub(crate) fn add(&self, bytes: usize) {
            self.0.increment(bytes as f64);
        }

        pub(crate) fn sub(&self, bytes: usize) {
            self.0.decrement(bytes as f64);
        }
    }

    const OK: &str = "ok";
}

#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
mod nothing {
    use std::marker::PhantomData;
    use std::sync::Arc;

    use super::{HedgeMeters, ResumeMeters};
    use crate::{Reason, Unserved};

    pub(crate) struct Meters;

    impl Meters {
        pub(crate) fn new(_: Arc<str>) -> Self {
            Self
        }

        pub(crate) const fn replica(&self, _: &Arc<str>) -> ReplicaMeters {
            ReplicaMeters
        }

        pub(crate) const fn resumes(&self) -> ResumeMeters {
            Outcomes(PhantomData)
        }

        pub(crate) const fn hedges(&self) -> HedgeMeters {
            Outcomes(PhantomData)
        }

        pub(crate) const fn failover(&self, _: &Arc<str>, _: &Arc<str>, _: Reason) {}
        pub(crate) const fn budget_exhausted(&self) {}
        pub(crate) const fn unserved(&self, _: Unserved) {}

        pub(crate) const fn kept(&self) -> Gauge {
            Gauge
        }
    }

    #[derive(Debug)]
    pub(crate) struct ReplicaMeters;

    impl ReplicaMeters {
        pub(crate) const fn answered(&self) {}
        pub(crate) const fn failed(&self, _: Reason) {}
    }

    #[derive(Debug)]
    pub(crate) struct Outcomes<O>(PhantomData<O>);

    impl<O: Copy> Outcomes<O> {
        pub(crate) const fn count(&self, _: O) {}
    }

    pub(crate) struct Gauge;

    impl Gauge {
        pub(crate) const fn add(&self, _: usize) {}
        pub(crate) const fn sub(&self, _: usize) {}
    }
}
