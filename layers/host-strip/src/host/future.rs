use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, EmptyBody};

use super::NoAuthority;

pin_project! {
    /// The response future of [`HostStrip`](crate::HostStrip).
    #[derive(Debug)]
    pub struct HostStripFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<F, R> {
        Called { #[pin] inner: F },
        Refused { no_authority: NoAuthority, dialect: Dialect, empty: R },
    }
}

impl<F, R> HostStripFuture<F, R> {
    pub(super) const fn called(inner: F) -> Self {
        Self { state: State::Called { inner } }
    }

    pub(super) const fn refused(no_authority: NoAuthority, dialect: Dialect, empty: R) -> Self {
        Self { state: State::Refused { no_authority, dialect, empty } }
    }
}

impl<F, R, B, E> Future for HostStripFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: EmptyBody<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Called { inner } => inner.poll(cx),
            StateProjection::Refused { no_authority, dialect, empty } => {
                let refusal = no_authority.refusal();
                Poll::Ready(Ok(refusal.into_response(*dialect, empty.empty())))
            }
        }
    }
}
