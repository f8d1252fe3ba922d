//! Requests become sockets again.

mod attempt_span;
mod target;
mod connect;
mod pool;
mod http1;
mod http2;
mod form;
mod framing;
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

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, request};
use hyper::body::Body as _;
use hyper::client::conn::TrySendError;
use tokio::time::{Instant, sleep_until};
use tower::Service;

use crate::body::{self, Body, Side, find};
use crate::config::UpstreamTimeouts;
use crate::facts::Facts;
use crate::splice::Upload;
use crate::tunnel::Tunnel;

use self::attempt_span::AttemptSpan;
use self::form::to_http2;
use self::http1::{Connection, Failure, Http1Body};
use self::http2::Stream;
use self::pool::{Http1, Lease};
use self::progress::{Progress, Watched};

/// One replica as a service: it connects, keeps connections, sends, and waits no longer than told.
///
/// It belongs to one worker: its pool is shared by clones, and by nobody else.
#[derive(Clone, Debug)]
pub struct Upstream(Arc<Way>);

/// What it takes to send a request.
#[derive(Debug)]
struct Way {
    connect: Arc<Connect>,
    pool: Arc<Pool>,
    timeouts: UpstreamTimeouts,
    large: u64,
}

impl Upstream {
    /// No connection is made before the first request. Bodies of requests that have `large` bytes need not be read, where
    /// client and replica allow that: nobody looks at them, or keeps any of them for another attempt.
    #[must_use]
    pub fn new(
        connect: Arc<Connect>,
        pool: crate::config::Pool,
        timeouts: UpstreamTimeouts,
        large: u64,
    ) -> Self {
        let pool = Arc::new(Pool::new(pool, connect.is_http2()));
        Self(Arc::new(Way { connect, pool, timeouts, large }))
    }
}

impl Way {
    /// Sends what met a dying connection over another, without asking anyone: `any` if it does no harm to send it twice, else
    /// if the upstream has not acted on it.
    async fn repeat(&self, attempt: Attempt, any: bool) -> Result<Response<Body>, Error> {
        match attempt {
            Attempt::Unsent(request) | Attempt::Refused(_, Some(request)) => {
                self.fresh(request).await
            }
            Attempt::Stale(_, Some(request)) if any => self.fresh(request).await,
            attempt => Err(attempt.error()),
        }
    }

    async fn fresh(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let becomes_tunnel = request.headers().contains_key(UPGRADE);
        let open = || self.connect.open(becomes_tunnel, &self.timeouts, &self.pool);
        let lease = self.pool.fresh(becomes_tunnel, &self.timeouts, open).await?;
        let is_first = lease.is_first();
        let result = match self.exchange(lease, request).await {
            // It was room on a connection that others had opened, and that has closed meanwhile.
            Err(Attempt::Unsent(request)) if !is_first => {
                self.exchange(open().await?, request).await
            }
            result => result,
        };
        result.map_err(Attempt::error)
    }

    /// Sends the request over a connection, and waits for the head of the response.
    async fn exchange(
        &self,
        lease: Lease,
        request: Request<Body>,
    ) -> Result<Response<Body>, Attempt> {
        match lease {
            Lease::Http1(lease) => {
                let upgrade = request.headers().get(UPGRADE).cloned();
                let mut sent = Sent::begin(lease, request, upgrade, Instant::now(), self.large);
                poll_fn(|cx| self.poll_answer(&mut sent, cx)).await
            }
            Lease::Http2(stream) => self.exchange_http2(stream, request).await,
        }
    }

    /// Waits for the head of the response to what was sent over HTTP/1.1, and takes out of `sent` what that needs.
    fn poll_answer(
        &self,
        sent: &mut Sent,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Body>, Attempt>> {
        let Some(lease) = &mut sent.lease else { return Poll::Pending }; // polled after it was done
        let limit = self.timeouts.response_header;
        let head = ready!(lease.connection_mut().poll_head(cx, &mut sent.parts, limit));
        let Some(mut lease) = sent.lease.take() else { return Poll::Pending };
        let head = match head {
            Ok(head) => head,
            Err(failure) => {
                let parts = std::mem::replace(&mut sent.parts, Request::new(()).into_parts().0);
                let attempt = Attempt::of_http1(failure, parts, lease.connection_mut());
                return Poll::Ready(Err(attempt));
            }
        };
        if head.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // What gets here is allowed.
            return Poll::Ready(match sent.upgrade.take() {
                Some(protocol) if lease.connection().has_sent() => {
                    Ok(self.tunnel(head.response, lease, &protocol))
                }
                _ => {
                    let unasked = "an upgrade that nobody asked for";
                    Err(Attempt::Failed(Error::failed(Phase::Headers, true, unasked)))
                }
            });
        }
        let idle = self.timeouts.response_body;
        // What is no success may be read by somebody who words it.
        let splice = match head.response.status().is_success() {
            true => sent.parts.extensions.get().and_then(Facts::splice),
            false => None,
        };
        let (framing, persists) = (head.framing, head.persists);
        let body = Body::new(Http1Body::new(lease, framing, persists, idle, splice));
        Poll::Ready(Ok(head.response.map(|()| body)))
    }

