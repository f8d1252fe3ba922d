use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::meters::Meters;
use crate::{HeaderInject, InjectHeaders, InvalidRule, Value};

/// Wraps a service in [`InjectHeaders`].
///
/// A layer and its clones share one policy. Each service has a copy, which its own clones share: services on different cores
/// do not count references in one place.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct HeaderInjectLayer<R = DefaultBody> {
    shared: Arc<Shared>,
    empty: R,
}

/// What a layer and its clones have in common, or a service and its clones.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) policy: HeaderInject,
    pub(crate) meters: Meters,
}

impl HeaderInjectLayer {
    /// A layer that follows `policy`, in which no value has a [name](Value::named).
    ///
    /// # Errors
    ///
    /// [`InvalidRule::UnknownSource`] for the first value that has a name, [`InvalidRule::NoRequest`] for the first
    /// that a response rule wants [from the request](Value::from_request), and [`InvalidRule::NoResponse`] for the first request
    /// rule whose condition asks for a status.
    pub fn new(policy: HeaderInject) -> Result<Self, InvalidRule> {
        Self::resolving(policy, |_| None)
    }

    /// A layer that follows `policy`, where `resolver` says what the [names](Value::named) of values stand for.
    ///
    /// It is asked once for each rule with a name, and never again. With the `serde` feature, a file says such a name as
    /// `from`.
    ///
    /// ```
    /// # use http::header::{HeaderName, HeaderValue};
    /// # use http::request::Parts;
    /// # use portcullis_header_inject::{HeaderInject, HeaderInjectLayer, HeaderRules, Rule, Value};
    /// let rule = Rule::set(HeaderName::from_static("x-method"), Value::named("method"));
    /// let policy = HeaderInject::new().request(HeaderRules::new([rule])?);
    ///
    /// let method = |request: &Parts| HeaderValue::from_str(request.method.as_str()).ok();
    /// let layer = HeaderInjectLayer::resolving(policy, |name| match name {
    ///     "method" => Some(Value::from_request(method)),
    ///     _ => None,
    /// })?;
    /// # Ok::<_, portcullis_header_inject::InvalidRule>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRule::UnknownSource`] for the first name for which `resolver` has no value, or another name;
    /// [`InvalidRule::NotAscii`] for the first value that cannot be sent; [`InvalidRule::NoRequest`] for the first that a
    /// response rule wants [from the request](Value::from_request); [`InvalidRule::NoResponse`] as for [`new`](Self::new).
    pub fn resolving(
        policy: HeaderInject,
        resolver: impl FnMut(&str) -> Option<Value>,
    ) -> Result<Self, InvalidRule> {
        let shared = Shared { policy: policy.resolve(resolver)?, meters: Meters::new() };
        Ok(Self { shared: Arc::new(shared), empty: DefaultBody::new() })
    }
}

impl<R> HeaderInjectLayer<R> {
    /// Makes the empty body of a refusal by `empty`, for a body that has no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> HeaderInjectLayer<F> {
        HeaderInjectLayer { shared: self.shared, empty }
    }
}

impl<S, R: Clone> Layer<S> for HeaderInjectLayer<R> {
    type Service = InjectHeaders<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        InjectHeaders::new(inner, Arc::new(Shared::clone(&self.shared)), self.empty.clone())
    }
}
