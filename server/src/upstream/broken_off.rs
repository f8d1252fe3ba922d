use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use portcullis_sigv4_sign::NotSigned;
use tower::{Layer, Service};

use crate::body::{self, Body, Side};

use super::{Error, Phase};

/// Tells whose side broke off a body that was read to be signed: the signer, which sees only that it broke, calls each of
/// them a bad request.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BrokenOffLayer;

impl<S> Layer<S> for BrokenOffLayer {
    type Service = BrokenOff<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BrokenOff { inner }
    }
}

/// See [`BrokenOffLayer`].
#[derive(Clone, Debug)]
pub struct BrokenOff<S> {
    inner: S,
}

impl<S, B> Service<Request<Body>> for BrokenOff<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Error>,
{
    type Response = Response<B>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let side = (!request.body().is_end_stream()).then(Arc::<OnceLock<Side>>::default);
        let request = match side.clone() {
            Some(side) => request.map(|inner| Body::new(Noted { inner, side })),
            None => request,
        };
        ResponseFuture { inner: self.inner.call(request), side }
    }
}

pin_project! {
    /// The response future of [`BrokenOff`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        side: Option<Arc<OnceLock<Side>>>, // none where there is no body
    }
}

impl<F, B> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let broken = response.extensions().get() == Some(&NotSigned::BodyBroken);
        Poll::Ready(match this.side.as_ref().and_then(|side| side.get()) {
            Some(side) if broken => {
                Err(Error::failed(Phase::Send, false, body::Error::bare(*side)))
            }
            _ => Ok(response),
        })
    }
}

/// A body that leaves word of how it broke.
#[derive(Debug)]
struct Noted {
    inner: Body,
    side: Arc<OnceLock<Side>>,
}

impl HttpBody for Noted {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Err(error))) = &polled {
            self.side.set(error.side()).ok();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
