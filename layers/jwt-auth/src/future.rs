use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;

pin_project! {
    /// The response future of [`JwtAuth`](crate::JwtAuth): the inner one, or a refusal that is ready. It allocates
    /// nothing.
    #[derive(Debug)]
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: Option<F>, // none when refused
        refusal: Option<Response<B>>,
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) const fn called(inner: F) -> Self {
        Self { inner: Some(inner), refusal: None }
    }

    pub(crate) const fn refused(refusal: Response<B>) -> Self {
        Self { inner: None, refusal: Some(refusal) }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll(cx),
            // Polled again after it was ready, as no future may be, it waits for ever rather than panic.
            None => this.refusal.take().map_or(Poll::Pending, |refusal| Poll::Ready(Ok(refusal))),
        }
    }
}
