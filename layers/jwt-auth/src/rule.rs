use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::scalar::compare;
use crate::{ClaimPath, Scalar};

/// What a claim must be for a token to allow the request.
///
/// Any claim may be asked, registered ones (`sub`, `iss`, `exp`) included. One that is not there fails, whatever is
/// asked.
///
/// # Configuration
///
/// With the `serde` feature a rule is read from a configuration file: a claim, and one operator.
///
/// ```toml
/// claims = [
///     { claim = "role", equals = "admin" },             # a string, a number or a boolean
///     { claim = "sub", in = ["alice", "bob"] },         # one of them
///     { claim = "realm_access.roles", contains = "ops" }, # an array that has it
///     { claim = ["https://example.com/level"], gte = 3 }, # a number; also gt, lt, lte
/// ]
/// ```
///
/// `contains` asks an array for an item. It does not look into strings: `"read write"` contains neither `read` nor `rea`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a rule does nothing until a policy has it"]
pub struct ClaimRule {
    path: ClaimPath,
    condition: Condition,
}

/// What may be asked of a claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Condition {
    Equals(Scalar),
    In(Vec<Scalar>),
    Contains(Scalar),
    Gt(Number),
    Gte(Number),
    Lt(Number),
    Lte(Number),
}

impl ClaimRule {
    /// The claim is this value.
    pub fn equals(claim: impl Into<ClaimPath>, value: impl Into<Scalar>) -> Self {
        Self::new(claim, Condition::Equals(value.into()))
    }

    /// The claim is one of these values; of none, nothing is.
    pub fn one_of<V: Into<Scalar>>(
        claim: impl Into<ClaimPath>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::new(claim, Condition::In(values.into_iter().map(Into::into).collect()))
    }

    /// The claim is an array that has this value.
    pub fn contains(claim: impl Into<ClaimPath>, value: impl Into<Scalar>) -> Self {
        Self::new(claim, Condition::Contains(value.into()))
    }

    /// The claim is a number greater than this.
    pub fn gt(claim: impl Into<ClaimPath>, bound: impl Into<Number>) -> Self {
        Self::new(claim, Condition::Gt(bound.into()))
    }

    /// The claim is a number not less than this.
    pub fn gte(claim: impl Into<ClaimPath>, bound: impl Into<Number>) -> Self {
        Self::new(claim, Condition::Gte(bound.into()))
    }

    /// The claim is a number less than this.
    pub fn lt(claim: impl Into<ClaimPath>, bound: impl Into<Number>) -> Self {
        Self::new(claim, Condition::Lt(bound.into()))
    }

    /// The claim is a number not greater than this.
    pub fn lte(claim: impl Into<ClaimPath>, bound: impl Into<Number>) -> Self {
        Self::new(claim, Condition::Lte(bound.into()))
    }

    pub(crate) fn new(claim: impl Into<ClaimPath>, condition: Condition) -> Self {
        Self { path: claim.into(), condition }
    }

