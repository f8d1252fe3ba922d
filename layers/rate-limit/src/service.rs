use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};
use tower_service::Service;

use crate::future::Held;
use crate::gate::{Gate, Step};
use crate::rejection::Reply;
use crate::store::Asked;
use crate::{InMemory, ResponseFuture, Store};

/// Asks the inner service only as often as the limits let it; see [`RateLimitLayer`](crate::RateLimitLayer).
///
/// The inner service is cloned when a request is refused, or has to wait: what it had reserved by being ready (a permit, a
/// place in a buffer) is let go at once, and a request that has waited readies a clone of its own.
pub struct RateLimit<S, St = InMemory, R = DefaultBody> {
    inner: S,
    gate: Arc<Gate<St>>,
    empty: R,
}

impl<S, St, R> RateLimit<S, St, R> {
    pub(crate) const fn new(inner: S, gate: Arc<Gate<St>>, empty: R) -> Self {
        Self { inner, gate, empty }
    }
}

impl<S, St, R, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimit<S, St, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    St: Store,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, St, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let mut asked = Asked::default();
        let step = self.gate.enter(&parts, &mut asked);
        if let Step::Pass(due) = step {
            let due = self.gate.with_limits(due);
            let request = Request::from_parts(parts, body);
            return ResponseFuture::called(self.inner.call(request), due);
        }

        // The readied service is dropped with its reservation; the clone has none.
        self.inner = self.inner.clone();
        let dialect = Dialect::of(&parts.headers);
        if let Step::Refuse(throttled, standing) = step {
            let reply = Reply { throttled, standing, dialect, empty: self.empty.clone() };
            return ResponseFuture::refused(self.gate.limits.clone(), reply);
        }
        let held = Held {
            service: self.inner.clone(),
            request: Request::from_parts(parts, body),
            gate: self.gate.clone(),
            asked,
            dialect,
            empty: self.empty.clone(),
        };
        ResponseFuture::held(held, step)
    }
}

impl<S: Clone, St, R: Clone> Clone for RateLimit<S, St, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), gate: self.gate.clone(), empty: self.empty.clone() }
    }
}

impl<S: fmt::Debug, St, R> fmt::Debug for RateLimit<S, St, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
