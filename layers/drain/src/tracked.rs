use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::InFlight;

pin_project! {
    /// A task that is in flight until it is done; see [`DrainHandle::track`](crate::DrainHandle::track).
    #[derive(Debug)]
    #[must_use = "a future does nothing until it is polled"]
    pub struct Tracked<F> {
        #[pin]
        inner: F,
        in_flight: Option<InFlight>, // after `inner`, to be dropped after it
    }
}

impl<F> Tracked<F> {
    pub(crate) const fn new(inner: F, in_flight: Option<InFlight>) -> Self {
        Self { inner, in_flight }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = ready!(this.inner.poll(cx));
        *this.in_flight = None;
        Poll::Ready(output)
    }
}
