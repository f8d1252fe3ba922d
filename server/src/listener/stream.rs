use std::io::{self, IoSlice};
use std::net::{self, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net as unix;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::together::poll_write_together;

/// A socket that takes connections, for a runtime to open.
#[derive(Debug)]
#[non_exhaustive]
pub enum Socket {
    /// At an address.
    Tcp(net::TcpListener),
    /// In the file system.
    Unix(unix::UnixListener),
}

impl Socket {
    /// What another process has opened.
    pub(super) fn inherited(descriptor: OwnedFd) -> io::Result<Self> {
        let is_unix = socket2::SockRef::from(&descriptor).local_addr()?.is_unix();
        let socket =
            if is_unix { Self::Unix(descriptor.into()) } else { Self::Tcp(descriptor.into()) };
        socket.set_nonblocking()?;
        Ok(socket)
    }

    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }

    /// Where it takes them, as a log may say it.
    pub(super) fn name(&self) -> io::Result<(String, Option<SocketAddr>)> {
        Ok(match self {
            Self::Tcp(socket) => {
                let address = socket.local_addr()?;
                (address.to_string(), Some(address))
            }
            Self::Unix(socket) => {
                let path = socket.local_addr()?;
                let path = path.as_pathname().unwrap_or_else(|| Path::new("?"));
                (format!("unix:{}", path.display()), None)
            }
        })
    }

    /// The same socket once more: both take turns at its connections.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }

    /// Hands the socket to the runtime of this thread.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch it.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn open(self) -> io::Result<OpenSocket> {
        Ok(match self {
            Self::Tcp(socket) => OpenSocket::Tcp(TcpListener::from_std(socket)?),
            Self::Unix(socket) => OpenSocket::Unix(UnixListener::from_std(socket)?),
        })
    }
}

/// A socket that takes connections.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenSocket {
    /// At an address.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixListener),
}

impl OpenSocket {
    /// The next connection, and where it comes from, which a unix socket does not tell. Cancelled, it takes none.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`, some of which say only that one client has left already.
    pub async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // A socket for both families has those of IPv4 in a range of IPv6.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix(socket) => Ok((Stream::Unix(socket.accept().await?.0), None)),
        }
    }
}

/// The bytes of a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// From an address.
    Tcp(TcpStream),
    /// From this machine.
    Unix(UnixStream),
}

impl Stream {
    /// Has pieces of a stream go out as they come.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => poll_write_together(Pin::new(stream), cx, bufs),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    /// Both kinds do.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
