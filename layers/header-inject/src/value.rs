use std::fmt;
use std::ptr;
use std::sync::Arc;

use http::header::HeaderValue;
use http::request::Parts;

use crate::Source;

/// What a header is set to: a [`HeaderValue`], or what a request says.
///
/// Two values that a request says are equal when one is a clone of the other. A [secret](Self::secret) one is not equal to
/// one that is none.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a value does nothing until it is in a rule"]
pub struct Value {
    origin: Origin,
    secret: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Origin {
    Static(HeaderValue),
    Request(Asked),
    Named(Box<str>),
}

#[derive(Clone)]
struct Asked(Arc<dyn Source>);

impl Value {
    /// What `source` says of each request: for request rules alone.
    ///
    /// ```
    /// use http::header::{HeaderName, HeaderValue};
    /// use http::request::Parts;
    /// use portcullis_header_inject::{Rule, Value};
    ///
    /// #[derive(Clone)]
    /// struct User(u64);
    ///
    /// let user = |request: &Parts| request.extensions.get().map(|User(id)| HeaderValue::from(*id));
    /// let rule = Rule::set(HeaderName::from_static("x-user"), Value::from_request(user));
    /// ```
    ///
    /// A value with bytes beyond visible ASCII, space and tab counts as none.
    pub fn from_request(source: impl Source + 'static) -> Self {
        Self { origin: Origin::Request(Asked(Arc::new(source))), secret: false }
    }

    /// What `name` stands for, which [`HeaderInjectLayer::resolving`](crate::HeaderInjectLayer::resolving) asks the
    /// application once.
    pub fn named(name: impl Into<Box<str>>) -> Self {
        Self { origin: Origin::Named(name.into()), secret: false }
    }

    /// Marks the value [sensitive](HeaderValue::set_sensitive), wherever it comes from: it is not printed by `Debug`, and
    /// not stored by header compression.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        if let Origin::Static(value) = &mut self.origin {
            value.set_sensitive(true);
        }
        self
    }

    /// The value for this request, if there is one.
    pub(crate) fn ask(&self, request: &Parts) -> Option<HeaderValue> {
        let Origin::Request(source) = &self.origin else {
            return self.fixed();
        };
        let mut value = source.0.value(request).filter(is_ascii)?;
        if self.secret {
            value.set_sensitive(true);
        }
        Some(value)
    }

    /// The value that needs no request.
    pub(crate) fn fixed(&self) -> Option<HeaderValue> {
        if let Origin::Static(value) = &self.origin { Some(value.clone()) } else { None }
    }

    pub(crate) fn needs_request(&self) -> bool {
        matches!(self.origin, Origin::Request(_))
    }

    pub(crate) fn name(&self) -> Option<&str> {
        if let Origin::Named(name) = &self.origin { Some(name) } else { None }
    }

    /// Takes over what the name stood for, and keeps it as secret as the name was.
    pub(crate) fn stand_for(&mut self, other: Self) {
        *self = if self.secret { other.secret() } else { other };
    }

    /// Whether the value can be sent; one that is not known yet can.
    pub(crate) fn is_ascii(&self) -> bool {
        if let Origin::Static(value) = &self.origin { is_ascii(value) } else { true }
    }
}

impl From<HeaderValue> for Value {
    fn from(value: HeaderValue) -> Self {
        Self { secret: value.is_sensitive(), origin: Origin::Static(value) }
    }
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        // The address alone: one type may have several vtables.
        ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl Eq for Asked {}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

fn is_ascii(value: &HeaderValue) -> bool {
    value.to_str().is_ok()
}
