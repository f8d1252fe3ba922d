//! Bodies that pass through the kernel alone.
//!
//! A body that is sent on as it came need not be read: `splice(2)` moves it from one socket into a pipe, and from there to
//! the other. What layers and hyper see of it are slices of [`REGION`], which nobody reads: a slice says how many bytes wait
//! in the pipe, and its place in the region which of them they are. [`SplicedIo`], and the upstream's side of an [`Upload`],
//! know such slices when they are to be written, and move the bytes. One that is not the next is a broken connection, never
//! other bytes.

mod io;
mod pipe;
mod upload;

pub(crate) use io::SplicedIo;
pub(crate) use upload::{Upload, reading};

use std::fmt;
use std::io::{self as std_io, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::Request;
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

use crate::facts::Facts;

use self::pipe::Pipe;

/// The way to somebody who takes bodies out of a pipe. What reads a response's body on its way to the client, or writes
/// another in its place, has to say so first: see [`unspliced`].
#[derive(Clone)]
pub(crate) struct Splice(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// There while something is on its way.
    pipe: Option<Pipe>,
    /// All bytes that have gone in, and out.
    filled: u64,
    drained: u64,
    /// Who waits until there is room again.
    waker: Option<Waker>,
    /// Whether a body is not at its end yet.
    open: bool,
}

/// What has come of an attempt to move a part of a body into the pipe.
#[derive(Debug)]
pub(crate) enum Filled {
    /// This stands for what has been moved.
    Piece(Bytes),
    /// The sender has ended the connection.
    Closed,
    /// There is no pipe to be had: the body has to be read.
    Impossible,
    /// There is nothing to be moved yet.
    Empty,
    /// There is no room: the receiver has not taken what is in the pipe.
    Full,
}

impl Splice {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Moves what has come of a body that has `left` bytes to come, and `most` bytes of it at most.
    ///
    /// # Errors
    ///
    /// Those of the sender's socket.
    pub(crate) fn fill(
        &self,
        sender: &TcpStream,
        left: u64,
        most: usize,
        cx: &mut Context<'_>,
    ) -> std_io::Result<Filled> {
        let mut state = self.state();
        let inside = state.inside();
        if inside >= MOST {
            state.waker = Some(cx.waker().clone());
            return Ok(Filled::Full);
        }
        let at = place(state.filled);
        let Some(pipe) = state.pipe.take().or_else(Pipe::take) else {
            return Ok(Filled::Impossible);
        };
        let most = most.min(REGION.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
        let moved = loop {
            match sender.poll_read_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => break Ok(None),
            }
            let mut full = false;
            let moved = sender.try_io(Interest::READABLE, || {
                match splice(sender, None, pipe.end(), None, most, FLAGS) {
                    // With something in the pipe it may as well be full: the socket has not said that it is empty.
                    Err(rustix::io::Errno::AGAIN) if inside > 0 => {
                        full = true;
                        Ok(0)
                    }
                    moved => Ok(moved?),
                }
            });
            match moved {
                Ok(0) if full => {
                    state.waker = Some(cx.waker().clone());
                    state.pipe = Some(pipe);
                    return Ok(Filled::Full);
                }
                Ok(moved) => break Ok(Some(moved)),
                Err(error) if error.kind() == std_io::ErrorKind::WouldBlock => {}
                Err(error) => break Err(error),
            }
        };
        state.pipe = Some(pipe);
        Ok(match moved? {
            None => Filled::Empty,
            Some(0) => Filled::Closed,
            Some(moved) => {
                let moved_u64 = u64::try_from(moved).unwrap_or(u64::MAX);
                state.filled += moved_u64;
                state.open = moved_u64 < left;
                let piece = REGION.get(at..at + moved).unwrap_or_default();
                Filled::Piece(Bytes::from_static(piece))
            }
        })
    }

    /// Writes what can be written at once: what a slice stands for, or else the bytes that come before such a one.
    pub(crate) fn poll_write_vectored(
        &self,
        receiver: &mut TcpStream,
        slices: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<std_io::Result<usize>> {
        match next(slices) {
            Next::Moved(slice) => self.poll_drain(receiver, slice, cx),
            Next::Bytes(slices) => Pin::new(receiver).poll_write_vectored(cx, slices),
        }
    }

    /// Moves what `slice` stands for on to the receiver; how many bytes that was.
    fn poll_drain(
        &self,
        receiver: &TcpStream,
        slice: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<std_io::Result<usize>> {
        let mut state = self.state();
        let next = place_of(slice) == Some(place(state.drained));
        let enough = u64::try_from(slice.len()).is_ok_and(|length| length <= state.inside());
        let Some(pipe) = state.pipe.as_ref().filter(|_| next && enough) else {
            return Poll::Ready(Err(std_io::Error::other("a part of a body is missing")));
        };
        let moved = loop {
            ready!(receiver.poll_write_ready(cx))?;
            let moved = receiver.try_io(Interest::WRITABLE, || {
                Ok(splice(pipe.start(), None, receiver.as_fd(), None, slice.len(), FLAGS)?)
            });
            match moved {
                Err(error) if error.kind() == std_io::ErrorKind::WouldBlock => {}
                moved => break moved?,
            }
        };
        state.drained += u64::try_from(moved).unwrap_or(u64::MAX);
        if state.inside() == 0 && !state.open {
            // Only one that is empty is for others, too.
            if let Some(pipe) = state.pipe.take() {
                pipe.give_back();
            }
        }
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(moved))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same request, whose response somebody on its way reads.
pub(crate) fn unspliced<B>(mut request: Request<B>) -> Request<B> {
    Facts::of(&mut request).known().splices = false;
    request
}

impl State {
    const fn inside(&self) -> u64 {
        self.filled - self.drained
    }
}

impl fmt::Debug for Splice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Splice")
            .field("filled", &state.filled)
            .field("drained", &state.drained)
            .finish_non_exhaustive()
    }
}

/// What of several slices can be written at once.
enum Next<'a, 'b> {
    /// This one stands for what is in a pipe.
    Moved(&'a [u8]),
    Bytes(&'a [IoSlice<'b>]),
}

fn next<'a, 'b>(slices: &'a [IoSlice<'b>]) -> Next<'a, 'b> {
    let first = slices.iter().find(|slice| !slice.is_empty());
    if let Some(first) = first.filter(|first| place_of(first).is_some()) {
        return Next::Moved(first);
    }
    let bytes = slices.iter().take_while(|slice| place_of(slice).is_none()).count();
    Next::Bytes(slices.get(..bytes).unwrap_or_default())
}

/// Where the byte with this number stands in the region.
fn place(number: u64) -> usize {
    let length = u64::try_from(REGION.len()).unwrap_or(u64::MAX);
    usize::try_from(number % length).unwrap_or(0)
}

/// Where in the region a slice begins; none if it is an ordinary one.
fn place_of(slice: &[u8]) -> Option<usize> {
    let offset = slice.as_ptr().addr().checked_sub(REGION.as_ptr().addr())?;
    (offset < REGION.len() && !slice.is_empty()).then_some(offset)
}

/// Memory that is never touched, so that it is not there: its addresses stand for what is in a pipe.
static REGION: [u8; 1 << 20] = [0; 1 << 20];

/// What is in a pipe at most before its receiver has taken some of it.
const MOST: u64 = 256 << 10;

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    pub(super) async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    async fn fill(splice: &Splice, upstream: &TcpStream, left: u64) -> Bytes {
        poll_fn(|cx| match splice.fill(upstream, left, usize::MAX, cx).unwrap() {
            Filled::Piece(piece) => Poll::Ready(piece),
            Filled::Empty => Poll::Pending,
            other => panic!("{other:?}"),
        })
        .await
    }

    async fn drain(splice: &Splice, client: &TcpStream, slice: &[u8]) -> std_io::Result<usize> {
        poll_fn(|cx| splice.poll_drain(client, slice, cx)).await
    }

    #[tokio::test]
    async fn a_slice_that_is_not_the_next_is_an_error_and_never_other_bytes() {
        let ((upstream, mut source), (client, mut sink)) = (pair().await, pair().await);
        let splice = Splice::new();
        source.write_all(b"abcdef").await.unwrap();
        let first = fill(&splice, &upstream, 3).await;
        let second = fill(&splice, &upstream, 3).await;

        assert!(drain(&splice, &client, &second).await.is_err());
        assert!(drain(&splice, &client, b"abc").await.is_err());
        assert_eq!(drain(&splice, &client, &first[..2]).await.unwrap(), 2);
        assert_eq!(drain(&splice, &client, &first[2..]).await.unwrap(), 1);
        assert!(drain(&splice, &client, &first).await.is_err());
        assert_eq!(drain(&splice, &client, &second).await.unwrap(), 3);
        assert!(drain(&splice, &client, &second).await.is_err(), "there is no more");

        let mut came = [0; 6];
        sink.read_exact(&mut came).await.unwrap();
        assert_eq!(&came, b"abcdef");
    }

    #[tokio::test]
    async fn a_body_may_be_larger_than_the_region_that_stands_for_it() {
        let ((upstream, mut source), (client, mut sink)) = (pair().await, pair().await);
        let splice = Splice::new();
        let sent: Vec<u8> =
            (0..3 << 20_u32).map(|place: u32| (place % 251).to_le_bytes()[0]).collect();
        let bytes = sent.clone();
        let sending = tokio::spawn(async move { source.write_all(&bytes).await });
        let reading = tokio::spawn(async move {
            let mut came = vec![0; 3 << 20];
            sink.read_exact(&mut came).await.map(|_| came)
        });

        let mut left = u64::try_from(sent.len()).unwrap();
        while left > 0 {
            let mut piece = fill(&splice, &upstream, left).await;
            left -= u64::try_from(piece.len()).unwrap();
            while !piece.is_empty() {
                let drained = drain(&splice, &client, &piece).await.unwrap();
                piece = piece.slice(drained..);
            }
        }

        sending.await.unwrap().unwrap();
        assert!(reading.await.unwrap().unwrap() == sent);
        assert!(splice.state().pipe.is_none(), "others of the worker may have it");
    }

    #[tokio::test]
    async fn the_end_of_the_upstream_is_told_and_is_no_piece() {
        let (upstream, source) = pair().await;
        drop(source);
        let splice = Splice::new();

        let end = poll_fn(|cx| match splice.fill(&upstream, 100, usize::MAX, cx).unwrap() {
            Filled::Empty => Poll::Pending,
            other => Poll::Ready(other),
        })
        .await;

        assert!(matches!(end, Filled::Closed), "{end:?}");
    }
}
