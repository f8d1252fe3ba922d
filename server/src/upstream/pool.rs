use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::body::Body;
use crate::config;

/// Idle connections to one replica, of one worker.
///
/// The one that was used last is used next, so that those beyond the need grow old and close.
#[derive(Debug)]
pub struct Pool {
    limits: config::Pool,
    /// The longest idle in front. Only the worker's own thread ever locks it.
    idle: Mutex<VecDeque<(Instant, Connection)>>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub const fn new(limits: config::Pool) -> Self {
        Self { limits, idle: Mutex::new(VecDeque::new()) }
    }

    /// A connection that can take a request now.
    pub(super) fn take(self: &Arc<Self>) -> Option<Lease> {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.expire(&mut idle, now);
        while let Some((_, connection)) = idle.pop_back() {
            if connection.sender.is_ready() {
                return Some(Lease { connection: Some(connection), pool: Arc::downgrade(self) });
            }
        }
        None
    }

    fn put(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
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

/// A connection in use. It closes when dropped, unless it is given back.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<Connection>,
    pool: Weak<Pool>,
}

impl Lease {
    pub(super) fn new(sender: SendRequest<Body>, task: AbortHandle, pool: &Arc<Pool>) -> Self {
        let connection = Some(Connection { sender, task });
        Self { connection, pool: Arc::downgrade(pool) }
    }

    #[expect(
        clippy::expect_used,
        reason = "the connection leaves in `give_back`, which takes self"
    )]
    pub(super) fn sender(&mut self) -> &mut SendRequest<Body> {
        &mut self.connection.as_mut().expect("a lease has its connection").sender
    }

    /// Keeps the connection for another request: this one's exchange is complete.
    pub(super) fn give_back(mut self) {
        if let (Some(connection), Some(pool)) = (self.connection.take(), self.pool.upgrade()) {
            pool.put(connection);
        }
    }
}
