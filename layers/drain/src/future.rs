use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use pin_project_lite::pin_project;
use portcullis_held_body::HeldBody;
use portcullis_refusal::{Dialect, EmptyBody};

use crate::farewell::say_farewell;
use crate::{Draining, InFlight, TunnelInFlight};

pin_project! {
    /// The response future of [`Drain`](crate::Drain).
    ///
    /// Dropping it ends the request; it allocates nothing unless it refuses, or the response makes a tunnel.
    #[derive(Debug)]
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F, R>,
        version: Version,
        connects: bool,
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
    pub(crate) fn refused<B>(request: &Request<B>, empty: R) -> Self {
        let dialect = Dialect::of(request.headers());
        let state = State::Refused { empty, dialect };
        Self { state, version: request.version(), connects: false }
    }

    pub(crate) const fn called(
        inner: F,
        in_flight: InFlight,
        version: Version,
        connects: bool,
    ) -> Self {
        Self { state: State::Called { inner, in_flight: Some(in_flight) }, version, connects }
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
        let held = in_flight.and_then(|in_flight| {
            if makes_tunnel(&response, *this.connects) {
                response.extensions_mut().insert(TunnelInFlight::new(in_flight));
                return None;
            }
            if in_flight.closes() {
                say_farewell(*this.version, &mut response);
            }
            Some(in_flight)
        });
        // In one place, for a response is large and each place would move it for itself.
        Poll::Ready(Ok(response.map(|body| match held {
            Some(in_flight) => HeldBody::new(body, in_flight),
            None => HeldBody::free(body),
        })))
    }
}

/// Whether the connection, or the stream of it, is no longer one of HTTP after this (RFC 9110 §7.8, §9.3.6).
fn makes_tunnel<B>(response: &Response<B>, connects: bool) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        || (connects && response.status().is_success())
}
