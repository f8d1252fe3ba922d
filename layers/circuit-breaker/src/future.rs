use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use portcullis_refusal::{Dialect, EmptyBody};

use crate::guard::Guard;
use crate::{Classify, ClassifyError, Open, ResponseBody};

pin_project! {
    /// The response future of [`CircuitBreaker`](crate::CircuitBreaker) and
    /// [`KeyedCircuitBreaker`](crate::KeyedCircuitBreaker).
    ///
    /// Dropping it ends the call, as neutral; it allocates nothing unless it refuses.
    #[derive(Debug)]
    pub struct ResponseFuture<F, C, R> {
        #[pin]
        state: State<F, C, R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = Projection]
    enum State<F, C, R> {
        Called {
            #[pin]
            inner: F,
            guard: Option<Guard<C>>,
        },
        Refused { empty: R, dialect: Dialect, open: Open },
    }
}

impl<F, C, R> ResponseFuture<F, C, R> {
    pub(crate) const fn called(inner: F, guard: Option<Guard<C>>) -> Self {
        Self { state: State::Called { inner, guard } }
    }

    pub(crate) const fn refused(empty: R, dialect: Dialect, open: Open) -> Self {
        Self { state: State::Refused { empty, dialect, open } }
    }
}

impl<F, C, R, B, E> Future for ResponseFuture<F, C, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    C: Classify + ClassifyError<E> + ClassifyError<B::Error>,
    R: EmptyBody<B>,
{
    type Output = Result<Response<ResponseBody<B, C>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (inner, guard) = match self.project().state.project() {
            Projection::Called { inner, guard } => (inner, guard),
            Projection::Refused { empty, dialect, open } => {
                let body = ResponseBody::free(empty.empty());
                return Poll::Ready(Ok(open.refusal().into_response(*dialect, body)));
            }
        };

        let result = ready!(inner.poll(cx));
        // It stays where it is for as long as that will do: to be moved it would have to be written first.
        let Some(call) = guard.as_mut() else {
            return Poll::Ready(result.map(|response| response.map(ResponseBody::free)));
        };
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                call.end_without_head(call.classifier().error(&error));
                return Poll::Ready(Err(error));
            }
        };
        let verdict = call.classifier().response(&response);
        if call.answered(verdict, &response) {
            if let Some(call) = guard.take() {
                let body = |inner| ResponseBody::guarded(inner, call, verdict);
                return Poll::Ready(Ok(response.map(body)));
            }
        }
        Poll::Ready(Ok(response.map(ResponseBody::free)))
    }
}
