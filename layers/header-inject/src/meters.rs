//! What is counted through the `metrics` facade.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::{Meters, Tally};
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::{Meters, Tally};

/// Why a rule did nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Skip {
    Missing,
    Condition,
    Full,
}

#[cfg(feature = "metrics")]
mod facade {
    use std::fmt;

    use metrics::{Counter, counter};

    use super::Skip;
    use crate::action::Verb;

    /// Handles, made once.
    #[derive(Clone)]
    pub(crate) struct Meters {
        applied: [Counter; Verb::ALL.len()],
        skipped: [Counter; 3],
    }

    /// What came of the rules for one message, so that a counter is written once for all of them.
    #[derive(Default)]
    pub(crate) struct Tally {
        applied: [u64; Verb::ALL.len()],
        skipped: [u64; 3],
    }

    impl Meters {
        pub(crate) fn new() -> Self {
            let skipped = ["missing", "condition", "full"];
            Self {
                applied: Verb::ALL
                    .map(|verb| counter!("header_inject_applied_total", "op" => verb.name())),
                skipped: skipped
                    .map(|reason| counter!("header_inject_skipped_total", "reason" => reason)),
            }
        }

        pub(crate) fn add(&self, tally: &Tally) {
            let applied = self.applied.iter().zip(tally.applied);
            let all = applied.chain(self.skipped.iter().zip(tally.skipped));
            for (counter, count) in all.filter(|(_, count)| *count > 0) {
                counter.increment(count);
            }
        }
    }

    impl Tally {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn applied(&mut self, verb: Verb) {
            self.applied.iter_mut().skip(verb as usize).take(1).for_each(|count| *count += 1);
        }

        pub(crate) fn skipped(&mut self, skip: Skip) {
            self.skipped.iter_mut().skip(skip as usize).take(1).for_each(|count| *count += 1);
        }
    }

    impl fmt::Debug for Meters {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Meters")
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use super::Skip;
    use crate::action::Verb;

    #[derive(Clone, Debug)]
    pub(crate) struct Meters;

    pub(crate) struct Tally;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meters {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) const fn add(&self, _: &Tally) {}
    }

    #[expect(
        clippy::unused_self,
        clippy::needless_pass_by_ref_mut,
        reason = "what is not counted has the form of what is"
    )]
    impl Tally {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) const fn applied(&mut self, _: Verb) {}

        pub(crate) const fn skipped(&mut self, _: Skip) {}
    }
}
