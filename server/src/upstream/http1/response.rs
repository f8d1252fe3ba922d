use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::body::{Error, Side};
use crate::splice::{Filled, Splice};
use crate::trailers::sift;
use crate::upstream::pool::Http1;

use super::chunks::Piece;
use super::head::Framing;
use super::reading::{Ahead, poll_read};
use super::{Broken, Failure, Io};

/// What an upstream answers over HTTP/1.1, and the connection that it comes over.
///
/// The connection is kept when the last byte has come, the request has been sent whole and nothing else has come; it closes
/// when the body is dropped before that.
#[derive(Debug)]
pub(in crate::upstream) struct Http1Body {
    lease: Option<Http1>,
    framing: Framing,
    persists: bool,
    idle: Duration,
    /// Since when there has been nothing to give.
    since: Option<Instant>,
    /// How it gets to the client without being read, if it can.
    splice: Option<Splice>,
    broken: Option<Error>,
}

impl Http1Body {
    pub(in crate::upstream) fn new(
        lease: Http1,
        framing: Framing,
        persists: bool,
        idle: Duration,
        splice: Option<Splice>,
    ) -> Self {
        let mut body =
            Self { lease: Some(lease), framing, persists, idle, since: None, splice, broken: None };
        if body.framing.has_ended() {
            body.give_back();
        }
        body
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.persists
            && lease.connection().is_reusable()
        {
            lease.give_back();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(Ok(Piece::End(None))) };
        let connection = lease.connection_mut();
        if !connection.has_sent()
            && let Poll::Ready(Err(failure)) = connection.poll_send(cx)
        {
            return Poll::Ready(Err(match failure {
                Failure::Body(error) => error,
                Failure::Broken(broken) => Error::new(Side::Upstream, broken),
                _ => Error::bare(Side::Client),
            }));
        }
        loop {
            match self.framing.next(&mut connection.read).map_err(of_upstream)? {
                Piece::More => {}
                piece => {
                    self.since = None;
                    return Poll::Ready(Ok(piece));
                }
            }
            let left = self.framing.left();
            if let (Some(splice), Io::Tcp(upstream), Framing::Length(left)) =
                (&self.splice, &connection.io, &mut self.framing)
                && *left >= LARGE
            {
                match splice
                    .fill(upstream, *left, usize::MAX, cx)
                    .map_err(Broken::Io)
                    .map_err(of_upstream)?
                {
                    Filled::Piece(piece) => {
                        *left -= u64::try_from(piece.len()).unwrap_or(*left);
                        if *left == 0 {
                            self.framing = Framing::Ended;
                        }
                        self.since = None;
                        connection.spliced = true;
                        return Poll::Ready(Ok(Piece::Data(piece)));
                    }
                    Filled::Closed => return Poll::Ready(Err(of_upstream(Broken::Closed))),
                    Filled::Full => {
                        self.since = None;
                        return Poll::Pending;
                    }
                    Filled::Empty => break,
                    Filled::Impossible => self.splice = None,
                }
            }
            match poll_read(&mut connection.io, &mut connection.read, Ahead::Body(left), cx) {
                Poll::Ready(Ok(0)) if matches!(self.framing, Framing::Close) => {
                    self.framing = Framing::Ended;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(of_upstream(Broken::Closed))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(of_upstream(Broken::Io(error))));
                }
                Poll::Pending => break,
            }
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        ready!(connection.patience.poll(since, self.idle, cx));
        Poll::Ready(Err(Error::bare(Side::UpstreamTimeout)))
    }
}

fn of_upstream(broken: Broken) -> Error {
    Error::new(Side::Upstream, broken)
}

impl HttpBody for Http1Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(error) = self.broken.take() {
            self.framing = Framing::Ended;
            return Poll::Ready(Some(Err(error)));
        }
        let piece = match ready!(self.poll(cx)) {
            Ok(piece) => piece,
            Err(error) => {
                // Whoever hears of it may throw away what came before. They have one chance to pass that on.
                self.broken = Some(error);
                self.lease = None;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        if self.framing.has_ended() {
            self.give_back();
        }
        Poll::Ready(match piece {
            Piece::Data(data) => Some(Ok(Frame::data(data))),
            Piece::End(trailers) => trailers.map(|trailers| Ok(sift(Frame::trailers(trailers)))),
            Piece::More => None, // it is read further
        })
    }

    fn is_end_stream(&self) -> bool {
        self.framing.has_ended()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Ended => SizeHint::with_exact(0),
            Framing::Chunked(_) | Framing::Close => SizeHint::default(),
        }
    }
}

/// What is left of a body is not worth a pipe below that.
const LARGE: u64 = 16 << 10;
