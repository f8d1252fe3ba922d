use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::body::Body;
use crate::config::{self, UpstreamTimeouts};

use super::http2::{Shared, Stream};
use super::{Error, Phase};

/// Connections to one replica, of one worker.
///
/// Of those of HTTP/1.1 it has the idle ones, of which the one that was used last is used next, so that those beyond the
/// need grow old and close; of those of HTTP/2 it has all that take requests.
#[derive(Debug)]
pub struct Pool {
    limits: config::Pool,
    /// The longest idle in front. Only the worker's own thread ever locks it.
    idle: Mutex<VecDeque<(Instant, Connection)>>,
    shared: Mutex<Vec<Arc<Shared>>>,
    /// Whether the replica is known to speak HTTP/2, so that it is worth waiting for a connection that others open.
    multiplexes: AtomicBool,
    /// Opens one connection of HTTP/2 at a time.
    opening: Semaphore,
    failures: AtomicU64,
    last_failure: Mutex<Option<(Phase, bool, String)>>,
    /// Told of each request over HTTP/2 that ends.
    freed: Arc<Notify>,
}

impl Pool {
    /// An empty pool; `multiplexes` if it is known beforehand that the replica speaks HTTP/2.
    #[must_use]
    pub fn new(limits: config::Pool, multiplexes: bool) -> Self {
        Self {
            limits,
            idle: Mutex::default(),
            shared: Mutex::default(),
            multiplexes: AtomicBool::new(multiplexes),
            opening: Semaphore::new(1),
            failures: AtomicU64::new(0),
            last_failure: Mutex::default(),
            freed: Arc::default(),
        }
    }

    /// A connection that can take a request now: of HTTP/1.1 if it `becomes_tunnel`, since that is lost to others.
    pub(super) fn take(self: &Arc<Self>, becomes_tunnel: bool) -> Option<Lease> {
        let stream = if becomes_tunnel { None } else { self.stream() };
        stream.map(Lease::Http2).or_else(|| self.idle_connection())
    }

    fn idle_connection(self: &Arc<Self>) -> Option<Lease> {
        let now = Instant::now();
        let mut idle = lock(&self.idle);
        self.expire(&mut idle, now);
        while let Some((_, connection)) = idle.pop_back() {
            if connection.sender.is_ready() {
                let pool = Arc::downgrade(self);
                return Some(Lease::Http1(Http1 {
                    connection: Some(connection),
                    pool,
                    is_first: false,
                }));
            }
        }
        None
    }

    fn stream(&self) -> Option<Stream> {
        let now = Instant::now();
        let mut shared = lock(&self.shared);
        let old = |since: Instant| now.duration_since(since) >= self.limits.idle_timeout;
        shared.retain(|one| !one.is_closed() && !one.idle_since().is_some_and(old));
        // The oldest first, so that those beyond the need grow idle.
        shared.iter().find_map(|one| one.stream(false))
    }

    /// A connection that `open` opens; of HTTP/2, or room on one that has been opened meanwhile.
    ///
    /// Who waits for another to open a connection shares its failure, so that nobody waits for several.
    pub(super) async fn fresh<F>(
        self: &Arc<Self>,
        becomes_tunnel: bool,
        timeouts: &UpstreamTimeouts,
        open: impl FnOnce() -> F,
    ) -> Result<Lease, Error>
    where
        F: Future<Output = Result<Lease, Error>>,
    {
        if becomes_tunnel || !self.multiplexes.load(Relaxed) {
            return open().await;
        }
        let failures = self.failures.load(Relaxed);
        let deadline = Instant::now().checked_add(timeouts.connect);
        let full = || Error::timed_out(Phase::Connect, false);
        loop {
            // Listening comes before looking, so as to miss none that ends.
            let freed = self.freed.notified();
            if let Some(stream) = self.stream() {
                return Ok(Lease::Http2(stream));
            }
            if !self.may_open() {
                match deadline {
                    Some(deadline) => timeout_at(deadline, freed).await.map_err(|_| full())?,
                    None => freed.await,
                }
                continue;
            }
            let Ok(_turn) = self.opening.acquire().await else { return Err(full()) };
            if let Some(stream) = self.stream() {
                return Ok(Lease::Http2(stream));
            }
            if self.failures.load(Relaxed) != failures
                && let Some((phase, timed_out, told)) = lock(&self.last_failure).clone()
            {
                return Err(match timed_out {
                    true => Error::timed_out(phase, false),
                    false => Error::failed(phase, false, told),
                });
            }
            if self.may_open() {
                return open().await.inspect_err(|error| {
                    self.failures.fetch_add(1, Relaxed);
                    let failure = (error.phase(), error.is_timeout(), error.cause());
                    *lock(&self.last_failure) = Some(failure);
                });
            }
        }
    }

