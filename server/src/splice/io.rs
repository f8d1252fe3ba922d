use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::listener::Stream;

use super::{Next, Splice, Upload, next, place_of};

/// A client's connection, which writes what is in the pipe where a slice stands for that, and moves what has come of a body
/// into another where it is not to be read.
#[derive(Debug)]
pub(crate) struct SplicedIo {
    client: Stream,
    splice: Splice,
    upload: Upload,
}

impl SplicedIo {
    /// The connection, and the ways there and back for those who know pipes, if it is one over TCP.
    pub(crate) fn new(client: Stream) -> (Self, Option<(Splice, Upload)>) {
        let (splice, upload) = (Splice::new(), Upload::default());
        let ways = matches!(client, Stream::Tcp(_)).then(|| (splice.clone(), upload.clone()));
        (Self { client, splice, upload }, ways)
    }

    fn drain(&self, slice: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &self.client {
            Stream::Tcp(client) => self.splice.poll_drain(client, slice, cx),
            Stream::Unix(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }
}

impl AsyncRead for SplicedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Stream::Tcp(client) = &self.client
            && let Some(moved) = self.upload.poll_fill(client, buf, cx)
        {
            return moved;
        }
        Pin::new(&mut self.client).poll_read(cx, buf)
    }
}

impl AsyncWrite for SplicedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match place_of(buf) {
            Some(_) => self.drain(buf, cx),
            None => Pin::new(&mut self.client).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match next(bufs) {
            Next::Moved(slice) => self.drain(slice, cx),
            Next::Bytes(bufs) => Pin::new(&mut self.client).poll_write_vectored(cx, bufs),
        }
    }

    /// Or else hyper would copy pieces together, and with them nothing.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.client).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.client).poll_shutdown(cx)
    }
}
