use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials;
use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::signer::Signer;
use crate::{RefreshPolicy, SigV4Handle, SigV4Sign, Signing};

/// Wraps a service in [`SigV4Sign`].
///
/// The services that a layer and its clones wrap share the credentials and the signing key of the day.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct SigV4SignLayer<R = DefaultBody> {
    signer: Arc<Signer>,
    empty: R,
}

impl SigV4SignLayer {
    /// Signs as `signing` says, by `credentials`.
    ///
    /// A provider is asked when the first request comes, and then as [`RefreshPolicy`] says: once at a time however many
    /// requests wait, and ahead of the end, so that they wait only where nothing at hand may be used. What it gave is used
    /// until it expires. It is asked in a task of the tokio runtime that the request is on, which needs a timer.
    ///
    /// [`Credentials`](aws_credential_types::Credentials) are a provider themselves: they are at hand at once.
    pub fn new(signing: Signing, credentials: impl ProvideCredentials + 'static) -> Self {
        let signer = Arc::new(Signer::new(signing, credentials));
        Self { signer, empty: DefaultBody::new() }
    }
}

impl<R> SigV4SignLayer<R> {
    /// Tells the time by `clock`, asked once for each request. [`SystemTime::now`] by default.
    ///
    /// What was cloned from the layer before, and handles, stay with what they share.
    pub fn clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.signer = Arc::new(self.signer.clock(clock));
        self
    }

    /// Asks the provider for credentials again as `policy` says. [`RefreshPolicy::new`] by default.
    ///
    /// What was cloned from the layer before, and handles, stay with what they share.
    pub fn refresh(mut self, policy: RefreshPolicy) -> Self {
        self.signer = Arc::new(self.signer.refresh(policy));
        self
    }

    /// Makes the body of a refusal with `empty`, for response bodies that have no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> SigV4SignLayer<F> {
        SigV4SignLayer { signer: self.signer, empty }
    }

    /// Looks at the credentials of this layer, its clones and what they wrap.
    pub fn handle(&self) -> SigV4Handle {
        SigV4Handle::new(Arc::clone(&self.signer))
    }
}

impl<S, R: Clone> Layer<S> for SigV4SignLayer<R> {
    type Service = SigV4Sign<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SigV4Sign::new(inner, Arc::clone(&self.signer), self.empty.clone())
    }
}
