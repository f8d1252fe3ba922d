use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use portcullis_replica_failover::ReplayBody;
use tower::layer::util::Stack;
use tower::{Layer, Service, ServiceExt};

use crate::body::Body;
use crate::route::Routes;
use crate::upstream;

/// What the connections of a worker serve: it answers everything, errors included.
pub type Edge = Seam<Infallible>;

/// What a route leads to.
pub type Backend = Seam<upstream::Error>;

/// One replica of an upstream, with all that belongs to it alone. Its requests may be sent elsewhere, too.
pub type Replica = Seam<upstream::Error, ReplayBody<Body>>;

/// A service whose type is forgotten: one pointer to clone, one allocation for each call.
///
/// It is always ready. A service inside that is ready at once, as most are, is called as it is; one that is not is cloned,
/// and the clone readied in the future of its call.
pub struct Seam<E, B = Body>(Arc<dyn Call<E, B>>);

pub(crate) type Answering<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

trait Call<E, B>: Send + Sync {
    fn call(&self, request: Request<B>) -> Answering<E>;
}

struct Shared<S> {
    untouched: S,
    /// Called again and again: to clone a stack costs a count for each of its layers.
    service: Mutex<S>,
}

impl<S: Clone> Shared<S> {
    fn new(service: S) -> Self {
        Self { untouched: service.clone(), service: Mutex::new(service) }
    }

    /// The service, unless another thread calls it just now.
    fn service(&self) -> Option<MutexGuard<'_, S>> {
        match self.service.try_lock() {
            Ok(service) => Some(service),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(broken)) => {
                // What a panic left is never called again.
                let mut service = broken.into_inner();
                *service = self.untouched.clone();
                self.service.clear_poison();
                Some(service)
            }
        }
    }
}

impl<S, B> Call<S::Error, B> for Shared<S>
where
    S: Service<Request<B>, Response = Response<Body>, Future: Send> + Clone + Send + Sync + 'static,
    S::Error: 'static,
    B: Send + 'static,
{
    fn call(&self, request: Request<B>) -> Answering<S::Error> {
        if let Some(mut service) = self.service() {
            if let Poll::Ready(Ok(())) = service.poll_ready(&mut Context::from_waker(Waker::noop()))
            {
                return Box::pin(service.call(request));
            }
            // It may stand in a queue, and nobody would call it when its turn comes.
            *service = self.untouched.clone();
        }
        Box::pin(self.untouched.clone().oneshot(request))
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
        Self(Arc::new(Shared::new(service)))
    }

    /// As [`call`](Service::call), for whoever has but a share of it.
    pub(crate) fn send(&self, request: Request<B>) -> Answering<E> {
        self.0.call(request)
    }
}

impl Backend {
    /// Routes are a seam as they are: each call is that of the backend they find.
    pub(crate) fn of_routes(routes: Routes) -> Self {
        Self(Arc::new(routes))
    }
}

impl Call<upstream::Error, Body> for Routes {
    fn call(&self, request: Request<Body>) -> Answering<upstream::Error> {
        self.send(request)
    }
}

/// A stack whose type is forgotten by the first optional layer that is laid over it. Most routes have none there, and are
/// spared a seam.
#[derive(Debug)]
pub(crate) enum Open<S, E> {
    Known(S),
    Forgotten(Seam<E>),
}

/// Makes an [`Open`] stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenLayer;

impl<S: Service<Request<Body>>> Layer<S> for OpenLayer {
    type Service = Open<S, S::Error>;

    fn layer(&self, inner: S) -> Self::Service {
        Open::Known(inner)
    }
}

/// `layer` over an [`Open`] stack, whose type is forgotten at the latest with that of the layer.
pub(crate) const fn closing<L>(layer: L) -> Closing<L> {
    Closing(layer)
}

/// See [`closing`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing<L>(L);

impl<L, S, E> Layer<Open<S, E>> for Closing<L>
where
    L: Layer<S> + Layer<Seam<E>>,
    <L as Layer<S>>::Service: Service<Request<Body>, Response = Response<Body>, Error = E, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    <L as Layer<Seam<E>>>::Service: Service<Request<Body>, Response = Response<Body>, Error = E, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    E: 'static,
{
    type Service = Seam<E>;

    fn layer(&self, inner: Open<S, E>) -> Seam<E> {
        match inner {
            Open::Known(inner) => Seam::new(self.0.layer(inner)),
            Open::Forgotten(inner) => Seam::new(self.0.layer(inner)),
        }
    }
}

/// `layer` over a seam, if there is one, and in its place nothing at all if there is none.
pub(crate) const fn maybe<L>(layer: Option<L>) -> Maybe<L> {
    Maybe(layer)
}

/// See [`maybe`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maybe<L>(Option<L>);

impl<L, E> Layer<Seam<E>> for Maybe<L>
where
    L: Layer<Seam<E>>,
    L::Service: Service<Request<Body>, Response = Response<Body>, Error = E, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    E: 'static,
{
    type Service = Seam<E>;

    fn layer(&self, inner: Seam<E>) -> Seam<E> {
        match &self.0 {
            Some(layer) => Seam::new(layer.layer(inner)),
            None => inner,
        }
    }
}

impl<L, S, E> Layer<Open<S, E>> for Maybe<L>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = E, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    Self: Layer<Seam<E>, Service = Seam<E>>,
    E: 'static,
{
    type Service = Open<S, E>;

    fn layer(&self, inner: Open<S, E>) -> Open<S, E> {
        match inner {
            inner if self.0.is_none() => inner,
            Open::Known(inner) => Open::Forgotten(self.layer(Seam::new(inner))),
            Open::Forgotten(inner) => Open::Forgotten(self.layer(inner)),
        }
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
    type Future = Answering<E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.send(request)
    }
}
