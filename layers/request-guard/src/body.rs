use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::GuardedBodyError;
use crate::alarm::Alarm;

pin_project! {
    /// A request body that yields no more bytes than allowed.
    ///
    /// The frame that exceeds the limit is dropped whole, and the body ends with [`GuardedBodyError::TooLarge`]. Up
    /// to there frames, trailers, [`is_end_stream`](Body::is_end_stream) and [`size_hint`](Body::size_hint) are the
    /// inner body's own.
    #[derive(Debug, Default)]
    pub struct GuardedBody<B> {
        #[pin]
        inner: B,
        left: Option<u64>, // none: no limit
        cut: bool,
        alarm: Option<Alarm>,
    }
}

impl<B> GuardedBody<B> {
    pub(crate) const fn new(inner: B, left: Option<u64>, alarm: Option<Alarm>) -> Self {
        Self { inner, left, cut: false, alarm }
    }
}

impl<B: Body> Body for GuardedBody<B> {
    type Data = B::Data;
    type Error = GuardedBodyError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        if *this.cut {
            return Poll::Ready(None);
        }
        let frame =
            ready!(this.inner.poll_frame(cx)).transpose().map_err(GuardedBodyError::Inner)?;
        let length = frame.as_ref().and_then(Frame::data_ref).map_or(0, Buf::remaining);
        if let Some(left) = this.left {
            let Some(rest) = left.checked_sub(crate::policy::bytes(length)) else {
                *this.cut = true;
                if let Some(alarm) = this.alarm {
                    alarm.raise();
                }
                return Poll::Ready(Some(Err(GuardedBodyError::TooLarge)));
            };
            *left = rest;
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.cut || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.cut { SizeHint::with_exact(0) } else { self.inner.size_hint() }
    }
}
