use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;

pin_project! {
    /// The response future of [`Metadata`](crate::Metadata): the inner one, or an answer that is ready. It allocates
    /// nothing.
    #[derive(Debug)]
    pub struct MetadataFuture<F, B> {
        #[pin]
        inner: Option<F>, // none when answered
        answer: Option<Response<B>>,
    }
}

impl<F, B> MetadataFuture<F, B> {
    pub(crate) const fn called(inner: F) -> Self {
        Self { inner: Some(inner), answer: None }
    }

    pub(crate) const fn answered(answer: Response<B>) -> Self {
        Self { inner: None, answer: Some(answer) }
    }
}

impl<F, B, E> Future for MetadataFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll(cx),
            // Polled again after it was ready, as no future may be, it waits for ever rather than panic.
            None => this.answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
        }
    }
}
