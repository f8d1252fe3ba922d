use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::provider::ProvideCredentials;
use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::signer::Signer;
use crate::source::Source;
use crate::{SigV4Sign, Signing};

/// Wraps a service in [`SigV4Sign`].
///
/// The services that a layer and its clones wrap share the signing key of the day.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct SigV4SignLayer<R = DefaultBody> {
    signer: Arc<Signer>,
    clock: fn() -> SystemTime,
    empty: R,
}

impl SigV4SignLayer {
    /// Signs as `signing` says, by `credentials`.
    ///
    /// A provider is asked for each request, after its body was read; caching, refreshing and a time limit are the
    /// provider's own. [`Credentials`](aws_credential_types::Credentials) are one themselves: they are at hand at once.
    pub fn new(signing: Signing, credentials: impl ProvideCredentials + 'static) -> Self {
        let signer = Arc::new(Signer::new(signing, Source::new(credentials)));
        Self { signer, clock: SystemTime::now, empty: DefaultBody::new() }
    }
}

impl<R> SigV4SignLayer<R> {
    /// Tells the time by `clock`, asked once for each request. [`SystemTime::now`] by default.
    pub fn clock(mut self, clock: fn() -> SystemTime) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the body of a refusal with `empty`, for response bodies that have no [`Default`].
    pub fn refuse_with<F>(self, empty: F) -> SigV4SignLayer<F> {
        SigV4SignLayer { signer: self.signer, clock: self.clock, empty }
    }
}

impl<S, R: Clone> Layer<S> for SigV4SignLayer<R> {
    type Service = SigV4Sign<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        SigV4Sign::new(inner, Arc::clone(&self.signer), self.clock, self.empty.clone())
    }
}
