use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::guard::Guard;
use crate::{Classify, ClassifyError, Outcome};

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
        outcome: Option<Outcome>, // if it ends well; none: up to the trailers
    }
}

impl<B, C> ResponseBody<B, C> {
    /// With nothing to record.
    pub(crate) const fn free(inner: B) -> Self {
        Self { inner, guard: None, outcome: None }
    }

    /// With `outcome` to record if it ends well, or what the trailers say.
    pub(crate) fn guarded(inner: B, guard: Guard<C>, outcome: Option<Outcome>) -> Self
    where
        B: Body,
        C: Classify,
    {
        // Whoever is told that nothing comes may never poll.
        if inner.is_end_stream() {
            let outcome = outcome.unwrap_or_else(|| guard.classifier().trailers(None));
            guard.end(outcome);
            return Self::free(inner);
        }
        Self { inner, guard: Some(guard), outcome }
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
            let classifier = guard.classifier();
            let well = |trailers| this.outcome.unwrap_or_else(|| classifier.trailers(trailers));
            let outcome = match &frame {
                Some(Err(error)) => Some(classifier.error(error)),
                Some(Ok(frame)) if frame.is_trailers() => Some(well(frame.trailers_ref())),
                // Whoever sees the end announced may never poll again: hyper, for one, stops at a known length.
                Some(Ok(_)) => this.inner.is_end_stream().then(|| well(None)),
                None => Some(well(None)),
            };
            if let Some((outcome, guard)) =
                outcome.and_then(|outcome| Some((outcome, this.guard.take()?)))
            {
                guard.end(outcome);
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
