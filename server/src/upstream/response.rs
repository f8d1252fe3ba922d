use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::body::{Error, Side};
use crate::limit::Idle;
use crate::trailers::sift;

use super::http2::Stream;
use super::progress::Progress;

/// What an upstream answers over HTTP/2, and the stream that it comes over.
///
/// The stream ends when the last byte has come; it is reset when the body is dropped before that.
#[derive(Debug)]
pub struct ResponseBody {
    inner: Incoming,
    idle: Idle,
    stream: Option<Stream>,
    progress: Progress,
}

impl ResponseBody {
    pub(super) fn new(inner: Incoming, stream: Stream, progress: Progress, idle: Duration) -> Self {
        let mut body = Self { inner, idle: Idle::new(idle), stream: Some(stream), progress };
        if body.inner.is_end_stream() {
            body.end();
        }
        body
    }

    fn break_off(&mut self) {
        self.stream = None;
        self.progress.abandon();
    }

    /// What is left of the request is not wanted any more.
    fn end(&mut self) {
        if self.stream.take().is_some() && !self.progress.is_done() {
            self.progress.abandon();
        }
    }
}

/// What the client has not taken by then the upstream need not send, nor take more for.
impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.stream.take().is_some() {
            self.progress.abandon();
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if this.idle.is_over(&polled, cx) {
            this.break_off();
            return Poll::Ready(Some(Err(Error::bare(Side::UpstreamTimeout))));
        }
        let frame = ready!(polled).transpose();
        match &frame {
            Ok(Some(_)) if !this.inner.is_end_stream() => {}
            Ok(_) => this.end(),
            Err(_) => this.break_off(),
        }
        let frame = frame.map(|frame| frame.map(sift));
        Poll::Ready(frame.map_err(|error| Error::new(Side::Upstream, error)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
