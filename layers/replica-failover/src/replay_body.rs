use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::ReplayBodyError;
use crate::kept::Next;
use crate::replay::{Shared, Source, State, wake};

/// A request body, as one attempt reads it.
///
/// Every attempt has it from its first byte, with the same [`size_hint`](Body::size_hint). What an earlier attempt has
/// read is read again from memory, cut into frames anew; then the client's own frames go on. What is kept is copied, up to
/// the policy's cap: small frames cannot keep large buffers alive.
///
/// Dropping it takes nothing away from other attempts.
pub struct ReplayBody<B>(Reading<B>);

pub(crate) enum Reading<B> {
    Empty,
    Whole(B),
    Shared(Reader<B>),
    Cut,
}

pub(crate) type Polled<E> = Poll<Option<Result<Frame<Bytes>, E>>>;

pub(crate) struct Reader<B> {
    shared: Arc<Shared<B>>,
    id: u64,
    read: usize,
    ended: bool,
}

impl<B> ReplayBody<B> {
    pub(crate) const fn new(reading: Reading<B>) -> Self {
        Self(reading)
    }

    /// Who reads, if another attempt could read the same.
    pub(crate) const fn reader(&self) -> Option<u64> {
        match &self.0 {
            Reading::Shared(reader) => Some(reader.id),
            Reading::Empty | Reading::Whole(_) | Reading::Cut => None,
        }
    }
}

/// Empty.
impl<B> Default for ReplayBody<B> {
    fn default() -> Self {
        Self(Reading::Empty)
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayBody")
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = ReplayBodyError<B::Error>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Self::Error> {
        match &mut self.0 {
            Reading::Empty => Poll::Ready(None),
            Reading::Whole(body) => Pin::new(body).poll_frame(cx).map_err(ReplayBodyError::Inner),
            Reading::Shared(reader) => reader.poll_frame(cx),
            Reading::Cut => Poll::Ready(Some(Err(ReplayBodyError::Cut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Reading::Empty => true,
            Reading::Whole(body) => body.is_end_stream(),
            Reading::Shared(reader) => reader.is_end_stream(),
            Reading::Cut => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Reading::Empty => SizeHint::with_exact(0),
            Reading::Whole(body) => body.size_hint(),
            Reading::Shared(reader) => reader.size_hint(),
            Reading::Cut => SizeHint::default(),
        }
    }
}

impl<B> Reader<B> {
    pub(crate) fn new(shared: Arc<Shared<B>>) -> Self {
        let mut state = shared.lock();
        let id = state.next;
        state.next += 1;
        state.readers += 1;
        drop(state);
        Self { shared, id, read: 0, ended: false }
    }

    fn is_end_stream(&self) -> bool {
        let state = self.shared.lock();
        let at_end = matches!(state.source, Source::Ended) && state.kept.is_all_read(self.read);
        self.ended || (at_end && !state.is_cut_off(self.id))
    }

    fn size_hint(&self) -> SizeHint {
        let read = u64::try_from(self.read).unwrap_or(u64::MAX);
        let mut hint = SizeHint::new();
        hint.set_lower(self.shared.hint.lower().saturating_sub(read));
        if let Some(upper) = self.shared.hint.upper() {
            hint.set_upper(upper.saturating_sub(read));
        }
        hint
    }
}

impl<B: Body<Data = Bytes> + Unpin> Reader<B> {
    fn poll_frame(&mut self, cx: &Context<'_>) -> Polled<ReplayBodyError<B::Error>> {
        loop {
            let mut state = self.shared.lock();
            if self.ended {
                return Poll::Ready(None);
            }
            if state.is_cut_off(self.id) {
                return Poll::Ready(Some(Err(ReplayBodyError::Cut)));
            }
            let alone = state.readers == 1;
            match state.kept.next(self.read, alone) {
                Next::Data(data) => {
                    self.read += data.len();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Next::Lost => return Poll::Ready(Some(Err(ReplayBodyError::Cut))),
                Next::NotYet => {}
            }
            match mem::replace(&mut state.source, Source::Away) {
                Source::Here(body) => ready!(self.pull(state, body, cx))?,
                Source::Away => {
                    state.wakers.wait_for_turn(cx.waker().clone());
                    return Poll::Pending;
                }
                Source::Ended => {
                    state.source = Source::Ended;
                    self.ended = true;
                    let trailers = state.kept.trailers().cloned();
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Source::Broken => {
                    state.source = Source::Broken;
                    return Poll::Ready(Some(Err(ReplayBodyError::Cut)));
                }
            }
        }
    }

    /// Reads one frame off the client's body into what is kept.
    fn pull(
        &self,
        state: MutexGuard<'_, State<B>>,
        body: B,
        cx: &Context<'_>,
    ) -> Poll<Result<(), ReplayBodyError<B::Error>>> {
        let joint = state.wakers.joint(self.id, cx.waker());
        // Not polled under the lock: the body drops the waker of its last poll, and who knows what goes with that.
        drop(state);
        let mut turn = Turn { shared: &self.shared, body: Some(body) };
        let waker = joint.as_ref().unwrap_or_else(|| cx.waker());
        let polled = turn.poll_frame(&mut Context::from_waker(waker));

        let mut state = self.shared.lock();
        match polled {
            Poll::Pending => {
                state.source = turn.body.take().map_or(Source::Broken, Source::Here);
                // Those who came meanwhile have to poll, too: this reader may never do so again.
                let (old, turns) = state.wakers.parked(self.id, cx.waker().clone());
                drop(state);
                drop(old);
                turns.into_iter().for_each(Waker::wake);
                Poll::Pending
            }
            Poll::Ready(frame) => {
                let (source, result) = match frame {
                    Some(Ok(frame)) => {
                        let body =
                            turn.body.take_if(|body| !frame.is_trailers() && !body.is_end_stream());
                        state.kept.arrived(frame);
                        (body.map_or(Source::Ended, Source::Here), Ok(()))
                    }
                    None => (Source::Ended, Ok(())),
                    Some(Err(error)) => (Source::Broken, Err(ReplayBodyError::Inner(error))),
                };
                state.source = source;
                wake(state);
                // What has ended is dropped here, without the lock.
                turn.body = None;
                Poll::Ready(result)
            }
        }
    }
}

impl<B> Drop for Reader<B> {
    fn drop(&mut self) {
        self.shared.lock().readers -= 1;
    }
}

/// The client's body while it is polled.
struct Turn<'a, B> {
    shared: &'a Shared<B>,
    body: Option<B>,
}

impl<B: Body<Data = Bytes> + Unpin> Turn<'_, B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled<B::Error> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }
}

/// A body that panics ends for all readers.
impl<B> Drop for Turn<'_, B> {
    fn drop(&mut self) {
        if self.body.is_some() {
            let mut state = self.shared.lock();
            state.source = Source::Broken;
            wake(state);
        }
    }
}
