use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper::rt::{Executor, Read, Write};
use hyper_util::rt::TokioTimer;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::body::Body;

use super::{Error, Phase};

/// A connection of HTTP/2 that many requests share. It closes when it is dropped, and each of them is done.
#[derive(Debug)]
pub(super) struct Shared {
    sender: SendRequest<Body>,
    task: AbortHandle,
    /// How many requests the peer takes at once.
    room: Arc<AtomicUsize>,
    open: AtomicUsize,
    /// When the last request ended.
    idle: Mutex<Instant>,
    /// Told of each request that ends.
    freed: Arc<Notify>,
}

impl Shared {
    /// Begins HTTP/2 on a connection, and waits until the peer has said how many requests it takes at once. Who waits for
    /// one of those to end is told by `freed`.
    ///
    /// # Errors
    ///
    /// When the peer closes, or speaks anything else.
    pub(super) async fn begin<I>(io: I, freed: Arc<Notify>) -> Result<Arc<Self>, Error>
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let failed = |error| Error::failed(Phase::Handshake, false, error);
        let moved = Arc::new(Notify::new());
        let tasks = Tasks(moved.clone());
        let (sender, mut connection) = builder(tasks).handshake(io).await.map_err(failed)?;
        while connection.current_max_send_streams() == 0 {
            tokio::select! {
                ended = &mut connection => {
                    ended.map_err(failed)?;
                    let closed = "the connection closed before HTTP/2 began";
                    return Err(Error::failed(Phase::Handshake, false, closed));
                }
                () = moved.notified() => {}
            }
        }
        let room = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
        let task = tokio::spawn(Driver { connection, room: room.clone() }).abort_handle();
        let (open, idle) = (AtomicUsize::new(0), Mutex::new(Instant::now()));
        Ok(Arc::new(Self { sender, task, room, open, idle, freed }))
    }

    /// Room for one more request; none if there is none, or the connection is about to close.
    pub(super) fn stream(self: &Arc<Self>, is_first: bool) -> Option<Stream> {
        let room = self.room.load(Relaxed).min(STREAMS);
        if self.is_closed() || self.open.load(Relaxed) >= room {
            return None;
        }
        self.open.fetch_add(1, Relaxed);
        Some(Stream { sender: self.sender.clone(), is_first, connection: self.clone() })
    }

    /// Whether it takes no more requests.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Since when there has been no request; none while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = *self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        (self.open.load(Relaxed) == 0).then_some(idle)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One of the requests that share a connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) sender: SendRequest<Body>,
    /// Whether the connection was made for it.
    pub(super) is_first: bool,
    connection: Arc<Shared>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let connection = &self.connection;
        *connection.idle.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        connection.open.fetch_sub(1, Relaxed);
        connection.freed.notify_one();
    }
}

/// Moves requests onto the connection, and sees what the peer allows meanwhile.
struct Driver<I: Read + Write + Unpin + Send + 'static> {
    connection: Connection<I, Body, Tasks>,
    room: Arc<AtomicUsize>,
}

impl<I: Read + Write + Unpin + Send + 'static> Future for Driver<I> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = Pin::new(&mut self.connection).poll(cx);
        self.room.store(self.connection.current_max_send_streams(), Relaxed);
        // Whoever waits for a response hears of the error, too.
        polled.map(drop)
    }
}

/// Runs what hyper runs beside a connection, and tells whenever that may have heard of the peer.
#[derive(Clone, Debug)]
struct Tasks(Arc<Notify>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let moved = self.0.clone();
        tokio::spawn(async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                let polled = task.as_mut().poll(cx);
                moved.notify_one();
                polled
            })
            .await;
        });
    }
}

fn builder(tasks: Tasks) -> Builder<Tasks> {
    let mut builder = Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        // Until the peer has said what it allows, nothing is sent that it might refuse.
        .initial_max_send_streams(0)
        .initial_stream_window_size(WINDOW)
        // However many clients do not take what they asked for, it never stops the others.
        .initial_connection_window_size(WINDOW * u32::try_from(STREAMS).unwrap_or(1))
        .max_send_buf_size(64 << 10)
        .max_header_list_size(256 << 10)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// The most requests on one connection, should its peer allow more.
const STREAMS: usize = 100;

/// How much of a response is taken from the upstream before the client takes it.
const WINDOW: u32 = 256 << 10;

#[cfg(test)]
mod tests {
    use std::future::pending;

    use bytes::Bytes;
    use http::Request;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    fn begin(io: tokio::io::DuplexStream) -> impl Future<Output = Result<Arc<Shared>, Error>> {
        Shared::begin(TokioIo::new(io), Arc::default())
    }

    fn request() -> Request<Body> {
        Request::get("http://a.test/").body(Body::empty()).unwrap()
    }

    /// A server that takes `streams` requests at once.
    async fn server(
        io: tokio::io::DuplexStream,
        streams: u32,
    ) -> h2::server::Connection<tokio::io::DuplexStream, Bytes> {
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(streams).handshake(io).await.unwrap()
    }

    #[tokio::test]
    async fn there_is_room_for_what_the_peer_says_and_each_end_makes_some() {
        let (near, far) = duplex(4096);
        let peer = tokio::spawn(async move {
            let mut connection = server(far, 2).await;
            drop(connection.accept().await);
        });

        let connection = begin(near).await.unwrap();
        let first = connection.stream(true).unwrap();
        let second = connection.stream(false).unwrap();

        assert!(connection.stream(false).is_none());
        assert_eq!(connection.idle_since(), None);
        drop(first);
        let third = connection.stream(false).unwrap();
        drop((second, third));
        assert!(connection.idle_since().is_some());
        peer.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_falls_silent_is_given_up() {
        let (near, far) = duplex(4096);
        let peer = tokio::spawn(async move {
            let mut connection = server(far, 100).await;
            let _asked = connection.accept().await;
            pending::<()>().await; // it does not even answer a ping
        });
        let connection = begin(near).await.unwrap();
        let mut stream = connection.stream(true).unwrap();
        let begin = Instant::now();

        let answer = stream.sender.send_request(request()).await;

        assert!(answer.is_err());
        assert_eq!(begin.elapsed().as_secs(), 30);
        assert!(connection.stream(false).is_none());
        peer.abort();
    }

    #[tokio::test]
    async fn what_is_no_http_2_or_closes_is_a_failed_handshake() {
        for answer in ["", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
            let (near, mut far) = duplex(4096);
            far.write_all(answer.as_bytes()).await.unwrap();
            far.shutdown().await.unwrap();

            let error = begin(near).await.unwrap_err();

            assert_eq!((error.phase(), error.may_have_run()), (Phase::Handshake, false));
        }
    }
}
