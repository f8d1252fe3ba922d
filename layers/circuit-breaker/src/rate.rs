use std::fmt;

use crate::InvalidPolicy;

/// A share of calls: more than none, at most all.
///
/// It is kept in millionths, so that a threshold is met exactly: three failures of ten are a rate of 0.3.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(try_from = "f64"))]
#[cfg_attr(feature = "schema", schemars(with = "f64", extend("exclusiveMinimum" = 0, "maximum" = 1)))]
pub struct Rate(u32);

impl Rate {
    /// All calls.
    pub const ONE: Self = Self(MILLION);

    /// A share above 0, and up to 1, which means all.
    ///
    /// # Errors
    ///
    /// For anything else, and for what is less than a millionth.
    pub fn new(share: f64) -> Result<Self, InvalidPolicy> {
        let millionths = (share * f64::from(MILLION)).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between one and a million"
        )]
        let rate = (share <= 1.0 && millionths >= 1.0).then_some(Self(millionths as u32));
        rate.ok_or(InvalidPolicy::Rate)
    }

    /// A share in percent, for constants.
    ///
    /// # Panics
    ///
    /// When it is 0, or more than 100: at compile time, in a constant.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        assert!(percent > 0 && percent <= 100, "a rate is more than 0 and at most 100 percent");
        Self(percent as u32 * (MILLION / 100))
    }

    /// As a share: above 0, and up to 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(MILLION)
    }

    /// Whether `part` of `whole` is this share or more.
    pub(crate) fn is_met(self, part: u32, whole: u32) -> bool {
        u64::from(part) * u64::from(MILLION) >= u64::from(self.0) * u64::from(whole)
    }

    pub(crate) const fn millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<f64> for Rate {
    type Error = InvalidPolicy;

    fn try_from(share: f64) -> Result<Self, InvalidPolicy> {
        Self::new(share)
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.share(), f)
    }
}

pub(crate) const MILLION: u32 = 1_000_000;
