use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::body::{Error, Side};
use crate::limit::Idle;

use super::pool::Lease;
use super::progress::Progress;

/// What an upstream answers, and the connection that it comes over.
///
/// The connection is kept when the last byte has come and the request has been sent whole; it closes
/// when the body is dropped before that.
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

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take().filter(|_| self.progress.is_done()) {
            lease.give_back();
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
            this.lease = None;
            return Poll::Ready(Some(Err(Error::bare(Side::UpstreamTimeout))));
        }
        let frame = ready!(polled).transpose();
        match &frame {
            Ok(Some(_)) if !this.inner.is_end_stream() => {}
            Ok(_) => this.give_back(),
            Err(_) => this.lease = None,
        }
        Poll::Ready(frame.map_err(|error| Error::new(Side::Upstream, error)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
