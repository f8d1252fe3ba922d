use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, EmptyBody};

use crate::NotInjected;
use crate::layer::Shared;
use crate::meters::Tally;

pin_project! {
    /// The response future of [`InjectHeaders`](crate::InjectHeaders).
    #[derive(Debug)]
    pub struct ResponseFuture<F, R> {
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
        // Without what is shared, the response stays as it is.
        Called { #[pin] inner: F, shared: Option<Arc<Shared>> },
        Refused { why: NotInjected },
    }
}

impl<F, R> ResponseFuture<F, R> {
    pub(crate) const fn called(
        inner: F,
        shared: Option<Arc<Shared>>,
        dialect: Dialect,
        empty: R,
    ) -> Self {
        Self { state: State::Called { inner, shared }, dialect, empty }
    }

    pub(crate) const fn refused(why: NotInjected, dialect: Dialect, empty: R) -> Self {
        Self { state: State::Refused { why }, dialect, empty }
    }
}

impl<F, R, B, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    R: EmptyBody<B>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (inner, shared) = match this.state.project() {
            StateProjection::Called { inner, shared: None } => return inner.poll(cx),
            StateProjection::Called { inner, shared: Some(shared) } => (inner, shared),
            StateProjection::Refused { why } => {
                let refusal = why.refusal();
                return Poll::Ready(Ok(refusal.into_response(*this.dialect, this.empty.empty())));
            }
        };
        let mut response = ready!(inner.poll(cx))?;
        let mut tally = Tally::new();
        let changed = shared.policy.change_response(&mut response, &mut tally);
        shared.meters.add(&tally);
        if let Err(why) = changed {
            response = why.failure().into_response(*this.dialect, this.empty.empty());
        }
        Poll::Ready(Ok(response))
    }
}