    /// Whether there may be one more connection of HTTP/2.
    fn may_open(&self) -> bool {
        lock(&self.shared).len() < self.limits.max_http2.get()
    }

    /// What those who wait for a request to end are told by.
    pub(super) const fn freed(&self) -> &Arc<Notify> {
        &self.freed
    }

    /// The first request of a connection that has just been opened. Others share it, unless there are enough of them.
    pub(super) fn share(&self, connection: &Arc<Shared>) -> Result<Lease, Error> {
        self.multiplexes.store(true, Relaxed);
        let first = connection.stream(true);
        let first = first.ok_or_else(|| {
            Error::failed(Phase::Handshake, false, "the connection closed at once")
        })?;
        let mut shared = lock(&self.shared);
        if shared.len() < self.limits.max_http2.get() {
            shared.push(connection.clone());
        }
        Ok(Lease::Http2(first))
    }

    fn put(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut idle = lock(&self.idle);
        self.expire(&mut idle, now);
        idle.push_back((now, connection));
        if idle.len() > self.limits.max_idle {
            idle.pop_front();
        }
    }

    fn expire(&self, idle: &mut VecDeque<(Instant, Connection)>, now: Instant) {
        let old = |since: Instant| now.duration_since(since) >= self.limits.idle_timeout;
        while idle.front().is_some_and(|(since, _)| old(*since)) {
            idle.pop_front();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection, and the task that moves its bytes. It closes when this is dropped.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Body>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a request is sent over.
#[derive(Debug)]
pub(super) enum Lease {
    /// A connection of its own.
    Http1(Http1),
    /// A part of one.
    Http2(Stream),
}

/// A connection in use. It closes when dropped, unless it is given back.
#[derive(Debug)]
pub(super) struct Http1 {
    connection: Option<Connection>,
    pool: Weak<Pool>,
    is_first: bool,
}

impl Lease {
    /// A connection of HTTP/1.1 that has just been opened.
    pub(super) fn http1(sender: SendRequest<Body>, task: AbortHandle, pool: &Arc<Pool>) -> Self {
        let connection = Some(Connection { sender, task });
        Self::Http1(Http1 { connection, pool: Arc::downgrade(pool), is_first: true })
    }

    /// The version that it speaks.
    pub(super) const fn version(&self) -> Version {
        match self {
            Self::Http1(_) => Version::HTTP_11,
            Self::Http2(_) => Version::HTTP_2,
        }
    }

    /// Whether the connection was opened for this request, so that it cannot have closed for being idle.
    pub(super) const fn is_first(&self) -> bool {
        match self {
            Self::Http1(lease) => lease.is_first,
            Self::Http2(stream) => stream.is_first,
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        match self {
            Self::Http1(lease) => lease.sender().try_send_request(request).await,
            Self::Http2(stream) => stream.sender.try_send_request(request).await,
        }
    }

    /// Keeps the connection for another request: this one's exchange is complete.
    pub(super) fn give_back(self) {
        if let Self::Http1(mut lease) = self
            && let (Some(connection), Some(pool)) = (lease.connection.take(), lease.pool.upgrade())
        {
            pool.put(connection);
        }
    }
}

impl Http1 {
    #[expect(
        clippy::expect_used,
        reason = "the connection leaves in `give_back`, which takes the lease"
    )]
    fn sender(&mut self) -> &mut SendRequest<Body> {
        &mut self.connection.as_mut().expect("a lease has its connection").sender
    }
}
