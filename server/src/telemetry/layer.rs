use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body as HttpBody;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::body::Body;
use crate::facts::Facts;
use crate::trace::Tracer;
use crate::tunnel::Tunnel;

use super::record::{CountedBody, Record, TunnelRecord};
use super::{Meters, RecordedBody};

/// Counts and logs every request, by the id that it has been given.
#[derive(Clone, Debug)]
pub struct TelemetryLayer {
    meters: Arc<Meters>,
    tracer: Option<Arc<Tracer>>,
}

impl TelemetryLayer {
    /// Counts in `meters`.
    #[must_use]
    pub const fn new(meters: Arc<Meters>) -> Self {
        Self { meters, tracer: None }
    }

    /// Has requests traced, if there is a tracer.
    pub(crate) fn traced_by(mut self, tracer: Option<Arc<Tracer>>) -> Self {
        self.tracer = tracer;
        self
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = Telemetry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Telemetry { inner, meters: self.meters.clone(), tracer: self.tracer.clone() }
    }
}

/// See [`TelemetryLayer`].
#[derive(Clone, Debug)]
pub struct Telemetry<S> {
    inner: S,
    meters: Arc<Meters>,
    tracer: Option<Arc<Tracer>>,
}

impl<S, B> Service<Request<Body>> for Telemetry<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: HttpBody,
{
    type Response = Response<RecordedBody<B>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let facts = Facts::of(&mut request);
        {
            let mut known = facts.known();
            known.id = request.extensions().get().cloned();
            known.client = request.extensions().get().cloned();
            if let Some(tracer) = &self.tracer {
                let peer = facts.asked().peer.address;
                known.trace = Some(tracer.begin(request.headers_mut(), peer.map(|peer| peer.ip())));
            }
        }
        if !request.body().is_end_stream() {
            let facts = facts.clone();
            request = request.map(|inner| Body::new(CountedBody { inner, facts }));
        }
        let record = Record::new(self.meters.clone(), facts);
        ResponseFuture { inner: self.inner.call(request), record: Some(record) }
    }
}

pin_project! {
    /// The response future of [`Telemetry`]. Dropped before it is done, it says so.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        record: Option<Record>,
    }
}

impl<F, B> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: HttpBody,
{
    type Output = Result<Response<RecordedBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        let mut record = this.record.take();
        if let Some(record) = &mut record {
            record.answered(&response);
        }
        // A tunnel is written down at its end, by whoever holds what is in the response.
        if let Some(tunnel) = response.extensions().get::<Tunnel>().cloned()
            && let Some(record) = record.take()
        {
            response.extensions_mut().insert(TunnelRecord::new(record, tunnel));
        }
        Poll::Ready(Ok(response.map(|body| RecordedBody::new(body, record))))
    }
}
