use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{Response, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use portcullis_forwarded::Client;
use portcullis_replica_failover::{Attempt, Attempts};
use portcullis_request_id::RequestId;
use tokio::time::Instant;

use crate::body::Error;
use crate::facts::Facts;
use crate::respond::client_closed_request;
use crate::tunnel::Tunnel;

use super::access::Access;
use super::span::{self, Ended};
use super::{Meters, RouteMeters};

/// What is going to be said of a request: it is written when this is dropped, so nothing that can
/// happen to a request goes unsaid.
#[derive(Debug)]
pub(super) struct Record {
    meters: Arc<Meters>,
    facts: Facts,
    status: Option<StatusCode>,
    tried: Option<String>,
    started: Option<Instant>,
    sent: u64,
    complete: bool,
}

impl Record {
    #[must_use]
    pub(super) fn new(meters: Arc<Meters>, facts: Facts) -> Self {
        meters.in_flight.increment(1.0);
        let (status, tried, started) = Default::default();
        Self { meters, facts, status, tried, started, sent: 0, complete: false }
    }

    /// The headers of the response are ready.
    pub(super) fn answered<B>(&mut self, response: &Response<B>) {
        if let Some(attempts) = response.extensions().get::<Attempts>() {
            self.tried = tried(attempts.trail());
            self.tell(attempts);
        }
        self.status = Some(response.status());
        self.started = Some(Instant::now());
    }

    /// Says where a request went on, and when no replica was left.
    fn tell(&self, attempts: &Attempts) {
        let known = self.facts.known();
        let route = known.route.as_deref().map(RouteMeters::name);
        let id = known.id.as_ref().map(RequestId::as_str);
        let trail = attempts.trail();
        let onwards = trail.iter().skip(1).map(Attempt::replica).chain(attempts.served_by());
        for (attempt, (failed, to)) in (1_u32..).zip(trail.iter().zip(onwards)) {
            let (from, reason) = (failed.replica(), failed.reason());
            tracing::warn!(request_id = id, route, from, to, %reason, attempt, "failover");
        }
        if attempts.served_by().is_none() && !trail.is_empty() {
            let (attempts, tried) = (attempts.count(), self.tried.as_deref());
            tracing::error!(request_id = id, route, attempts, tried, "all replicas failed");
        }
    }

    /// Whose fault it is when a response does not come to its end.
    fn cut_off_by(&self, error: Option<&Error>) {
        let reason = error.map_or("client_closed", |error| error.side().reason());
        self.facts.known().reason.get_or_insert(reason);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.status.is_none() || !self.complete {
            self.cut_off_by(None);
        }
        self.meters.in_flight.decrement(1.0);
        let now = Instant::now();
        let asked = self.facts.asked();
        let mut known = self.facts.known();
        let trace = known.trace.take();
        let route = known.route.as_deref().unwrap_or(&self.meters.unrouted);
        let status = self.status.unwrap_or_else(client_closed_request);
        let received = self.facts.received().load(Relaxed);

        route.answered(&asked.method, status);
        route.duration().record(now.duration_since(asked.start));
        if let Some(started) = self.started {
            route.start().record(started.duration_since(asked.start));
        }
        route.received().increment(received);
        route.sent().increment(self.sent);
        if let Some(reason) = known.reason {
            route.refused(reason);
        }

        let is_logged = Access::is_wanted();
        if trace.is_none() && !is_logged {
            return;
        }
        let client = known.client.as_ref();
        let peer = client.and_then(Client::peer).filter(|peer| {
            // Who comes without a proxy is said once.
            client.map(Client::address) != Some(*peer)
        });
        // To the microsecond: more digits say nothing.
        let milliseconds =
            |to: Instant| (to.duration_since(asked.start).as_secs_f64() * 1e6).round() / 1e3;
        let context = trace.as_ref().map(|trace| trace.context());
        let access = Access {
            request_id: known.id.as_ref().map(RequestId::as_str),
            trace_id: context.map(|context| context.trace),
            span_id: context.map(|context| context.span),
            client: client.map(Client::address),
            client_port: client.and_then(Client::port),
            peer,
            client_certificate: asked.peer.certificate.as_ref().map(|shown| shown.subject.as_str()),
            method: asked.method.as_str(),
            path: asked.uri.path(),
            version: asked.version,
            route: route.name(),
            replica: known.replica.as_deref(),
            attempts: known.attempts,
            tried: self.tried.as_deref(),
            status: status.as_u16(),
            reason: known.reason,
            error: known.error.as_deref(),
            start_ms: self.started.map(milliseconds),
            duration_ms: milliseconds(now),
            request_bytes: received,
            response_bytes: self.sent,
        };
        if is_logged {
            access.write();
        }
        if let Some(trace) = trace {
            let ended = Ended {
                took: now.duration_since(asked.start),
                asked,
                route,
                scheme: client.map(|client| client.scheme().as_str()),
                is_answered: self.status.is_some(),
                is_complete: self.complete,
            };
            span::tell(*trace, &access, &ended);
        }
    }
}

/// What is going to be said of a request that has become a tunnel, when the last clone of this is dropped.
#[derive(Clone, Debug)]
pub(super) struct TunnelRecord(#[expect(dead_code, reason = "held for its drop")] Arc<OpenTunnel>);

#[derive(Debug)]
struct OpenTunnel {
    record: Record,
    tunnel: Tunnel,
}

impl TunnelRecord {
    pub(super) fn new(record: Record, tunnel: Tunnel) -> Self {
        record.meters.tunnels.increment(1.0);
        Self(Arc::new(OpenTunnel { record, tunnel }))
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        let Self { record, tunnel } = self;
        record.meters.tunnels.decrement(1.0);
        record.facts.received().store(tunnel.received(), Relaxed);
        record.sent = tunnel.sent();
        record.complete = true;
        if let Some(reason) = tunnel.end().reason() {
            record.facts.known().reason.get_or_insert(reason);
        }
    }
}

/// What did not answer, and why not, in order.
fn tried(trail: &[Attempt]) -> Option<String> {
    let attempts: Vec<_> = trail.iter().map(Attempt::to_string).collect();
    (!attempts.is_empty()).then(|| attempts.join(", "))
}

pin_project! {
    /// A response body that is counted, and at whose end the request is written down.
    #[derive(Debug)]
    pub struct RecordedBody<B> {
        #[pin]
        inner: B,
        record: Option<Record>,
    }
}

impl<B: HttpBody> RecordedBody<B> {
    pub(super) fn new(inner: B, record: Option<Record>) -> Self {
        let mut body = Self { inner, record };
        if body.inner.is_end_stream() {
            Self::end(&mut body.record, true);
        }
        body
    }

    fn end(record: &mut Option<Record>, complete: bool) {
        if let Some(mut record) = record.take() {
            record.complete = complete;
        }
    }
}

impl<B: HttpBody<Data = Bytes, Error = Error>> HttpBody for RecordedBody<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        let Some(record) = this.record else {
            return Poll::Ready(frame);
        };
        let more = match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                record.sent += u64::try_from(bytes).unwrap_or(u64::MAX);
                frame.is_data() && !this.inner.is_end_stream()
            }
            Some(Err(error)) => {
                record.cut_off_by(Some(error));
                false
            }
            None => false,
        };
        if !more {
            Self::end(this.record, !matches!(frame, Some(Err(_))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

pin_project! {
    /// A request body that is counted, which may outlive the response.
    #[derive(Debug)]
    pub(super) struct CountedBody<B> {
        #[pin]
        pub(super) inner: B,
        pub(super) facts: Facts,
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            this.facts.received().fetch_add(bytes, Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
