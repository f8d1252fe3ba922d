use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{ClaimPath, weight};

/// The claims of a verified token: found in the extensions of the request.
///
/// A clone is a reference to the same claims. [`Debug`](fmt::Debug) shows their names alone, since the values may be
/// personal. One that did not come from the layer can be made of pairs, to test a handler with.
#[derive(Clone, PartialEq)]
pub struct Claims(Arc<Map<String, Value>>);

impl Claims {
    pub(crate) fn new(claims: Map<String, Value>) -> Self {
        Self(Arc::new(claims))
    }

    /// What they take in memory.
    pub(crate) fn weight(&self) -> usize {
        weight::members(&self.0)
    }

    pub(crate) fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The claim of that name, at the top level.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// What the path leads to.
    #[must_use]
    pub fn at(&self, path: &ClaimPath) -> Option<&Value> {
        path.in_object(&self.0)
    }

    /// Whom the token is about (`sub`).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.get("sub").and_then(Value::as_str)
    }

    /// Who issued the token (`iss`).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss").and_then(Value::as_str)
    }

    /// Reads the claims as a type of the application's.
    ///
    /// # Errors
    ///
    /// When they do not fit; the message may quote values.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        T::deserialize(&*self.0)
    }
}

impl FromIterator<(String, Value)> for Claims {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(claims: I) -> Self {
        Self::new(claims.into_iter().collect())
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims")?;
        f.debug_set().entries(self.0.keys()).finish()
    }
}