    async fn exchange_http2(
        &self,
        mut stream: Stream,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Attempt> {
        to_http2(&mut request, self.connect.scheme());
        // What goes into a frame has to be read.
        Facts::get(&request).and_then(Facts::upload).map(Upload::refuse);
        let copy = request.body().is_end_stream().then(|| copy(&request));
        let progress = Progress::of(request.body());
        let request = request.map(|body| Body::new(Watched::new(body, progress.clone())));
        let response = {
            let sent = stream.sender.try_send_request(request);
            let late = self.too_late(&progress);
            tokio::select! {
                biased;
                sent = sent => sent.map_err(|error| Attempt::of_http2(error, copy, &progress))?,
                () = late => {
                    progress.abandon();
                    return Err(Attempt::Failed(Error::timed_out(Phase::Headers, true)));
                }
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let unasked = "an upgrade that nobody asked for";
            return Err(Attempt::Failed(Error::failed(Phase::Headers, true, unasked)));
        }
        if let Err(fault) = framing::check(&response) {
            return Err(Attempt::Failed(Error::failed(Phase::Headers, true, fault)));
        }
        Ok(response.map(|body| {
            Body::new(ResponseBody::new(body, stream, progress, self.timeouts.response_body))
        }))
    }

    /// The connection is no longer one of HTTP, and the response has it.
    fn tunnel(
        &self,
        mut response: Response<()>,
        lease: Http1,
        protocol: &HeaderValue,
    ) -> Response<Body> {
        let tunnel = Tunnel::new(lease.into_io(), protocol, self.timeouts.tunnel_idle);
        response.extensions_mut().insert(tunnel);
        response.map(|()| Body::empty())
    }

    /// Counts what has come of a request.
    fn count(
        &self,
        result: Result<Response<Body>, Error>,
        began: Instant,
    ) -> Result<Response<Body>, Error> {
        match result {
            Ok(response) => {
                self.connect.meters().started(began.elapsed());
                Ok(response)
            }
            Err(error) => {
                if error.body_side().is_none() {
                    self.connect.meters().failed(error.phase());
                }
                Err(error.at(self.connect.name()))
            }
        }
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut is_traced = false;
        if let Some(facts) = Facts::get(&request) {
            let mut known = facts.known();
            known.replica = Some(self.0.connect.name());
            known.attempts += 1;
            is_traced = known.trace.is_some();
        }
        if is_traced && let Some(span) = AttemptSpan::begin(&mut request, &self.0.connect) {
            return Box::pin(span.watch(self.send(request)));
        }
        self.send(request)
    }
}

impl Upstream {
    fn send(&self, request: Request<Body>) -> <Self as Service<Request<Body>>>::Future {
        let way = self.0.clone();
        let began = Instant::now();
        let again = is_repeatable(&request);
        let upgrade = request.headers().get(UPGRADE).cloned();
        // Most requests are of the first kind, and nothing that only others need is in their futures.
        match way.pool.take(upgrade.is_some(), began) {
            Some(Lease::Http1(lease)) => {
                let sent = Sent::begin(lease, request, upgrade, began, way.large);
                Box::pin(Usual { way, sent, began, again, repeated: None })
            }
            Some(Lease::Http2(stream)) => Box::pin(async move {
                let result = match way.exchange_http2(stream, request).await {
                    Ok(response) => Ok(response),
                    Err(attempt) => Box::pin(way.repeat(attempt, again)).await,
                };
                way.count(result, began)
            }),
            None => Box::pin(async move {
                let result = way.fresh(request).await;
                way.count(result, began)
            }),
        }
    }
}

/// Whether a request may be sent twice without asking anyone.
fn is_repeatable(request: &Request<Body>) -> bool {
    request.body().is_end_stream() && request.method().is_idempotent()
}

/// The future of a request over a connection of HTTP/1.1 that others have used. An `async` block would have the request
/// two times over, and be moved with it.
struct Usual {
    way: Arc<Way>,
    sent: Sent,
    began: Instant,
    again: bool,
    repeated: Option<<Upstream as Service<Request<Body>>>::Future>,
}

impl Future for Usual {
    type Output = Result<Response<Body>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { way, sent, began, again, repeated } = self.get_mut();
        let result = loop {
            if let Some(repeated) = repeated {
                break ready!(repeated.as_mut().poll(cx));
            }
            match ready!(way.poll_answer(sent, cx)) {
                Ok(response) => break Ok(response),
                Err(attempt) => {
                    let (way, again) = (way.clone(), *again);
                    *repeated = Some(Box::pin(async move { way.repeat(attempt, again).await }));
                }
            }
        };
        Poll::Ready(way.count(result, *began))
    }
}

/// A request that is on its way over HTTP/1.1.
struct Sent {
    /// None once it is answered.
    lease: Option<Http1>,
    parts: request::Parts,
    /// What it asks the upstream to speak instead.
    upgrade: Option<HeaderValue>,
}

impl Sent {
    fn begin(
        mut lease: Http1,
        request: Request<Body>,
        upgrade: Option<HeaderValue>,
        now: Instant,
        large: u64,
    ) -> Self {
        let (parts, body) = request.into_parts();
        lease.connection_mut().begin(&parts, body, now, large);
        Self { lease: Some(lease), parts, upgrade }
    }
}

/// How an exchange over one connection ended, short of a response.
enum Attempt {
    /// Not a byte was sent; here is the request.
    Unsent(Request<Body>),
    /// The upstream says that it has not acted on the request, which is here if it has no body.
    Refused(Error, Option<Request<Body>>),
    /// The connection closed instead of answering, as one does that has been idle for too long.
    Stale(Error, Option<Request<Body>>),
    /// Anything else.
    Failed(Error),
}

impl Attempt {
    fn of_http1(failure: Failure, request: request::Parts, connection: &mut Connection) -> Self {
        let failed = |phase, error| Error::failed(phase, true, error);
        match failure {
            Failure::Unsent => Self::Unsent(Request::from_parts(request, connection.take_body())),
            Failure::Lost(broken) => Self::Failed(Error::failed(Phase::Send, false, broken)),
            Failure::Stale(broken) => {
                let request = Request::from_parts(request, Body::empty());
                Self::Stale(failed(Phase::Headers, broken), Some(request))
            }
            Failure::Broken(broken) => Self::Failed(failed(Phase::Headers, broken)),
            Failure::Body(error) => Self::Failed(Error::failed(Phase::Send, true, error)),
            Failure::Mismatch => {
                let error = body::Error::bare(Side::Client);
                Self::Failed(Error::failed(Phase::Send, true, error))
            }
            Failure::Late => Self::Failed(Error::timed_out(Phase::Headers, true)),
        }
    }

