//! What is counted through the `metrics` facade.

#[cfg(feature = "metrics")]
pub(crate) use self::facade::Meters;
#[cfg(not(feature = "metrics"))]
pub(crate) use self::nothing::Meters;

#[cfg(feature = "metrics")]
mod facade {
    use metrics::{Counter, counter};

    use crate::gate::Source;

    /// Handles, made once.
    pub(crate) struct Meters {
        generated: Counter,
        accepted: Counter,
        invalid: Counter,
        untrusted: Counter,
    }

    impl Meters {
        pub(crate) fn new() -> Self {
            let ids = |source| counter!("request_id_total", "source" => source);
            Self {
                generated: ids("generated"),
                accepted: ids("accepted"),
                invalid: ids("invalid"),
                untrusted: ids("untrusted"),
            }
        }

        pub(crate) fn count(&self, source: Source) {
            let counter = match source {
                Source::Generated => &self.generated,
                Source::Accepted => &self.accepted,
                Source::Invalid => &self.invalid,
                Source::Untrusted => &self.untrusted,
            };
            counter.increment(1);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod nothing {
    use crate::gate::Source;

    pub(crate) struct Meters;

    #[expect(clippy::unused_self, reason = "what is not counted has the form of what is")]
    impl Meters {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) const fn count(&self, _: Source) {}
    }
}
