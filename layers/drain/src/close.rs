use std::time::Duration;

/// When clients of HTTP/1 are told to close, by `Connection: close`; a server can say `GOAWAY` by it, too.
///
/// As text `"immediate"`, `"gradual"` or `"never"`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum ClosePolicy {
    /// Not by the layer: the server closes when it likes.
    Never,
    /// In every response from the signal on.
    #[default]
    Immediate,
    /// In a share of the responses that grows from none to all while it lingers, so that not all clients connect
    /// anew, elsewhere, at once; in all afterwards.
    Gradual,
}

impl ClosePolicy {
    /// Whether the response with this number is to say it, `elapsed` after the signal, while it lingers.
    ///
    /// Multiples of the golden ratio fill the unit interval more evenly than chance would: of any few responses in a row
    /// the right share says it.
    pub(crate) fn applies(self, number: u32, elapsed: Duration, linger: Duration) -> bool {
        const GOLDEN: u32 = 2_654_435_769; // 2³² / φ
        match self {
            Self::Never => false,
            Self::Immediate => true,
            Self::Gradual => {
                let place = f64::from(number.wrapping_mul(GOLDEN)) / (f64::from(u32::MAX) + 1.0);
                place * linger.as_secs_f64() < elapsed.as_secs_f64()
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINGER: Duration = Duration::from_secs(100);

    proptest! {
        #[test]
        fn the_share_of_closed_connections_is_that_of_the_time_that_has_passed(
            percent in 0..=100_u32,
            first in any::<u32>(),
        ) {
            let elapsed = Duration::from_secs(u64::from(percent));
            let say = |number: &u32| ClosePolicy::Gradual.applies(first.wrapping_add(*number), elapsed, LINGER);
            let said = (0..1000).filter(say).count();

            prop_assert!(said.abs_diff(usize::try_from(percent).unwrap() * 10) <= 10, "{said}");
        }
    }

    #[test]
    fn the_other_policies_do_not_look_at_the_clock() {
        for elapsed in [Duration::ZERO, LINGER] {
            assert!(ClosePolicy::Immediate.applies(0, elapsed, LINGER));
            assert!(!ClosePolicy::Never.applies(0, elapsed, LINGER));
        }
    }
}
