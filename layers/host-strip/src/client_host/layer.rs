use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use super::{AmbiguousHost, ClientHost, ClientHostHandle, ClientHostService};
use crate::meters::Reasons;

/// Wraps a service in [`ClientHostService`].
///
/// It belongs where the URI and `Host` still are the client's own, above all that routes or decides by them.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ClientHostLayer<R = DefaultBody> {
    rules: Rules,
    empty: R,
}

/// What a service and its clones have in common.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) policy: ClientHost,
    pub(super) remember: bool,
    pub(super) passed: Arc<AtomicU64>,
    pub(super) rejections: Reasons,
    pub(super) ignored: Reasons,
}

impl ClientHostLayer {
    /// Judges requests by `policy`.
    pub fn new(policy: ClientHost) -> Self {
        let reasons = || AmbiguousHost::ALL.into_iter().map(AmbiguousHost::reason);
        let rules = Rules {
            policy,
            remember: false,
            passed: Arc::default(),
            rejections: Reasons::new("host_strip_rejected_total", reasons()),
            ignored: Reasons::new("host_strip_ignored_total", reasons()),
        };
        Self { rules, empty: DefaultBody::new() }
    }
}

impl<R> ClientHostLayer<R> {
    /// Puts the host into the request's extensions, as [`OriginalHost`](crate::OriginalHost).
    ///
    /// That is the authority of the target, else `Host`; nothing if neither is a host. It costs an allocation, and another to
    /// copy `Host` when the target has no authority.
    pub fn remember(mut self) -> Self {
        self.rules.remember = true;
        self
    }

    /// Makes the empty body of a refusal by `empty`, for a body that has no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> ClientHostLayer<F> {
        ClientHostLayer { rules: self.rules, empty }
    }

    /// Gives a handle that tells what was let pass.
    pub fn handle(&self) -> ClientHostHandle {
        ClientHostHandle::new(self.rules.passed.clone())
    }
}

impl<S, R: Clone> Layer<S> for ClientHostLayer<R> {
    type Service = ClientHostService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        // Of its own, so that services on different cores do not share the reference count.
        ClientHostService::new(inner, Arc::new(self.rules.clone()), self.empty.clone())
    }
}
