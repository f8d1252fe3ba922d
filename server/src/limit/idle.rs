use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::body::{Body, Error, Side};

/// Measures how long a body has had nothing to give.
///
/// The clock starts when it is first waited for, so that a body that always has something costs no
/// timer at all.
#[derive(Debug)]
pub struct Idle {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Idle {
    /// Allows `limit` between two pieces.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self { limit, sleep: None, waiting: false }
    }

    /// Whether a body that polled like this has been idle for too long.
    pub fn is_over<T>(&mut self, polled: &Poll<T>, cx: &mut Context<'_>) -> bool {
        if polled.is_ready() {
            self.waiting = false;
            return false;
        }
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !std::mem::replace(&mut self.waiting, true) {
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

/// A body that may not be idle for too long.
#[derive(Debug)]
pub struct IdleBody {
    inner: Body,
    idle: Idle,
    side: Side,
}

impl IdleBody {
    /// Breaks `inner` off, on this side, after `limit` without a piece.
    #[must_use]
    pub const fn new(inner: Body, limit: Duration, side: Side) -> Self {
        Self { inner, idle: Idle::new(limit), side }
    }
}

impl HttpBody for IdleBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if self.idle.is_over(&polled, cx) {
            return Poll::Ready(Some(Err(Error::bare(self.side))));
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
