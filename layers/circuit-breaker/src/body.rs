use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::guard::Guard;
use crate::{Classify, ClassifyError, Verdict};

pin_project! {
    /// A response body whose end is recorded.
    ///
    /// Frames, errors, [`is_end_stream`](Body::is_end_stream) and [`size_hint`](Body::size_hint) are the inner body's own.
    /// Dropped before its end it is neutral.
    #[derive(Debug)]
    pub struct ResponseBody<B, C> {
        #[pin]
        inner: B,
        guard: Option<Guard<C>>,
        verdict: Verdict,
    }
}

impl<B, C> ResponseBody<B, C> {
    /// With nothing to record.
    pub(crate) const fn free(inner: B) -> Self {
        Self { inner, guard: None, verdict: Verdict::UpToTrailers }
    }

    /// With what to record if it ends well, or is up to its trailers: of one that has not ended yet.
    pub(crate) const fn guarded(inner: B, guard: Guard<C>, verdict: Verdict) -> Self {
        Self { inner, guard: Some(guard), verdict }
    }
}

/// With nothing to record.
impl<B: Default, C> Default for ResponseBody<B, C> {
    fn default() -> Self {
        Self::free(B::default())
    }
}

impl<B, C> Body for ResponseBody<B, C>
where
    B: Body,
    C: Classify + ClassifyError<B::Error>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.inner.as_mut().poll_frame(cx));
        if let Some(guard) = this.guard {
            let outcome = match &frame {
                Some(Err(error)) => Some(guard.classifier().error(error)),
                Some(Ok(frame)) if frame.is_trailers() => {
                    Some(guard.ended_with(*this.verdict, frame.trailers_ref()))
                }
                // Whoever sees the end announced may never poll again: hyper, for one, stops at a known length.
                Some(Ok(_)) if !this.inner.is_end_stream() => None,
                Some(Ok(_)) | None => Some(guard.ended_with(*this.verdict, None)),
            };
            if let Some(outcome) = outcome {
                guard.end(outcome);
                *this.guard = None;
            }
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
