//! HTTP/1.1 to a replica, in the task of the request: there is no other, no channel and no lock.
//!
//! Whoever waits for the response sends the request meanwhile, and whoever reads the response sends what is left of it.
//! A connection is used again only after an exchange of which both ends are known to the byte.

mod broken;
mod chunks;
mod head;
mod io;
mod patience;
mod reading;
mod request;
mod response;

pub(super) use broken::Broken;
pub(super) use head::Head;
pub(super) use io::Io;
pub(super) use response::Http1Body;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, request as http_request};
use hyper::body::Body as _;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::body::{self, Body};
use crate::facts::Facts;
use crate::rewound::Rewound;
use crate::splice::{Splice, Upload};

use self::head::is_interim;
use self::patience::Patience;
use self::reading::{Ahead, poll_read};
use self::request::{Coding, Mismatch, Outgoing, encode};

/// A connection to a replica, and the request that it carries.
#[derive(Debug)]
pub(super) struct Connection {
    io: Io,
    /// What has been read, and not been used yet.
    read: Bytes,
    out: Outgoing,
    /// What is left of the request.
    body: Option<Body>,
    coding: Coding,
    sending: Sending,
    /// Since when the upstream is the one that is waited for: not while the client is.
    since: Option<Instant>,
    patience: Patience,
    /// Whether a byte of the request has gone.
    begun: bool,
    /// Out of what pipe the request's body comes, if it is not read.
    upload: Option<Splice>,
    /// Whether the body of the last response was not read.
    spliced: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sending {
    Rest,
    Done,
    /// The upstream takes no more, but may have answered.
    Refused,
}

/// Why an exchange gave no response.
#[derive(Debug)]
pub(super) enum Failure {
    /// Not a byte was sent, and the body is as it was.
    Unsent,
    /// Not a byte was sent, but a piece of the body was taken.
    Lost(Broken),
    /// The connection closed instead of answering, as one does that has been idle for too long.
    Stale(Broken),
    /// The connection is of no use.
    Broken(Broken),
    /// The request broke off on this side.
    Body(body::Error),
    /// The request is not as long as it said.
    Mismatch,
    /// The upstream took too long.
    Late,
}

impl Connection {
    pub(super) fn new(io: Io) -> Box<Self> {
        Box::new(Self {
            io,
            read: Bytes::new(),
            out: Outgoing::default(),
            body: None,
            coding: Coding::None,
            sending: Sending::Done,
            since: None,
            patience: Patience::default(),
            begun: false,
            upload: None,
            spliced: false,
        })
    }

    /// Begins an exchange, at `now`. It is carried out by [`poll_head`](Self::poll_head) and what follows. A body that is
    /// `large` need not be read.
    pub(super) fn begin(
        &mut self,
        request: &http_request::Parts,
        body: Body,
        now: Instant,
        large: u64,
    ) {
        self.coding = encode(request, &body, &mut self.out);
        let upload = || request.extensions.get().and_then(Facts::upload);
        self.upload = match &self.coding {
            Coding::None => None,
            Coding::Length(length) if *length >= large && matches!(self.io, Io::Tcp(_)) => {
                upload().map(Upload::want)
            }
            Coding::Length(_) | Coding::Chunks(_) => {
                upload().map(Upload::refuse);
                None
            }
        };
        self.body = (!matches!(self.coding, Coding::None)).then_some(body);
        self.sending = Sending::Rest;
        self.since = Some(now);
        self.begun = false;
    }

    /// The body of a request of which nothing was sent.
    pub(super) fn take_body(&mut self) -> Body {
        self.body.take().unwrap_or_default()
    }

