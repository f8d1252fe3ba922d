mod statuses;
mod media_type;
mod presence;
mod invalid;

pub use invalid::InvalidCondition;
pub use media_type::MediaType;
pub use statuses::Statuses;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::request::Parts;
use http::{Extensions, Method, StatusCode};

use self::presence::Presence;
use crate::Value;

/// When a rule acts: if all of this is so. By default, always.
///
/// It sees the headers as the rules before its own left them.
///
/// ```
/// use http::header::{CACHE_CONTROL, HeaderValue};
/// use portcullis_header_inject::{Condition, Rule, Statuses};
///
/// let failed = Condition::new().status(Statuses::CLIENT_ERROR).status(Statuses::SERVER_ERROR);
/// let rule = Rule::set(CACHE_CONTROL, HeaderValue::from_static("no-store")).when(failed);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use = "a condition does nothing until it is a rule's"]
pub struct Condition {
    methods: Vec<Method>,
    statuses: Vec<Statuses>,
    present: Vec<HeaderName>,
    absent: Vec<HeaderName>,
    media_types: Vec<MediaType>,
    extensions: Vec<Presence>,
    known: Vec<Value>,
}

impl Condition {
    /// Always.
    pub fn new() -> Self {
        Self::default()
    }

    /// If the request has this method, or another that is given: for rules of requests alone.
    pub fn method(mut self, method: Method) -> Self {
        self.methods.push(method);
        self
    }

    /// If the response has one of these, or other `statuses` that are given: for rules of responses alone.
    pub fn status(mut self, statuses: impl Into<Statuses>) -> Self {
        self.statuses.push(statuses.into());
        self
    }

    /// If the message has this header, even with an empty value, and all others that are given.
    pub fn has(mut self, name: HeaderName) -> Self {
        self.present.push(name);
        self
    }

    /// If the message has neither this header nor any other that is given.
    pub fn lacks(mut self, name: HeaderName) -> Self {
        self.absent.push(name);
        self
    }

    /// If the message has content of this type, or of another that is given, whatever its parameters.
    pub fn content_type(mut self, media_type: MediaType) -> Self {
        self.media_types.push(media_type);
        self
    }

    /// If the message has an extension of the type `T`, and all others that are given: the request for a rule of requests,
    /// the response for one of responses.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.extensions.push(Presence::of::<T>());
        self
    }

    /// If there is such a value, and all others that are given. One that comes [from the request](Value::from_request) is for
    /// rules of requests alone; one that has a [name](Value::named) is what the application says.
    pub fn known(mut self, value: impl Into<Value>) -> Self {
        self.known.push(value.into());
        self
    }

    pub(crate) fn holds_for_request(&self, request: &Parts) -> bool {
        (self.methods.is_empty() || self.methods.contains(&request.method))
            && self.holds_for(&request.headers, &request.extensions)
            && self.known.iter().all(|value| value.ask(request).is_some())
    }

    pub(crate) fn holds_for_response(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> bool {
        (self.statuses.is_empty() || self.statuses.iter().any(|statuses| statuses.have(status)))
            && self.holds_for(headers, extensions)
            && self.known.iter().all(|value| value.fixed().is_some())
    }

    fn holds_for(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        self.present.iter().all(|name| headers.contains_key(name))
            && !self.absent.iter().any(|name| headers.contains_key(name))
            && (self.media_types.is_empty() || self.has_media_type(headers))
            && self.extensions.iter().all(|presence| (presence.is_in)(extensions))
    }

    fn has_media_type(&self, headers: &HeaderMap) -> bool {
        let content_type = headers.get(CONTENT_TYPE);
        content_type.is_some_and(|value| self.media_types.iter().any(|known| known.is(value)))
    }

    pub(crate) fn asks_for_method(&self) -> bool {
        !self.methods.is_empty()
    }

    pub(crate) fn asks_for_status(&self) -> bool {
        !self.statuses.is_empty()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.known.iter()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.known.iter_mut()
    }
}
