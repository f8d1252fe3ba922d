use std::sync::Arc;

use http::header::HeaderName;
use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use super::rules::Rules;
use super::{HostPolicy, HostStrip, NoAuthority};
use crate::meters::Reasons;

/// Wraps a service in [`HostStrip`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct HostStripLayer<R = DefaultBody> {
    rules: Rules,
    empty: R,
}

impl HostStripLayer {
    /// Lets the upstream see the host that `policy` says, and keeps no trace of the client's.
    pub fn new(policy: HostPolicy) -> Self {
        let reasons = [NoAuthority.reason()].into_iter();
        let rejections = Reasons::new("host_strip_rejected_total", reasons);
        let rules = Rules { policy, preserve_as: None, remember: false, rejections };
        Self { rules, empty: DefaultBody::new() }
    }
}

impl<R> HostStripLayer<R> {
    /// Keeps the client's host, as `host[:port]`, in the header `name`.
    ///
    /// It is the remembered one, else the authority of the URI (unless the policy is [`HostPolicy::FromUri`]: then that
    /// is the upstream's), else `Host`. Whatever the client sent in `name` is dropped, so that the upstream can trust
    /// what it finds; there is nothing to find if the client named no host, or a malformed one.
    pub fn preserve_as(mut self, name: HeaderName) -> Self {
        self.rules.preserve_as = Some(name);
        self
    }

    /// Puts the client's host into the request's extensions, as [`OriginalHost`](crate::OriginalHost).
    ///
    /// It is found as for [`preserve_as`](Self::preserve_as), and one that was remembered further out is kept. That
    /// costs an allocation, and another to copy `Host` when the URI has no authority.
    pub fn remember(mut self) -> Self {
        self.rules.remember = true;
        self
    }

    /// Makes the empty body of a refusal by `empty`, for a body that has no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> HostStripLayer<F> {
        HostStripLayer { rules: self.rules, empty }
    }
}

impl<S, R: Clone> Layer<S> for HostStripLayer<R> {
    type Service = HostStrip<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        HostStrip::new(inner, Arc::new(self.rules.clone()), self.empty.clone())
    }
}
