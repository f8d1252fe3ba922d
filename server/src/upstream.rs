//! Requests become sockets again.

mod target;
mod connect;
mod pool;
mod progress;
mod response;
mod error;
mod by_fault;
mod tls;
mod s3_errors;
mod broken_off;
mod issuer_client;
mod check_client;
mod probed;

pub use broken_off::{BrokenOff, BrokenOffLayer};
pub use by_fault::ByFault;
pub use check_client::{CheckConnections, check_client};
pub use connect::Connect;
pub use error::{Error, Phase};
pub use issuer_client::IssuerClient;
pub use pool::Pool;
pub use probed::Probed;
pub use response::ResponseBody;
pub use s3_errors::{S3Errors, S3ErrorsLayer};
pub use target::{Target, TargetLayer, Targeted};
pub use tls::ClientTls;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Body as _;
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, sleep_until};
use tower::Service;

use crate::body::{Body, find};
use crate::config::UpstreamTimeouts;
use crate::facts::Facts;

use self::pool::Lease;
use self::progress::{Progress, Watched};

/// One replica as a service: it connects, keeps connections, sends, and waits no longer than told.
///
/// It belongs to one worker: its pool is shared by clones, and by nobody else.
#[derive(Clone, Debug)]
pub struct Upstream {
    connect: Arc<Connect>,
    pool: Arc<Pool>,
    timeouts: UpstreamTimeouts,
}

impl Upstream {
    /// No connection is made before the first request.
    #[must_use]
    pub fn new(
        connect: Arc<Connect>,
        pool: crate::config::Pool,
        timeouts: UpstreamTimeouts,
    ) -> Self {
        Self { connect, pool: Arc::new(Pool::new(pool)), timeouts }
    }

    async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let facts = Facts::get(&request);
        if let Some(facts) = &facts {
            let mut known = facts.known();
            known.replica = Some(self.connect.name());
            known.attempts += 1;
        }
        let began = Instant::now();
        to_origin_form(&mut request);

        // Whether a request that met a dying connection may be sent again without asking anyone.
        let repeatable = request.method().is_idempotent() && request.body().is_end_stream();
        let result = match self.pool.take() {
            Some(lease) => {
                let copy = repeatable.then(|| copy(&request));
                match self.exchange(lease, request).await {
                    Err(Attempt::Unsent(request)) => self.fresh(request).await,
                    Err(Attempt::Stale(error)) => match copy {
                        Some(request) => self.fresh(request).await,
                        None => Err(error),
                    },
                    Err(Attempt::Failed(error)) => Err(error),
                    Ok(response) => Ok(response),
                }
            }
            None => self.fresh(request).await,
        };
        if result.is_ok() {
            self.connect.meters().started(began.elapsed());
        }
        result.map_err(|error| {
            if error.body_side().is_none() {
                self.connect.meters().failed(error.phase());
            }
            error.at(self.connect.name())
        })
    }

    async fn fresh(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let lease = self.connect.open(&self.timeouts, &self.pool).await?;
        self.exchange(lease, request).await.map_err(|attempt| match attempt {
            Attempt::Unsent(_) => {
                Error::failed(Phase::Send, false, "the connection closed at once")
            }
            Attempt::Stale(error) | Attempt::Failed(error) => error,
        })
    }

    /// Sends the request over a connection, and waits for the head of the response.
    async fn exchange(
        &self,
        mut lease: Lease,
        request: Request<Body>,
    ) -> Result<Response<Body>, Attempt> {
        let progress = Progress::of(request.body());
        let request = request.map(|body| Body::new(Watched::new(body, progress.clone())));
        let response = {
            let sent = lease.sender().try_send_request(request);
            let late = self.too_late(&progress);
            tokio::select! {
                biased;
                sent = sent => sent.map_err(Attempt::of)?,
                () = late => {
                    return Err(Attempt::Failed(Error::timed_out(Phase::Headers, true)));
                }
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let error = Error::failed(Phase::Headers, true, "an upgrade that nobody asked for");
            return Err(Attempt::Failed(error));
        }
        Ok(response.map(|body| {
            Body::new(ResponseBody::new(body, lease, progress, self.timeouts.response_body))
        }))
    }

    /// Waits until the upstream has had its time since it was given the last piece of the request.
    async fn too_late(&self, progress: &Progress) {
        let mut now = Instant::now();
        loop {
            let deadline = progress.since().unwrap_or(now) + self.timeouts.response_header;
            if deadline <= now {
                return;
            }
            sleep_until(deadline).await;
            now = Instant::now();
        }
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// How an exchange over one connection ended, short of a response.
enum Attempt {
    /// Not a byte was sent; here is the request.
    Unsent(Request<Body>),
    /// The connection closed instead of answering, as one does that has been idle for too long.
    Stale(Error),
    /// Anything else.
    Failed(Error),
}

impl Attempt {
    fn of(mut error: TrySendError<Request<Body>>) -> Self {
        match error.take_message() {
            Some(request) => Self::Unsent(request),
            None => {
                let error = error.into_error();
                let stale =
                    error.is_incomplete_message() || error.is_canceled() || is_reset(&error);
                let error = Error::exchange(error);
                if stale { Self::Stale(error) } else { Self::Failed(error) }
            }
        }
    }
}

/// A peer that has closed answers what still comes with a reset, which may overtake the end it sent.
fn is_reset(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    let kind = find::<std::io::Error>(error).map(std::io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

/// The form of target and framing that a server takes (RFC 9112 §3.2.1, §6.1), in the only version spoken
/// here. `CONNECT`, which has another form, is no route's.
fn to_origin_form(request: &mut Request<Body>) {
    *request.version_mut() = Version::HTTP_11;
    let target = match request.uri().path_and_query() {
        Some(target) => Uri::from(target.clone()),
        None => Uri::from_static("/"),
    };
    *request.uri_mut() = target;
    // Of a method that mostly has no body hyper drops one whose length no header tells.
    let body = request.body();
    let unmeasured = !body.is_end_stream() && body.size_hint().exact().is_none();
    if unmeasured && !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

fn copy(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
