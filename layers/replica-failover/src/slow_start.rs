use std::time::Duration;

use crate::moment::nanos;

/// How a replica that has recovered comes back: with a share of its requests that grows, not with all of them at once.
///
/// Its share begins at `from` percent of what it would have, and grows evenly to all of it `over` a time. The rest goes to
/// other replicas, in a higher tier if need be; if there is no other, the replica has it all.
///
/// ```toml
/// slow_start = { over = "30s", from = 10 } # default, where there is a slow start
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct SlowStart {
    /// How long it takes until a replica has its whole share.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::duration"))]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "crate::schema::duration"),
        serde(serialize_with = "crate::schema::write")
    )]
    over: Duration,
    /// What it has of it at first, in percent.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::percent"))]
    #[cfg_attr(feature = "schema", schemars(range(max = 100)))]
    from: u8,
}

impl SlowStart {
    /// Grows from `from` percent, at most 100, to all `over` this time.
    #[must_use]
    pub const fn new(over: Duration, from: u8) -> Self {
        Self { over, from: if from > 100 { 100 } else { from } }
    }

    /// Whether a request keeps away from a replica that recovered so long ago, by a random number.
    pub(crate) fn holds_back(self, recovered: Duration, random: u64) -> bool {
        if recovered >= self.over {
            return false;
        }
        let (elapsed, over) = (u128::from(nanos(recovered)), u128::from(nanos(self.over)));
        let from = u128::from(self.from);
        // In 2³²nds; the time it takes is not zero, or nothing would be less.
        let share = ((from << 32) + (((100 - from) * elapsed) << 32) / over.max(1)) / 100;
        u128::from(random >> 32) >= share
    }
}

/// From a tenth, over half a minute.
impl Default for SlowStart {
    fn default() -> Self {
        Self::new(Duration::from_secs(30), 10)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of a thousand requests evenly spread over all random numbers are let through.
    fn let_through(slow_start: SlowStart, recovered: Duration) -> u32 {
        let each = (0..1_000).map(|step| u64::MAX / 1_000 * step);
        each.map(|random| u32::from(!slow_start.holds_back(recovered, random))).sum()
    }

    #[test]
    fn the_share_grows_evenly_from_the_first_to_all() {
        let slow_start = SlowStart::default();

        for (seconds, share) in [(0, 100), (10, 400), (15, 550), (30, 1_000), (900, 1_000)] {
            let through = let_through(slow_start, Duration::from_secs(seconds));
            assert!(through.abs_diff(share) <= 1, "{through} of 1,000 after {seconds} s");
        }
    }

    proptest! {
        #[test]
        fn who_is_let_through_is_let_through_later_too(
            over: u64, from: u8, at: u64, later: u64, random: u64,
        ) {
            let slow_start = SlowStart::new(Duration::from_nanos(over), from);
            let (at, later) = (Duration::from_nanos(at), Duration::from_nanos(later));

            let earlier = slow_start.holds_back(at.min(later), random);

            prop_assert!(earlier || !slow_start.holds_back(at.max(later), random));
        }
    }
}
