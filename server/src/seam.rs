use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::{Service, ServiceExt};

use crate::body::Body;
use crate::upstream;

/// What the connections of a worker serve: it answers everything, errors included.
pub type Edge = Seam<Infallible>;

/// What a route leads to.
pub type Backend = Seam<upstream::Error>;

/// One replica of an upstream, with all that belongs to it alone.
pub type Replica = Seam<upstream::Error>;

/// A service whose type is forgotten: one pointer to clone, one allocation for each call.
///
/// It is always ready. Each call readies a clone of the service inside, in its own future.
pub struct Seam<E>(Arc<dyn Call<E>>);

type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

trait Call<E>: Send + Sync {
    fn call(&self, request: Request<Body>) -> Answer<E>;
}

impl<S> Call<S::Error> for S
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Error: 'static,
{
    fn call(&self, request: Request<Body>) -> Answer<S::Error> {
        Box::pin(self.clone().oneshot(request))
    }
}

impl<E> Seam<E> {
    /// Forgets the type of `service`.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = E, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
        E: 'static,
    {
        Self(Arc::new(service))
    }
}

impl<E> Clone for Seam<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> fmt::Debug for Seam<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seam")
    }
}

impl<E> Service<Request<Body>> for Seam<E> {
    type Response = Response<Body>;
    type Error = E;
    type Future = Answer<E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request)
    }
}
