use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use portcullis_refusal::{DefaultBody, EmptyBody};
use tower_service::Service;

use crate::ResponseFuture;
use crate::gate::Gate;
use crate::later::{Later, Stop};

/// Lets only requests with a valid token through; see [`JwtAuthLayer`](crate::JwtAuthLayer).
///
/// A refusal gives back the readiness of the inner service, which therefore has to be [`Clone`]; and so does a request
/// that waits for keys or for a [`TokenStatus`](crate::TokenStatus), which readies a clone when it may pass.
#[derive(Clone, Debug)]
pub struct JwtAuth<S, R = DefaultBody> {
    inner: S,
    gate: Arc<Gate>,
    empty: R,
}

impl<S, R> JwtAuth<S, R> {
    pub(crate) const fn new(inner: S, gate: Arc<Gate>, empty: R) -> Self {
        Self { inner, gate, empty }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for JwtAuth<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: EmptyBody<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, S::Future, ReqBody, ResBody, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let stop = match self.gate.admit(&mut request, true) {
            Ok(()) => return ResponseFuture::called(self.inner.call(request)),
            Err(stop) => stop,
        };
        // What was readied is not called: it goes, with the permit it may hold, and an unready clone stays.
        self.inner = self.inner.clone();
        match stop {
            Stop::Refused(reason) => {
                let body = self.empty.empty();
                ResponseFuture::refused(self.gate.refuse(reason, Some(request.headers()), body))
            }
            Stop::Wait(wait) => {
                let (gate, inner) = (self.gate.clone(), self.inner.clone());
                let later = Later::new(gate, inner, self.empty.clone(), request, wait);
                ResponseFuture::waiting(later)
            }
        }
    }
}
