use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;
use portcullis_refusal::{DefaultBody, Dialect, EmptyBody};

use crate::NotLetIn;

pin_project! {
    /// The response future of [`LetIn`](crate::LetIn) and [`Via`](crate::Via).
    #[derive(Debug)]
    pub struct ResponseFuture<F, R = DefaultBody> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = Projection]
    enum State<F, R> {
        Called { #[pin] inner: F },
        Refused { refused: NotLetIn, dialect: Dialect, empty: R },
    }
}

impl<F, R> ResponseFuture<F, R> {
    pub(crate) const fn called(inner: F) -> Self {
        Self { state: State::Called { inner } }
    }

    pub(crate) const fn refused(refused: NotLetIn, dialect: Dialect, empty: R) -> Self {
        Self { state: State::Refused { refused, dialect, empty } }
    }
}

impl<F, R, B, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: EmptyBody<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projection::Called { inner } => inner.poll(cx),
            Projection::Refused { refused, dialect, empty } => {
                Poll::Ready(Ok(refused.refusal().into_response(*dialect, empty.empty())))
            }
        }
    }
}
