//! What a connection becomes when it is upgraded.
//!
//! An upgrade is a request of HTTP/1.1 on its whole way through the stack, whichever version the client speaks. Its
//! response carries the upstream's side as a [`Tunnel`]; whatever else layers leave in the extensions of that response is
//! held for as long as the tunnel lasts.

mod connect;
mod relay;
mod websocket;

pub use connect::{ExtendedConnect, ExtendedConnectLayer};
pub use relay::Relay;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::io::{AsyncRead, AsyncWrite};

/// The upstream's side of a tunnel, in the extensions of the response that makes it, and what is known of the whole.
#[derive(Clone)]
pub struct Tunnel(Arc<Shared>);

struct Shared {
    upstream: Mutex<Option<Box<dyn Wire>>>,
    is_websocket: bool,
    idle: Duration,
    received: AtomicU64,
    sent: AtomicU64,
    end: Mutex<Option<End>>,
}

/// A connection to an upstream.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<I: AsyncRead + AsyncWrite + Send + Unpin> Wire for I {}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// Both sides closed.
    Closed,
    /// The client broke off.
    ClientLeft,
    /// The upstream broke off.
    UpstreamLeft,
    /// Nothing came from either side for too long.
    Idle,
    /// The gateway gave it up, or the connection that it was in.
    Cut,
}

impl End {
    /// The name in logs and metrics; none if it is no failure.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::ClientLeft => Some("client_closed"),
            Self::UpstreamLeft => Some("upstream_tunnel"),
            Self::Idle => Some("tunnel_idle"),
            Self::Cut => Some("tunnel_cut"),
        }
    }
}

impl Tunnel {
    /// A tunnel of this protocol to `upstream`; it ends after `idle` without a byte.
    pub(crate) fn new(
        upstream: impl Wire + 'static,
        protocol: &HeaderValue,
        idle: Duration,
    ) -> Self {
        Self(Arc::new(Shared {
            upstream: Mutex::new(Some(Box::new(upstream))),
            is_websocket: protocol.as_bytes().eq_ignore_ascii_case(b"websocket"),
            idle,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            end: Mutex::new(None),
        }))
    }

    /// The bytes that the upstream took from the client so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.received.load(Relaxed)
    }

    /// The bytes that the client took from the upstream so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Relaxed)
    }

    /// How it ended; one that was never told to have ended was cut.
    #[must_use]
    pub fn end(&self) -> End {
        self.0.end.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(End::Cut)
    }

    fn ended(&self, end: End) {
        *self.0.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// The upstream's side, for the one who relays.
    fn take(&self) -> Option<Box<dyn Wire>> {
        self.0.upstream.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("is_websocket", &self.0.is_websocket)
            .field("received", &self.received())
            .field("sent", &self.sent())
            .finish_non_exhaustive()
    }
}
