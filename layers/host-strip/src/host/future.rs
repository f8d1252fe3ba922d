use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, EmptyBody, Refusal};

use super::NoAuthority;
use crate::client_host::AmbiguousHost;

pin_project! {
    /// The response future of [`HostStrip`](crate::HostStrip) and [`ClientHostService`](crate::ClientHostService).
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
        Refused { refused: Refused, dialect: Dialect, empty: R },
    }
}

/// Why there is no inner service to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    NoAuthority(NoAuthority),
    Ambiguous(AmbiguousHost),
}

impl Refused {
    fn refusal(self) -> Refusal {
        match self {
            Self::NoAuthority(reason) => reason.refusal(),
            Self::Ambiguous(reason) => reason.refusal(),
        }
    }
}

impl<F, R> HostStripFuture<F, R> {
    pub(crate) const fn called(inner: F) -> Self {
        Self { state: State::Called { inner } }
    }

    pub(crate) const fn refused(refused: Refused, dialect: Dialect, empty: R) -> Self {
        Self { state: State::Refused { refused, dialect, empty } }
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
            StateProjection::Refused { refused, dialect, empty } => {
                Poll::Ready(Ok(refused.refusal().into_response(*dialect, empty.empty())))
            }
        }
    }
}
