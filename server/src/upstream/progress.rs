use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{Body, Error, Side};

/// How far the sending of a request is: the upstream's time runs only while it is not the client
/// that is waited for.
#[derive(Clone, Debug)]
pub(super) struct Progress(Option<Arc<Mutex<State>>>, Instant);

#[derive(Debug)]
struct State {
    sending: Sending,
    /// Who is to be told when the rest is not wanted any more.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum Sending {
    /// The next piece has not come from the client yet.
    Waiting,
    /// The upstream has been given all there was, at this instant.
    Given(Instant),
    /// That was the last piece.
    Done(Instant),
    /// It broke off on this side, at this instant.
    Broken(Side, Instant),
    /// The rest is not wanted any more, since this instant.
    Abandoned(Instant),
}

impl Progress {
    /// Follows `body`; one without bytes is sent already, and costs nothing to follow.
    pub(super) fn of(body: &Body) -> Self {
        let now = Instant::now();
        let state = || State { sending: Sending::Given(now), waker: None };
        Self((!body.is_end_stream()).then(|| Arc::new(Mutex::new(state()))), now)
    }

    /// Since when the upstream is the one that is waited for.
    pub(super) fn since(&self) -> Option<Instant> {
        match self.get() {
            Sending::Waiting => None,
            Sending::Given(since)
            | Sending::Done(since)
            | Sending::Broken(_, since)
            | Sending::Abandoned(since) => Some(since),
        }
    }

    /// Whether the whole request has been sent.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.get(), Sending::Done(_))
    }

    /// Whose side broke the request off, if that is what happened.
    pub(super) fn broken(&self) -> Option<Side> {
        match self.get() {
            Sending::Broken(side, _) => Some(side),
            _ => None,
        }
    }

    /// Breaks off what has not been sent, since nobody waits for what comes of it.
    pub(super) fn abandon(&self) {
        let Some(state) = &self.0 else { return };
        let mut state = lock(state);
        if let Sending::Waiting | Sending::Given(_) = state.sending {
            state.sending = Sending::Abandoned(Instant::now());
            let waker = state.waker.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn get(&self) -> Sending {
        match &self.0 {
            Some(state) => lock(state).sending,
            None => Sending::Done(self.1),
        }
    }

    fn set(&self, sending: Sending, waker: Option<&Waker>) {
        if let Some(state) = &self.0 {
            *lock(state) = State { sending, waker: waker.cloned() };
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Sending::Abandoned(_) = self.progress.get() {
            return Poll::Ready(Some(Err(Error::bare(Side::Upstream))));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let now = Instant::now();
        let waker = polled.is_pending().then(|| cx.waker());
        let sending = match &polled {
            Poll::Pending => Sending::Waiting,
            Poll::Ready(Some(Ok(_))) if !self.inner.is_end_stream() => Sending::Given(now),
            Poll::Ready(Some(Err(error))) => Sending::Broken(error.side(), now),
            Poll::Ready(_) => Sending::Done(now),
        };
        self.progress.set(sending, waker);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
