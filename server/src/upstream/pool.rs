use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::{self, UpstreamTimeouts};
use crate::rewound::Rewound;

use super::http1::{Connection, Io};
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
    idle: Mutex<VecDeque<(Instant, Box<Connection>)>>,
    /// Whether somebody looks after the idle ones.
    swept: AtomicBool,
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
            swept: AtomicBool::new(false),
            shared: Mutex::default(),
            multiplexes: AtomicBool::new(multiplexes),
            opening: Semaphore::new(1),
            failures: AtomicU64::new(0),
            last_failure: Mutex::default(),
            freed: Arc::default(),
        }
    }

    /// A connection that can take a request `now`: of HTTP/1.1 if it `becomes_tunnel`, since that is lost to others.
    pub(super) fn take(self: &Arc<Self>, becomes_tunnel: bool, now: Instant) -> Option<Lease> {
        let multiplexes = !becomes_tunnel && self.multiplexes.load(Relaxed);
        let stream = if multiplexes { self.stream(now) } else { None };
        stream.map(Lease::Http2).or_else(|| self.idle_connection(now))
    }

    fn idle_connection(self: &Arc<Self>, now: Instant) -> Option<Lease> {
        let mut idle = lock(&self.idle);
        self.expire(&mut idle, now);
        while let Some((_, mut connection)) = idle.pop_back() {
            if connection.is_fit() {
                let pool = Arc::downgrade(self);
                return Some(Lease::Http1(Http1 { connection, pool, is_first: false }));
            }
        }
        None
    }

    fn stream(&self, now: Instant) -> Option<Stream> {
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
            if let Some(stream) = self.stream(Instant::now()) {
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
            if let Some(stream) = self.stream(Instant::now()) {
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

    fn put(self: &Arc<Self>, mut connection: Box<Connection>) {
        connection.rest();
        let mut idle = lock(&self.idle);
        idle.push_back((Instant::now(), connection));
        if idle.len() > self.limits.max_idle {
            idle.pop_front();
        }
        // Without a runtime the gateway is gone.
        if !idle.is_empty()
            && !self.swept.load(Relaxed)
            && let Ok(runtime) = Handle::try_current()
        {
            self.swept.store(true, Relaxed);
            runtime.spawn(unconstrained(Self::sweep(Arc::downgrade(self))));
        }
    }

    /// Closes, for as long as there are idle connections, those that are too old, and those whose peer has closed them or
    /// says what nobody asked for.
    async fn sweep(pool: Weak<Self>) {
        loop {
            sleep(BREATH).await;
            let Some(pool) = pool.upgrade() else { return };
            let mut idle = lock(&pool.idle);
            pool.expire(&mut idle, Instant::now());
            idle.retain_mut(|(_, connection)| connection.is_fit());
            if idle.is_empty() {
                pool.swept.store(false, Relaxed);
                return;
            }
        }
    }

    fn expire(&self, idle: &mut VecDeque<(Instant, Box<Connection>)>, now: Instant) {
        let old = |since: Instant| now.duration_since(since) >= self.limits.idle_timeout;
        while idle.front().is_some_and(|(since, _)| old(*since)) {
            idle.pop_front();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    connection: Box<Connection>,
    pool: Weak<Pool>,
    is_first: bool,
}

impl Lease {
    /// A connection of HTTP/1.1 that has just been opened.
    pub(super) fn http1(connection: Box<Connection>, pool: &Arc<Pool>) -> Self {
        Self::Http1(Http1 { connection, pool: Arc::downgrade(pool), is_first: true })
    }

    /// Whether the connection was opened for this request, so that it cannot have closed for being idle.
    pub(super) const fn is_first(&self) -> bool {
        match self {
            Self::Http1(lease) => lease.is_first,
            Self::Http2(stream) => stream.is_first,
        }
    }
}

impl Http1 {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Keeps the connection for another request: this one's exchange is complete.
    pub(super) fn give_back(self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.put(self.connection);
        }
    }

    /// The connection as what it was before HTTP.
    pub(super) fn into_io(self) -> Rewound<Io> {
        self.connection.into_io()
    }
}

/// How often idle connections are looked after.
const BREATH: Duration = Duration::from_secs(1);
