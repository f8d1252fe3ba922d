use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{DrainSignal, Phase};

pin_project! {
    /// A body that ends when the server drains; see [`DrainSignal::end_on_drain`].
    ///
    /// It allocates once, when it first has to wait for a frame.
    pub struct EndOnDrain<B> {
        #[pin]
        inner: B,
        signal: Option<DrainSignal>, // none for a body that is to be left alone
        draining: Option<Draining>,
        ended: bool,
    }
}

type Draining = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl<B: Body> EndOnDrain<B> {
    pub(crate) fn new(inner: B, signal: DrainSignal) -> Self {
        let endless = inner.size_hint().exact().is_none();
        Self { inner, signal: endless.then_some(signal), draining: None, ended: false }
    }
}

impl<B: Body> Body for EndOnDrain<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let Some(signal) = this.signal.as_ref().filter(|_| !*this.ended) else {
            return if *this.ended { Poll::Ready(None) } else { this.inner.poll_frame(cx) };
        };
        if signal.phase() < Phase::Draining {
            if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
                return Poll::Ready(frame);
            }
            let wait = || -> Draining {
                let signal = signal.clone();
                Box::pin(async move { signal.draining().await })
            };
            if this.draining.get_or_insert_with(wait).as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        *this.ended = true;
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.signal {
            None => self.inner.size_hint(),
            // It may end before it has all that it was to have.
            Some(_) => {
                let mut hint = SizeHint::new();
                if let Some(upper) = self.inner.size_hint().upper() {
                    hint.set_upper(upper);
                }
                hint
            }
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for EndOnDrain<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndOnDrain").field("inner", &self.inner).finish_non_exhaustive()
    }
}
