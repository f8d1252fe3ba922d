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
