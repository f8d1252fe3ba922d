use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::body::{Error, Side};
use crate::limit::Idle;
use crate::trailers::sift;

use super::pool::Lease;
use super::progress::Progress;

/// What an upstream answers, and the connection that it comes over.
///
/// The connection is kept when the last byte has come and the request has been sent whole; it closes, or the stream of it
/// is reset, when the body is dropped before that.
#[derive(Debug)]
pub struct ResponseBody {
    inner: Incoming,
    idle: Idle,
    lease: Option<Lease>,
    progress: Progress,
}

impl ResponseBody {
    pub(super) fn new(inner: Incoming, lease: Lease, progress: Progress, idle: Duration) -> Self {
        let mut body = Self { inner, idle: Idle::new(idle), lease: Some(lease), progress };
        if body.inner.is_end_stream() {
            body.give_back();
        }
        body
    }

    fn break_off(&mut self) {
        self.lease = None;
        self.progress.abandon();
    }

    fn give_back(&mut self) {
        match self.lease.take() {
            Some(lease) if self.progress.is_done() => lease.give_back(),
            _ => self.progress.abandon(),
        }
    }
}

/// What the client has not taken by then the upstream need not send, nor take more for.
impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.lease.take().is_some() {
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
            Ok(_) => this.give_back(),
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
