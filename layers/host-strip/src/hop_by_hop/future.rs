use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Response, StatusCode};
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, EmptyBody};

use super::layer::Shared;
use super::{Asked, Violation};

pin_project! {
    /// The response future of [`HopByHopService`](crate::HopByHopService).
    #[derive(Debug)]
    pub struct HopByHopFuture<F, R> {
        #[pin]
        state: State<F>,
        dialect: Dialect,
        empty: R,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<F> {
        Called { #[pin] inner: F, shared: Arc<Shared>, asked: Asked },
        Refused { violation: Violation },
    }
}

impl<F, R> HopByHopFuture<F, R> {
    pub(super) const fn called(
        inner: F,
        shared: Arc<Shared>,
        asked: Asked,
        dialect: Dialect,
        empty: R,
    ) -> Self {
        Self { state: State::Called { inner, shared, asked }, dialect, empty }
    }

    pub(super) const fn refused(violation: Violation, dialect: Dialect, empty: R) -> Self {
        Self { state: State::Refused { violation }, dialect, empty }
    }
}

impl<F, R, B, E> Future for HopByHopFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: EmptyBody<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let refuse = |violation: Violation, status| {
            violation.refusal(status).into_response(*this.dialect, this.empty.empty())
        };

        let (inner, shared, asked) = match this.state.project() {
            StateProjection::Called { inner, shared, asked } => (inner, shared, asked),
            StateProjection::Refused { violation } => {
                return Poll::Ready(Ok(refuse(*violation, StatusCode::BAD_REQUEST)));
            }
        };
        let mut response = ready!(inner.poll(cx))?;
        match shared.policy.strip_response(&mut response, asked) {
            Ok(stripped) => {
                shared.counters.responses.add(stripped.ignored());
                shared.responses.add(stripped.removed());
            }
            Err(violation) => {
                shared.rejections.count(violation.reason());
                response = refuse(violation, StatusCode::BAD_GATEWAY);
            }
        }
        Poll::Ready(Ok(response))
    }
}
