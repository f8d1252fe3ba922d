use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::listener::Stream;

use super::{Splice, place_of};

/// A client's connection, which writes what is in the pipe where a slice stands for that.
#[derive(Debug)]
pub(crate) struct SplicedIo {
    client: Stream,
    splice: Splice,
}

impl SplicedIo {
    /// The connection, and the way there for those who can fill a pipe, if it is one over TCP.
    pub(crate) fn new(client: Stream) -> (Self, Option<Splice>) {
        let splice = Splice::new();
        let way = matches!(client, Stream::Tcp(_)).then(|| splice.clone());
        (Self { client, splice }, way)
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
        let first = bufs.iter().find(|buf| !buf.is_empty());
        if let Some(first) = first.filter(|first| place_of(first).is_some()) {
            return self.drain(first, cx);
        }
        let ordinary = bufs.iter().take_while(|buf| place_of(buf).is_none()).count();
        let ordinary = bufs.get(..ordinary).unwrap_or_default();
        Pin::new(&mut self.client).poll_write_vectored(cx, ordinary)
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
