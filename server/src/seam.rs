use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_replica_failover::ReplayBody;
use tower::layer::util::Stack;
use tower::{Layer, Service, ServiceExt};

use crate::body::Body;
use crate::upstream;

/// What the connections of a worker serve: it answers everything, errors included.
pub type Edge = Seam<Infallible>;

/// What a route leads to.
pub type Backend = Seam<upstream::Error>;

/// One replica of an upstream, with all that belongs to it alone. Its requests may be sent elsewhere, too.
pub type Replica = Seam<upstream::Error, ReplayBody<Body>>;

/// A service whose type is forgotten: one pointer to clone, one allocation for each call.
///
/// It is always ready. Each call readies a clone of the service inside, in its own future.
pub struct Seam<E, B = Body>(Arc<dyn Call<E, B>>);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

trait Call<E, B>: Send + Sync {
    fn call(&self, request: Request<B>) -> Answer<E>;
}

impl<S, B> Call<S::Error, B> for S
where
    S: Service<Request<B>, Response = Response<Body>, Future: Send> + Clone + Send + Sync + 'static,
    S::Error: 'static,
    B: Send + 'static,
{
    fn call(&self, request: Request<B>) -> Answer<S::Error> {
        Box::pin(self.clone().oneshot(request))
    }
}

impl<E, B> Seam<E, B> {
    /// Forgets the type of `service`.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request<B>, Response = Response<Body>, Error = E, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        E: 'static,
        B: Send + 'static,
    {
        Self(Arc::new(service))
    }
}

/// `layer` with its futures boxed.
///
/// For one that is mostly not there: an `Either` is as large as the larger of its two, and is moved at each call.
pub(crate) const fn boxed<L>(layer: L) -> Stack<L, BoxFutureLayer> {
    Stack::new(layer, BoxFutureLayer)
}

/// See [`boxed`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoxFutureLayer;

impl<S> Layer<S> for BoxFutureLayer {
    type Service = BoxFuture<S>;

    fn layer(&self, inner: S) -> BoxFuture<S> {
        BoxFuture(inner)
    }
}

/// See [`boxed`].
#[derive(Clone, Debug)]
pub(crate) struct BoxFuture<S>(S);

impl<S, R> Service<R> for BoxFuture<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Box::pin(self.0.call(request))
    }
}

impl<E, B> Clone for Seam<E, B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E, B> fmt::Debug for Seam<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seam")
    }
}

impl<E, B> Service<Request<B>> for Seam<E, B> {
    type Response = Response<Body>;
    type Error = E;
    type Future = Answer<E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.0.call(request)
    }
}