    /// Sends the request, and waits until the head of the response has come: for as long as `limit` after the upstream was
    /// given the last piece of the request. The fields of the response take the place of those of the request, of which
    /// nobody has a use any more.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        request: &mut http_request::Parts,
        limit: Duration,
    ) -> Poll<Result<Head, Failure>> {
        if let Poll::Ready(Err(failure)) = self.poll_send(cx) {
            return Poll::Ready(Err(failure));
        }
        loop {
            if !self.read.is_empty()
                && let Some(head) =
                    head::head(&mut self.read, request.method == Method::HEAD, &mut request.headers)
                        .map_err(Failure::Broken)?
            {
                // What is said in the meantime is between the upstream and this side.
                if is_interim(head.response.status()) {
                    continue;
                }
                self.spliced = false;
                return Poll::Ready(Ok(head));
            }
            let nothing = self.read.is_empty();
            // Who asked for a large body asks for the next.
            let ahead = if self.spliced { Ahead::Head } else { Ahead::Small };
            let closed = match poll_read(&mut self.io, &mut self.read, ahead, cx) {
                Poll::Ready(Ok(0)) => Broken::Closed,
                Poll::Ready(Ok(_)) => continue,
                Poll::Ready(Err(error)) => Broken::Io(error),
                Poll::Pending => break,
            };
            return Poll::Ready(Err(match nothing && closed.is_gone() {
                true => Failure::Stale(closed),
                false => Failure::Broken(closed),
            }));
        }
        let Some(since) = self.since else { return Poll::Pending };
        ready!(self.patience.poll(since, limit, cx));
        Poll::Ready(Err(Failure::Late))
    }

    /// Sends what there is of the request. Pending does not keep the response from being read.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.sending == Sending::Rest {
            let waits =
                !self.out.has_piece() && self.body.is_some() && self.poll_piece(cx)?.is_pending();
            if self.out.is_empty() {
                let flushed = Pin::new(&mut self.io).poll_flush(cx);
                if let Poll::Ready(Err(error)) = flushed {
                    return Poll::Ready(self.refused(error));
                }
                if waits {
                    // It is the client that is waited for.
                    self.since = None;
                }
                if waits || flushed.is_pending() {
                    return Poll::Pending;
                }
                if self.body.is_none() {
                    self.sending = Sending::Done;
                }
                continue;
            }
            match ready!(self.poll_write(cx)) {
                Ok(0) => return Poll::Ready(self.refused(std::io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.begun = true;
                    self.out.advance(written);
                }
                Err(error) => return Poll::Ready(self.refused(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let slices = self.out.slices();
        match (&self.upload, &mut self.io) {
            (Some(upload), Io::Tcp(stream)) => upload.poll_write_vectored(stream, &slices, cx),
            (_, io) => Pin::new(io).poll_write_vectored(cx, &slices),
        }
    }

    /// Puts the next piece of the body on its way.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Failure> {
        let Some(body) = &mut self.body else { return Ok(Poll::Ready(())) };
        let frame = match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(frame) => frame.transpose().map_err(Failure::Body)?,
        };
        let ends = frame.is_none() || body.is_end_stream();
        if let Some(frame) = frame {
            self.coding.encode(frame, &mut self.out)?;
        }
        if ends {
            self.body = None;
            self.coding.end(&mut self.out)?;
        }
        self.since = Some(Instant::now());
        Ok(Poll::Ready(()))
    }

    /// The upstream takes nothing more: what it has said before that is still to be read.
    fn refused(&mut self, error: std::io::Error) -> Result<(), Failure> {
        self.sending = Sending::Refused;
        self.since.get_or_insert_with(Instant::now);
        let broken = Broken::Io(error);
        if !self.begun {
            return Err(if self.out.has_piece() { Failure::Lost(broken) } else { Failure::Unsent });
        }
        self.body = None;
        if broken.is_gone() { Ok(()) } else { Err(Failure::Broken(broken)) }
    }

    /// Whether the whole request has gone.
    pub(super) fn has_sent(&self) -> bool {
        self.sending == Sending::Done
    }

    /// Whether nothing has come over it since the last response, not even its end.
    pub(super) fn is_fit(&mut self) -> bool {
        self.read.is_empty() && self.io.is_silent()
    }

    /// Whether another request may follow an exchange that has come to its end.
    fn is_reusable(&self) -> bool {
        self.has_sent() && self.read.is_empty()
    }

    /// Gives up what only a connection in use needs.
    pub(super) fn rest(&mut self) {
        self.read = Bytes::new();
        self.upload = None;
        self.out.shrink();
    }

    /// The connection as what it was before HTTP.
    pub(super) fn into_io(self) -> Rewound<Io> {
        Rewound::new(self.read, self.io)
    }
}

impl From<Mismatch> for Failure {
    fn from(_: Mismatch) -> Self {
        Self::Mismatch
    }
}
