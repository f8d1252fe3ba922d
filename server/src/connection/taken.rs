use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, Error};

use super::pace::Pace;

/// A response whose client is waited for whenever it is not the upstream that is.
///
/// Over HTTP/2 a client that leaves no window blocks no socket: all that can be seen of it is that nobody asks for the next
/// piece of the body.
#[derive(Debug)]
pub(super) struct Taken {
    inner: Body,
    pace: Arc<Pace>,
    /// Whether it is the client's turn.
    offered: bool,
}

impl Taken {
    pub(super) fn new(inner: Body, pace: Arc<Pace>) -> Self {
        let mut taken = Self { inner, pace, offered: false };
        taken.turn(true);
        taken
    }

    fn turn(&mut self, offered: bool) {
        match (std::mem::replace(&mut self.offered, offered), offered) {
            (false, true) => self.pace.offer(),
            (true, false) => self.pace.take(),
            _ => self.pace.moved(),
        }
    }
}

impl HttpBody for Taken {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        // After the last piece nobody asks again: it is the client's turn until this is dropped.
        if !(polled.is_ready() && self.offered && self.inner.is_end_stream()) {
            self.turn(polled.is_ready());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.turn(false);
    }
}