    pub(crate) fn holds(&self, claims: &Map<String, Value>) -> bool {
        let Some(claim) = self.path.in_object(claims) else {
            return false;
        };
        let ordered = |bound, wanted: fn(Ordering) -> bool| match claim {
            Value::Number(claim) => compare(claim, bound).is_some_and(wanted),
            _ => false,
        };
        match &self.condition {
            Condition::Equals(value) => value.is(claim),
            Condition::In(values) => values.iter().any(|value| value.is(claim)),
            Condition::Contains(value) => {
                claim.as_array().is_some_and(|items| items.iter().any(|item| value.is(item)))
            }
            Condition::Gt(bound) => ordered(bound, Ordering::is_gt),
            Condition::Gte(bound) => ordered(bound, Ordering::is_ge),
            Condition::Lt(bound) => ordered(bound, Ordering::is_lt),
            Condition::Lte(bound) => ordered(bound, Ordering::is_le),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn holds(rule: &ClaimRule) -> bool {
        let claims = json!({
            "sub": "alice", "iss": "https://id.example", "exp": 2000, "admin": true, "none": null,
            "level": 3, "large": u64::MAX, "share": 0.5, "roles": ["ops", 7, true], "empty": [],
            "scope": "read write", "realm": { "access": { "roles": ["dev"] } }, "a.b": 1, "": 2,
        });
        rule.holds(claims.as_object().unwrap())
    }

    #[test]
    fn a_rule_that_holds() {
        for rule in [
            ClaimRule::equals("sub", "alice"),
            ClaimRule::equals("admin", true),
            ClaimRule::equals("level", 3),
            ClaimRule::equals("large", u64::MAX),
            ClaimRule::equals(["a.b"], 1),
            ClaimRule::equals([""], 2),
            ClaimRule::one_of("sub", ["bob", "alice"]),
            ClaimRule::one_of("iss", ["https://id.example"]),
            ClaimRule::one_of("level", [1, 3]),
            ClaimRule::contains("roles", "ops"),
            ClaimRule::contains("roles", 7),
            ClaimRule::contains("roles", true),
            ClaimRule::contains("realm.access.roles", "dev"),
            ClaimRule::gt("exp", 1999),
            ClaimRule::gte("exp", 2000),
            ClaimRule::lt("share", 1),
            ClaimRule::lte("level", 3),
            ClaimRule::gt("large", u64::MAX - 1),
        ] {
            assert!(holds(&rule), "{rule:?}");
        }
    }

    #[test]
    fn a_rule_that_does_not_hold() {
        for rule in [
            ClaimRule::equals("sub", "Alice"),
            ClaimRule::equals("level", "3"),
            ClaimRule::equals("admin", "true"),
            ClaimRule::equals("none", "null"),
            ClaimRule::equals("roles", "ops"),
            ClaimRule::equals("large", u64::MAX - 1),
            ClaimRule::equals("a.b", 1),
            ClaimRule::equals("missing", "alice"),
            ClaimRule::equals("realm.access.missing", "dev"),
            ClaimRule::equals("sub.name", "alice"),
            ClaimRule::equals([""; 0], "alice"),
            ClaimRule::one_of("sub", ["bob", "ali"]),
            ClaimRule::one_of("sub", [""; 0]),
            ClaimRule::one_of("roles", ["ops"]),
            ClaimRule::contains("roles", "op"),
            ClaimRule::contains("roles", "7"),
            ClaimRule::contains("empty", ""),
            ClaimRule::contains("sub", "ali"),
            ClaimRule::contains("sub", "alice"),
            ClaimRule::contains("scope", "read"),
            ClaimRule::contains("realm.access", "roles"),
            ClaimRule::gt("exp", 2000),
            ClaimRule::lt("exp", 2000),
            ClaimRule::gte("sub", 0),
            ClaimRule::lt("missing", 5),
            ClaimRule::lte("none", 5),
            ClaimRule::gt("admin", 0),
            ClaimRule::gt("roles", 0),
        ] {
            assert!(!holds(&rule), "{rule:?}");
        }
    }

    proptest! {
        #[test]
        fn the_four_comparisons_agree(claim: i64, bound: i64, near in -2_i64..3) {
            for bound in [bound, claim.saturating_add(near)] {
                let claims = json!({ "n": claim });
                let holds = |rule: ClaimRule| rule.holds(claims.as_object().unwrap());

                prop_assert_eq!(holds(ClaimRule::gt("n", bound)), claim > bound);
                prop_assert_eq!(holds(ClaimRule::gte("n", bound)), claim >= bound);
                prop_assert_eq!(holds(ClaimRule::lt("n", bound)), claim < bound);
                prop_assert_eq!(holds(ClaimRule::lte("n", bound)), claim <= bound);
                prop_assert_eq!(holds(ClaimRule::equals("n", bound)), claim == bound);
            }
        }
    }
}
