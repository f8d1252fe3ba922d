use std::time::Duration;

/// How long a request waits before it goes back to a replica that failed it.
///
/// The first time `base`, then twice as long each time up to `max`; half of it is left to chance, so that requests which failed
/// together do not come back together. Going to a replica that has not failed the request takes no wait.
///
/// ```toml
/// backoff = { base = "25ms", max = "250ms" } # default
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Backoff {
    /// The first time.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    base: Duration,
    /// At most.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    max: Duration,
}

impl Backoff {
    /// Waits for `base`, at first, and never longer than `max`.
    #[must_use]
    pub const fn new(base: Duration, max: Duration) -> Self {
        Self { base, max }
    }

    /// The wait before going back for the `times`-th time, by a random number.
    pub(crate) fn wait(self, times: u32, random: u64) -> Duration {
        let doubled = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
        let half = self.base.saturating_mul(doubled).min(self.max) / 2;
        // The upper half of the random number, as a share of 2³².
        let share = u128::from(random >> 32);
        let chance = half.as_nanos().saturating_mul(share) >> 32;
        half + Duration::from_nanos(u64::try_from(chance).unwrap_or(u64::MAX))
    }
}

/// 25 ms, up to 250 ms.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(25), Duration::from_millis(250))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_between_half_and_all_of_what_doubles_up_to_the_most(
            times in 1_u32..100,
            random: u64,
        ) {
            let wait = Backoff::default().wait(times, random);

            let whole = Duration::from_millis(25 << times.min(10)) / 2;
            let whole = whole.min(Duration::from_millis(250));
            prop_assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
    }

    #[test]
    fn the_longest_durations_do_not_overflow() {
        let longest = Backoff::new(Duration::MAX, Duration::MAX);

        assert!(longest.wait(u32::MAX, u64::MAX) >= Duration::MAX / 2);
    }
}
