use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A body that holds a value of type `T` until it ends.
    ///
    /// Frames, errors, [`is_end_stream`](Body::is_end_stream) and [`size_hint`](Body::size_hint) are the inner
    /// body's own. It allocates nothing.
    #[derive(Clone, Debug)]
    pub struct HeldBody<B, T> {
        #[pin]
        inner: B,
        held: Option<T>,
    }
}

impl<B: Body, T> HeldBody<B, T> {
    /// Holds `held` until `inner` ends; one that has already ended lets go at once.
    pub fn new(inner: B, held: T) -> Self {
        let held = (!inner.is_end_stream()).then_some(held);
        Self { inner, held }
    }
}

impl<B, T> HeldBody<B, T> {
    /// Holds nothing: for an answer given without what others wait for.
    pub const fn free(inner: B) -> Self {
        Self { inner, held: None }
    }

    /// Looks at the value, if it is still held.
    #[must_use]
    pub const fn held(&self) -> Option<&T> {
        self.held.as_ref()
    }
}

/// Holds nothing.
impl<B: Default, T> Default for HeldBody<B, T> {
    fn default() -> Self {
        Self::free(B::default())
    }
}

impl<B: Body, T> Body for HeldBody<B, T> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        // Whoever sees the end announced may never poll again: hyper, for one, stops at a known length.
        let more =
            matches!(&frame, Some(Ok(frame)) if frame.is_data()) && !this.inner.is_end_stream();
        if !more {
            *this.held = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