    fn of_http2(
        mut error: TrySendError<Request<Body>>,
        copy: Option<Request<Body>>,
        progress: &Progress,
    ) -> Self {
        if let Some(request) = error.take_message() {
            return Self::Unsent(request);
        }
        // A stream of HTTP/2 is reset when its request breaks off, and hyper tells of the reset alone.
        if let Some(side) = progress.broken() {
            return Self::Failed(Error::failed(Phase::Send, true, body::Error::bare(side)));
        }
        let error = error.into_error();
        let stale = error.is_incomplete_message() || error.is_canceled() || is_reset(&error);
        let error = Error::exchange_http2(error);
        match error.may_have_run() {
            false => Self::Refused(error, copy),
            true if stale => Self::Stale(error, copy),
            true => Self::Failed(error),
        }
    }

    fn error(self) -> Error {
        match self {
            Self::Unsent(_) => Error::failed(Phase::Send, false, "the connection closed at once"),
            Self::Refused(error, _) | Self::Stale(error, _) | Self::Failed(error) => error,
        }
    }
}

/// A peer that has closed answers what still comes with a reset, which may overtake the end it sent.
fn is_reset(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

    let broken = find::<h2::Error>(error).and_then(h2::Error::get_io);
    let kind = broken.or_else(|| find(error)).map(std::io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

fn copy(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
