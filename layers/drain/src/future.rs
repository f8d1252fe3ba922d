use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Response, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use portcullis_held_body::HeldBody;
use portcullis_refusal::{Dialect, EmptyBody};

use crate::farewell::say_farewell;
use crate::{Draining, InFlight, Phase};

pin_project! {
    /// The response future of [`Drain`](crate::Drain).
    ///
    /// Dropping it ends the request; it allocates nothing unless it refuses.
    #[derive(Debug)]
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F, R>,
        version: Version,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = Projection]
    enum State<F, R> {
        Called {
            #[pin]
            inner: F,
            in_flight: Option<InFlight>, // none once answered; after `inner`, to be dropped after it
        },
        Refused { empty: R, dialect: Dialect },
    }
}

impl<F, R> ResponseFuture<F, R> {
    pub(crate) const fn called(inner: F, in_flight: InFlight, version: Version) -> Self {
        Self { state: State::Called { inner, in_flight: Some(in_flight) }, version }
    }

    pub(crate) const fn refused(empty: R, dialect: Dialect, version: Version) -> Self {
        Self { state: State::Refused { empty, dialect }, version }
    }
}

impl<F, R, B, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    R: EmptyBody<B>,
{
    type Output = Result<Response<HeldBody<B, InFlight>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (inner, in_flight) = match this.state.project() {
            Projection::Called { inner, in_flight } => (inner, in_flight),
            Projection::Refused { empty, dialect } => {
                let body = HeldBody::free(empty.empty());
                let mut response = Draining.refusal().into_response(*dialect, body);
                say_farewell(*this.version, &mut response);
                return Poll::Ready(Ok(response));
            }
        };

        let result = ready!(inner.poll(cx));
        let in_flight = in_flight.take(); // an error ends the request here
        let mut response = result?;
        if in_flight.as_ref().is_some_and(|in_flight| in_flight.phase() > Phase::Ready) {
            say_farewell(*this.version, &mut response);
        }
        Poll::Ready(Ok(response.map(|body| match in_flight {
            Some(in_flight) => HeldBody::new(body, in_flight),
            None => HeldBody::free(body),
        })))
    }
}
