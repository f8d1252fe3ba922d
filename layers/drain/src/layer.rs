use std::sync::Arc;

use portcullis_refusal::DefaultBody;
use tower_layer::Layer;

use crate::shutdown::Shutdown;
use crate::{Deadlines, Drain, DrainHandle};

/// Wraps a service in [`Drain`].
///
/// All services that a layer and its clones wrap shut down together. Each of them counts for itself, so that services on
/// different threads do not get into each other's way; the clones of one share its count.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct DrainLayer<R = DefaultBody> {
    shutdown: Arc<Shutdown>,
    signals: bool,
    empty: R,
}

impl DrainLayer {
    /// A layer with nothing in flight, whose shutdown keeps to `deadlines`.
    pub fn new(deadlines: Deadlines) -> Self {
        Self { shutdown: Shutdown::new(deadlines), signals: false, empty: DefaultBody::new() }
    }
}

impl<R> DrainLayer<R> {
    /// Makes the empty body of a refusal by `empty`, for response bodies without a default.
    pub fn refuse_with<N>(self, empty: N) -> DrainLayer<N> {
        DrainLayer { shutdown: self.shutdown, signals: self.signals, empty }
    }

    /// Puts a [`DrainSignal`](crate::DrainSignal) in the extensions of each request, for handlers that go on until they
    /// are told to end.
    ///
    /// Extensions are boxed: it is an allocation for each request, and two more where it is the first extension. Without
    /// it a handler may get the signal from [`DrainHandle::signal`], which costs requests nothing.
    pub fn signal_handlers(self) -> Self {
        Self { signals: true, ..self }
    }

    /// A handle to shut this layer's services down, and to see what is in flight.
    pub fn handle(&self) -> DrainHandle {
        DrainHandle::new(self.shutdown.clone())
    }
}

/// Shuts down within the default [`Deadlines`].
impl Default for DrainLayer {
    fn default() -> Self {
        Self::new(Deadlines::default())
    }
}

impl<S, R: Clone> Layer<S> for DrainLayer<R> {
    type Service = Drain<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Drain::new(inner, self.shutdown.open_shard(), self.signals, self.empty.clone())
    }
}
