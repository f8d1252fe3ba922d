use std::num::NonZeroU32;
use std::time::Duration;

/// When a request that is safe to repeat is sent to another replica although the first may still answer.
///
/// Whichever answers first with what is no failure has the response; the other is dropped, and is neither an answer nor a
/// failure of its replica. That is done `after` a time, from when the request was sent; with a `percentile`, not before so
/// many percent of recent requests had their headers, too, and not at all before there are `samples` of them within the last 15 to
/// 30 seconds. Measured are the first attempts of requests that can be hedged: until they are answered, or no longer.
///
/// A hedge is an attempt like others, and each takes one from the [`RetryBudget`](crate::RetryBudget). It goes to a replica
/// that is ready at once, has not failed lately, and does not have the request already. Where there is none, or the
/// request's body is kept no more, there is no hedge.
///
/// Two replicas may act on the request, and in either order, which is what an idempotent method allows (RFC 9110 §9.2.2).
/// If what is written then depends on the order of requests, it should not be hedged.
///
/// ```toml
/// hedge = { after = "50ms" }
/// # or
/// hedge = { percentile = 95, after = "10ms", samples = 100, max = 1 } # default, but for the percentile
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::config::HedgeSection"))]
#[must_use = "a hedge does nothing until it is part of a policy"]
pub struct Hedge {
    pub(crate) after: Duration,
    pub(crate) percentile: Option<u8>,
    pub(crate) samples: NonZeroU32,
    pub(crate) max: NonZeroU32,
}

impl Hedge {
    /// Sends a request once more after this time.
    pub const fn after(after: Duration) -> Self {
        Self { after, percentile: None, samples: SAMPLES, max: NonZeroU32::MIN }
    }

    /// Waits until so many percent of recent requests had their headers, at least 1, at most 99.
    pub const fn percentile(mut self, percent: u8) -> Self {
        self.percentile = Some(match percent {
            0 => 1,
            100.. => 99,
            percent => percent,
        });
        self
    }

    /// Trusts a percentile of no fewer requests than this.
    pub const fn samples(mut self, samples: NonZeroU32) -> Self {
        self.samples = samples;
        self
    }

    /// Hedges a request at most so many times, each after another wait.
    pub const fn max(mut self, hedges: NonZeroU32) -> Self {
        self.max = hedges;
        self
    }
}

const SAMPLES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
