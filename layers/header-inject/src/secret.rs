use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::HeaderValue;

/// A value that may be replaced while it is in use: clones hold the same one.
///
/// It is always [sensitive](HeaderValue::set_sensitive). A request that is on its way has the value of the moment in which it
/// passed; to read it takes no lock. With bytes beyond visible ASCII, space and tab it counts as none.
///
/// ```
/// use http::header::{AUTHORIZATION, HeaderValue};
/// use portcullis_header_inject::{Rule, Secret, Value};
///
/// let token = Secret::new(HeaderValue::from_static("of-today"));
/// let value = Value::from(&token).prefixed(HeaderValue::from_static("Bearer "));
/// let rule = Rule::set(AUTHORIZATION, value).allow_protected();
///
/// token.replace(HeaderValue::from_static("of-tomorrow"));
/// ```
#[derive(Clone)]
#[must_use = "a secret does nothing until it is in a rule"]
pub struct Secret(Arc<ArcSwap<HeaderValue>>);

impl Secret {
    /// Holds `value` until it is replaced.
    pub fn new(value: HeaderValue) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// Puts `value` in place of the one before, for all requests that come from now on.
    pub fn replace(&self, value: HeaderValue) {
        self.0.store(Arc::new(value));
    }

    pub(crate) fn value(&self) -> HeaderValue {
        HeaderValue::clone(&self.0.load())
    }
}

/// Secrets are equal when one is a clone of the other, and so always hold the same.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
