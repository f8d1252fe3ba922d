use std::cmp::Ordering;

use serde_json::{Number, Value};

/// A string, a number or a boolean, to compare a claim with.
///
/// Types do not mix: `"3"` is not `3`. Numbers are compared by value, so `1.0` is `1`, and without rounding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scalar(Value);

impl Scalar {
    pub(crate) fn is(&self, claim: &Value) -> bool {
        match (&self.0, claim) {
            (Value::Number(one), Value::Number(other)) => {
                compare(one, other) == Some(Ordering::Equal)
            }
            (one, other) => one == other,
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<bool> for Scalar {
    fn from(truth: bool) -> Self {
        Self(truth.into())
    }
}

impl From<i32> for Scalar {
    fn from(number: i32) -> Self {
        Self(number.into())
    }
}

impl From<i64> for Scalar {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

impl From<u64> for Scalar {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl From<Number> for Scalar {
    fn from(number: Number) -> Self {
        Self(number.into())
    }
}

/// Which of two numbers is larger, exactly: a 64-bit integer never passes through a float.
pub(crate) fn compare(one: &Number, other: &Number) -> Option<Ordering> {
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => compare_to_float(one, other.as_f64()?),
        (None, Some(other)) => compare_to_float(other, one.as_f64()?).map(Ordering::reverse),
        (None, None) => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn compare_to_float(integer: i128, float: f64) -> Option<Ordering> {
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, far beyond 64 bits")]
    let whole = float.trunc() as i128;
    Some(integer.cmp(&whole).then(0.0.partial_cmp(&float.fract())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn large_integers_are_not_rounded() {
        let (one, other) = (number("9007199254740993"), number("9007199254740992.0"));

        assert_eq!(compare(&one, &other), Some(Ordering::Greater));
        assert_eq!(compare(&other, &one), Some(Ordering::Less));
        assert_eq!(compare(&number("18446744073709551615"), &one), Some(Ordering::Greater));
        assert!(!Scalar::from(u64::MAX).is(&Value::from(u64::MAX - 1)));
    }

    #[test]
    fn a_number_is_compared_by_value_and_a_type_is_not_changed() {
        assert!(Scalar::from(1).is(&Value::from(1.0)));
        assert!(Scalar::from(0).is(&Value::from(-0.0)));
        assert!(!Scalar::from(1).is(&Value::from("1")));
        assert!(!Scalar::from(1).is(&Value::from(true)));
        assert!(!Scalar::from("null").is(&Value::Null));
    }

    proptest! {
        #[test]
        fn halves_compare_as_their_doubles(one in -4_000_000_i32..4_000_000, near in -2_i32..3) {
            let other = one / 2 + near;
            let half = Number::from_f64(f64::from(one) / 2.0).unwrap();
            let expected = one.cmp(&(2 * other));

            prop_assert_eq!(compare(&half, &other.into()), Some(expected));
            prop_assert_eq!(compare(&other.into(), &half), Some(expected.reverse()));
        }

        #[test]
        fn integers_compare_as_integers(one: i64, other: u64) {
            let expected = i128::from(one).cmp(&i128::from(other));
            prop_assert_eq!(compare(&one.into(), &other.into()), Some(expected));
        }
    }
}
