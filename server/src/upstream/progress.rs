use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{Body, Error};

/// How far the sending of a request is: the upstream's time runs only while it is not the client
/// that is waited for.
#[derive(Clone, Debug)]
pub(super) struct Progress(Option<Arc<Mutex<Sending>>>, Instant);

#[derive(Clone, Copy, Debug)]
enum Sending {
    /// The next piece has not come from the client yet.
    Waiting,
    /// The upstream has been given all there was, at this instant.
    Given(Instant),
    /// That was the last piece.
    Done(Instant),
}

impl Progress {
    /// Follows `body`; one without bytes is sent already, and costs nothing to follow.
    pub(super) fn of(body: &Body) -> Self {
        let now = Instant::now();
        let sending = || Arc::new(Mutex::new(Sending::Given(now)));
        Self((!body.is_end_stream()).then(sending), now)
    }

    /// Since when the upstream is the one that is waited for.
    pub(super) fn since(&self) -> Option<Instant> {
        match self.get() {
            Sending::Waiting => None,
            Sending::Given(since) | Sending::Done(since) => Some(since),
        }
    }

    /// Whether the whole request has been sent.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.get(), Sending::Done(_))
    }

    fn get(&self) -> Sending {
        match &self.0 {
            Some(sending) => *sending.lock().unwrap_or_else(PoisonError::into_inner),
            None => Sending::Done(self.1),
        }
    }

    fn set(&self, state: Sending) {
        if let Some(sending) = &self.0 {
            *sending.lock().unwrap_or_else(PoisonError::into_inner) = state;
        }
    }
}

/// A request body whose progress can be seen from outside.
#[derive(Debug)]
pub(super) struct Watched {
    inner: Body,
    progress: Progress,
}

impl Watched {
    pub(super) const fn new(inner: Body, progress: Progress) -> Self {
        Self { inner, progress }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        self.progress.set(match &polled {
            Poll::Pending => Sending::Waiting,
            Poll::Ready(Some(Ok(_))) if !self.inner.is_end_stream() => {
                Sending::Given(Instant::now())
            }
            Poll::Ready(_) => Sending::Done(Instant::now()),
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
