//! What is counted through the `metrics` facade.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::{Reasons, Removals};
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::{Reasons, Removals};

#[cfg(feature = "metrics")]
mod facade {
    use std::fmt;
    use std::sync::Arc;

    use metrics::{Counter, counter};

    use crate::hop_by_hop::Removed;

    /// Counters by reason, made once.
    #[derive(Clone)]
    pub(crate) struct Reasons(Arc<[(&'static str, Counter)]>);

    impl Reasons {
        pub(crate) fn new(
            metric: &'static str,
            reasons: impl Iterator<Item = &'static str>,
        ) -> Self {
            Self(reasons.map(|reason| (reason, counter!(metric, "reason" => reason))).collect())
        }

        pub(crate) fn count(&self, reason: &'static str) {
            if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == reason) {
                counter.increment(1);
            }
        }
    }

    /// Counters of what was removed, made once.
    #[derive(Clone)]
    pub(crate) struct Removals(Arc<[Counter; 3]>);

    impl Removals {
        pub(crate) fn new(direction: &'static str) -> Self {
            let kinds = ["fixed", "nominated", "extra"];
            Self(Arc::new(kinds.map(|kind| {
                counter!("host_strip_headers_removed_total", "direction" => direction, "kind" => kind)
            })))
        }

        /// Adds what was removed; nothing at all writes no memory that is shared between threads.
        pub(crate) fn add(&self, removed: Removed) {
            let counts = [removed.fixed(), removed.nominated(), removed.extra()];
            for (counter, count) in self.0.iter().zip(counts).filter(|(_, count)| *count > 0) {
                counter.increment(count);
            }
        }
    }

    impl fmt::Debug for Reasons {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Reasons")
        }
    }

    impl fmt::Debug for Removals {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Removals")
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use crate::hop_by_hop::Removed;

    #[derive(Clone, Debug)]
    pub(crate) struct Reasons;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Reasons {
        pub(crate) fn new(_: &'static str, _: impl Iterator<Item = &'static str>) -> Self {
            Self
        }

        pub(crate) const fn count(&self, _: &'static str) {}
    }

    #[derive(Clone, Debug)]
    pub(crate) struct Removals;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Removals {
        pub(crate) const fn new(_: &'static str) -> Self {
            Self
        }

        pub(crate) const fn add(&self, _: Removed) {}
    }
}
