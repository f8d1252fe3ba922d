use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use hyper::body::Body as HttpBody;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tower::layer::util::Stack;
use tower::util::MapRequestLayer;

use crate::body::{Body, Error, PlainLayer, over_plain};
use crate::facts::Facts;

use super::{Filled, Splice};

/// The way of a request's body from its client past this program's memory. What reads such a body on its way has to say so
/// first: see [`reading`].
///
/// hyper, which reads the client's connection, is given empty bytes in place of those that went into the pipe, and they are
/// exchanged for slices that stand for these when they come out of hyper: one after the other, each as long as it was.
#[derive(Clone, Default)]
pub(crate) struct Upload(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// What of the body is to be moved, and has not been.
    left: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// There when whoever sends the request takes its body out of a pipe.
    splice: Option<Splice>,
    /// What has been moved, and not come out of hyper yet.
    moved: VecDeque<Bytes>,
    /// The number of the first of all bytes in there.
    at: u64,
}

/// A piece of a body that is not what was moved.
#[derive(Debug)]
pub(crate) struct Misplaced;

impl Upload {
    /// Has the body, or what of it is not read yet, go into a pipe, and gives the way out of there.
    pub(crate) fn want(&self) -> Splice {
        let splice = Splice::new();
        self.0.left.store(0, Relaxed);
        *self.state() = State { splice: Some(splice.clone()), ..State::default() };
        splice
    }

    /// Has the body be read: whoever sends the request now knows no pipes, or the body is over.
    pub(crate) fn refuse(&self) {
        self.0.left.store(0, Relaxed);
        *self.state() = State::default();
    }

    /// Moves what comes from now on, as far as it is the body's, which has `left` bytes to come.
    ///
    /// hyper must have nothing more of it.
    pub(crate) fn begin(&self, left: u64) {
        if self.0.left.load(Relaxed) == 0 && left >= LEAST && self.state().splice.is_some() {
            self.0.left.store(left, Relaxed);
        }
    }

    /// Moves what has come from the client, in place of reading it; none if it is to be read.
    pub(super) fn poll_fill(
        &self,
        client: &TcpStream,
        buf: &mut ReadBuf<'_>,
        cx: &mut Context<'_>,
    ) -> Option<Poll<io::Result<()>>> {
        let left = self.0.left.load(Relaxed);
        if left == 0 {
            return None;
        }
        let mut state = self.state();
        let most = buf.remaining().min(MOST);
        let filled = state.splice.as_ref()?.fill(client, left, most, cx);
        Some(match filled {
            Ok(Filled::Piece(piece)) => {
                let length = u64::try_from(piece.len()).unwrap_or(left);
                self.0.left.store(left.saturating_sub(length), Relaxed);
                // What is not initialized is set to zero.
                let number = state.next().to_le_bytes();
                let space = buf.initialize_unfilled_to(piece.len());
                space.iter_mut().zip(number).for_each(|(byte, digit)| *byte = digit);
                buf.advance(piece.len());
                state.moved.push_back(piece);
                Poll::Ready(Ok(()))
            }
            Ok(Filled::Closed) => Poll::Ready(Ok(())),
            Ok(Filled::Empty | Filled::Full) => Poll::Pending,
            Ok(Filled::Impossible) => {
                self.0.left.store(0, Relaxed);
                return None;
            }
            Err(error) => Poll::Ready(Err(error)),
        })
    }

    /// What a piece that has come out of hyper stands for.
    ///
    /// # Errors
    ///
    /// When something has been moved, and this is not it.
    pub(crate) fn exchange(&self, piece: Bytes) -> Result<Bytes, Misplaced> {
        let mut state = self.state();
        let Some(moved) = state.moved.pop_front() else { return Ok(piece) };
        let number = state.at.to_le_bytes();
        let told = number.get(..piece.len().min(number.len())).unwrap_or_default();
        if moved.len() != piece.len() || !piece.starts_with(told) {
            return Err(Misplaced);
        }
        state.at += u64::try_from(moved.len()).unwrap_or(u64::MAX);
        Ok(moved)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The number of the first byte that will be moved.
    fn next(&self) -> u64 {
        let inside = self.moved.iter().map(Bytes::len).sum::<usize>();
        self.at + u64::try_from(inside).unwrap_or(0)
    }
}

/// `layer`, which reads bodies of requests.
pub(crate) fn reading<L, B>(layer: L) -> Stack<Stack<PlainLayer<B>, L>, ReadLayer>
where
    B: HttpBody<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    Stack::new(over_plain(layer), MapRequestLayer::new(read))
}

