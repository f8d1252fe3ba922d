use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use http::HeaderMap;
use metrics::Counter;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::context::{Context, TRACEPARENT, TRACESTATE};
use super::{Sampling, Span, SpanId, Trace, TraceId, state};

/// Decides which requests are traced, and leaves their spans to whoever delivers them.
pub(crate) struct Tracer {
    sampling: Sampling,
    spans: mpsc::Sender<Span>,
    /// Tells that there are enough for a delivery.
    enough: Arc<Notify>,
    batch: usize,
    dropped: Counter,
}

impl Tracer {
    /// A tracer, and what comes out of it: spans, up to `room` at a time. Those that there is no room for are counted in
    /// `dropped`; that there are `enough` for a delivery is told.
    pub(crate) fn new(
        sampling: Sampling,
        room: NonZeroUsize,
        dropped: Counter,
    ) -> (Arc<Self>, mpsc::Receiver<Span>, Arc<Notify>) {
        let (spans, received) = mpsc::channel(room.get().min(Semaphore::MAX_PERMITS));
        let enough = Arc::new(Notify::new());
        let batch = BATCH.min(room.get().div_ceil(2));
        let tracer = Self { sampling, spans, enough: enough.clone(), batch, dropped };
        (Arc::new(tracer), received, enough)
    }

    /// Begins with a request from `peer` with these headers. What they say of traces is taken off: upstreams are told by who sends it on.
    pub(crate) fn begin(
        self: &Arc<Self>,
        headers: &mut HeaderMap,
        peer: Option<IpAddr>,
    ) -> Box<Trace> {
        let context = Context::of(headers);
        let decision = self.sampling.decide(peer, context, TraceId::random);
        let state = decision.parent.and_then(|_| state::tracestate(headers));
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
        let random = decision.parent.map_or(0, |parent| parent.flags & Context::RANDOM);
        let flags = random | if decision.is_sampled { Context::SAMPLED } else { 0 };
        let context = Context { trace: decision.trace, span: SpanId::random(), flags };
        let parent = decision.parent.map(|parent| parent.span);
        Box::new(Trace::new(self.clone(), context, state, parent, decision.link, headers))
    }

    /// Leaves a span to be delivered; it never waits.
    pub(super) fn tell(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.dropped.increment(1);
        } else if self.spans.max_capacity() - self.spans.capacity() >= self.batch {
            self.enough.notify_one();
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("sampling", &self.sampling).finish_non_exhaustive()
    }
}

/// How many spans are delivered at once, at most.
pub(crate) const BATCH: usize = 512;
