use std::fmt;
use std::ptr;
use std::sync::Arc;

use http::header::HeaderValue;
use http::request::Parts;

use crate::{Secret, Source, base64};

/// What a header is set to: a [`HeaderValue`], a [`Secret`], or what a request says.
///
/// Two values that a request says are equal when one is a clone of the other. A [secret](Self::secret) one is not equal to
/// one that is none.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a value does nothing until it is in a rule"]
pub struct Value {
    origin: Origin,
    prefix: Option<HeaderValue>,
    base64: bool,
    secret: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Origin {
    Static(HeaderValue),
    Secret(Secret),
    Request(Asked),
    Named(Box<str>),
    /// What a name stood for, which has a form of its own.
    Value(Box<Value>),
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
    /// A value with bytes beyond visible ASCII, space and tab counts as none, unless it goes [in base64](Self::in_base64).
    pub fn from_request(source: impl Source + 'static) -> Self {
        Self::new(Origin::Request(Asked(Arc::new(source))))
    }

    /// What `name` stands for, which [`HeaderInjectLayer::resolving`](crate::HeaderInjectLayer::resolving) asks the
    /// application once.
    pub fn named(name: impl Into<Box<str>>) -> Self {
        Self::new(Origin::Named(name.into()))
    }

    /// Any bytes, in base64: what gRPC has in metadata whose name ends in `-bin`.
    pub fn of_bytes(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut text = Vec::with_capacity(base64::encoded_len(bytes.len()));
        base64::encode(bytes, &mut text);
        // Digits of base64 are always a value.
        Self::from(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("")))
    }

    /// Sends the value in base64 without padding, as gRPC has it in metadata whose name ends in `-bin`.
    ///
    /// For what a request says, and for a [`Secret`], that is an allocation each time.
    pub const fn in_base64(mut self) -> Self {
        self.base64 = true;
        self
    }

    /// Sends `prefix` and the value right after it, as in `Bearer abc`; nothing where there is no value.
    ///
    /// For what a request says, and for a [`Secret`], that is an allocation each time.
    pub fn prefixed(mut self, prefix: HeaderValue) -> Self {
        self.prefix = Some(prefix);
        self
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

    const fn new(origin: Origin) -> Self {
        Self { origin, prefix: None, base64: false, secret: false }
    }

    /// The value for this request, if there is one.
    pub(crate) fn ask(&self, request: &Parts) -> Option<HeaderValue> {
        match &self.origin {
            Origin::Request(source) => self.form(source.0.value(request)?),
            Origin::Value(value) => self.form(value.ask(request)?),
            _ => self.fixed(),
        }
    }

    /// The value that needs no request.
    pub(crate) fn fixed(&self) -> Option<HeaderValue> {
        match &self.origin {
            Origin::Static(value) if self.is_settled() => Some(value.clone()),
            Origin::Static(value) => self.form(value.clone()),
            Origin::Secret(secret) => self.form(secret.value()),
            Origin::Value(value) => self.form(value.fixed()?),
            Origin::Request(_) | Origin::Named(_) => None,
        }
    }

    /// What is sent for what the origin says; none if it cannot be.
    fn form(&self, raw: HeaderValue) -> Option<HeaderValue> {
        let mut value = if self.is_settled() { raw } else { self.formed(&raw)? };
        if !is_ascii(&value) {
            return None;
        }
        if self.secret {
            value.set_sensitive(true);
        }
        Some(value)
    }

    fn formed(&self, raw: &HeaderValue) -> Option<HeaderValue> {
        let prefix = self.prefix.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        let plain_len = prefix.len() + raw.len();
        let mut text = Vec::with_capacity(plain_len);
        text.extend_from_slice(prefix);
        text.extend_from_slice(raw.as_bytes());
        if self.base64 {
            let plain =
                std::mem::replace(&mut text, Vec::with_capacity(base64::encoded_len(plain_len)));
            base64::encode(&plain, &mut text);
        }
        HeaderValue::try_from(text).ok()
    }

    /// Whether the origin is sent as it is.
    const fn is_settled(&self) -> bool {
        self.prefix.is_none() && !self.base64
    }

    pub(crate) fn needs_request(&self) -> bool {
        match &self.origin {
            Origin::Request(_) => true,
            Origin::Value(value) => value.needs_request(),
            Origin::Static(_) | Origin::Secret(_) | Origin::Named(_) => false,
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        if let Origin::Named(name) = &self.origin { Some(name) } else { None }
    }

    /// Takes over what the name stood for, in the form and as secret as the name was to be.
    pub(crate) fn stand_for(&mut self, other: Self) {
        if self.is_settled() {
            *self = if self.secret { other.secret() } else { other };
        } else {
            self.secret |= other.secret;
            self.origin = Origin::Value(Box::new(other));
        }
    }

    /// Gives what never changes the form in which it is sent, once and for all. False if it cannot be sent.
    pub(crate) fn settle(&mut self) -> bool {
        if self.name().is_some() || self.needs_request() || self.has_secret() {
            return true; // known later
        }
        let Some(value) = self.fixed().filter(is_ascii) else { return false };
        *self = Self { secret: self.secret, ..Self::new(Origin::Static(value)) };
        true
    }

    fn has_secret(&self) -> bool {
        match &self.origin {
            Origin::Secret(_) => true,
            Origin::Value(value) => value.has_secret(),
            Origin::Static(_) | Origin::Request(_) | Origin::Named(_) => false,
        }
    }
}

impl From<HeaderValue> for Value {
    fn from(value: HeaderValue) -> Self {
        Self { secret: value.is_sensitive(), ..Self::new(Origin::Static(value)) }
    }
}

impl From<&Secret> for Value {
    fn from(secret: &Secret) -> Self {
        Self { secret: true, ..Self::new(Origin::Secret(secret.clone())) }
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self { secret: true, ..Self::new(Origin::Secret(secret)) }
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