type ReadLayer = MapRequestLayer<fn(Request<Body>) -> Request<Body>>;

fn read(mut request: Request<Body>) -> Request<Body> {
    Facts::of(&mut request).known().uploads = false;
    request
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("left", &self.0.left).finish_non_exhaustive()
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of a body is missing")
    }
}

impl std::error::Error for Misplaced {}

/// What is moved at once: hyper's buffer grows with what it is given, and all of it is set to zero.
const MOST: usize = 128 << 10;

/// What is left of a body is not worth a pipe below that.
const LEAST: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::IoSlice;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::tests::pair;
    use super::*;

    /// What hyper is given of what has come, if it is not to read it.
    async fn filled(upload: &Upload, client: &TcpStream) -> Option<Bytes> {
        poll_fn(|cx| {
            let mut space = vec![1; 8192];
            let mut buf = ReadBuf::new(&mut space);
            match upload.poll_fill(client, &mut buf, cx) {
                None => Poll::Ready(None),
                Some(Poll::Pending) => Poll::Pending,
                Some(Poll::Ready(moved)) => {
                    moved.unwrap();
                    Poll::Ready(Some(Bytes::copy_from_slice(buf.filled())))
                }
            }
        })
        .await
    }

    #[tokio::test]
    async fn what_was_moved_comes_out_where_hyper_gives_its_place() {
        let ((client, mut source), (mut upstream, mut sink)) = (pair().await, pair().await);
        let sent: Vec<u8> = (0..20_000_u32).map(|place| (place % 251).to_le_bytes()[0]).collect();
        source.write_all(&sent).await.unwrap();
        source.write_all(b"the next request").await.unwrap();
        let upload = Upload::default();
        let splice = upload.want();
        upload.begin(20_000);

        while let Some(piece) = filled(&upload, &client).await {
            let mut piece = upload.exchange(piece).unwrap();
            while !piece.is_empty() {
                let slices = [IoSlice::new(&piece)];
                let write = poll_fn(|cx| splice.poll_write_vectored(&mut upstream, &slices, cx));
                let written = write.await.unwrap();
                piece = piece.slice(written..);
            }
        }

        let mut came = vec![0; sent.len()];
        sink.read_exact(&mut came).await.unwrap();
        assert!(came == sent, "other bytes");
        let mut rest = [0; 16];
        (&client).readable().await.unwrap();
        assert_eq!(client.try_read(&mut rest).unwrap(), 16);
        assert_eq!(&rest, b"the next request");
    }

    #[tokio::test]
    async fn a_piece_that_is_not_the_next_that_was_moved_is_an_error() {
        let (client, mut source) = pair().await;
        let upload = Upload::default();
        for wrong in 0..3 {
            let _splice = upload.want();
            upload.begin(100_000);
            source.write_all(&[7; 20_000]).await.unwrap();
            let first = filled(&upload, &client).await.unwrap();
            let second = filled(&upload, &client).await.unwrap();

            let came = match wrong {
                0 => second,
                1 => first.slice(1..),
                _ => Bytes::from_static(&[7; 8192]),
            };

            assert!(upload.exchange(came).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_body_is_read_unless_somebody_wants_it_in_a_pipe_and_it_is_large() {
        let (client, mut source) = pair().await;
        source.write_all(b"abc").await.unwrap();
        let upload = Upload::default();

        upload.begin(100_000);
        assert!(filled(&upload, &client).await.is_none(), "nobody wants it");
        let _splice = upload.want();
        assert!(filled(&upload, &client).await.is_none(), "hyper may still have some of it");
        upload.begin(LEAST - 1);
        assert!(filled(&upload, &client).await.is_none(), "it is too small");
        upload.begin(100_000);
        assert_eq!(filled(&upload, &client).await.unwrap().len(), 3);
        upload.refuse();
        assert!(filled(&upload, &client).await.is_none(), "it is over");
        assert_eq!(upload.exchange(Bytes::from("abc")).unwrap(), "abc");
    }
}
