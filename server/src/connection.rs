mod client_body;
mod pace;
mod protocol;
mod resets;
mod taken;
mod tunnels;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Future, pending, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{CONNECTION, COOKIE, EXPECT, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::service::service_fn;
use portcullis_drain::{ClosePolicy, Deadlines, Phase};
use portcullis_held_body::HeldBody;
use portcullis_host_strip::Violation;
use portcullis_request_guard::Policy;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::aside::aside;
use crate::config::{ClientLimits, ClientTimeouts};
use crate::facts::{Facts, Peer};
use crate::seam::Edge;
use crate::tunnel::Relay;
use crate::worker::draining;

use self::client_body::ClientBody;
use self::pace::{Busy, Due, Pace};
use self::protocol::{Protocol, Step};
use self::resets::Resets;
use self::taken::Taken;
use self::tunnels::Tunnels;

/// What all connections of a worker have in common.
#[derive(Clone, Debug)]
pub struct Connections {
    protocol: Arc<Protocol>,
    stack: Arc<ArcSwap<Edge>>,
    phase: watch::Receiver<Phase>,
    timeouts: ClientTimeouts,
    limits: ClientLimits,
    deadlines: Deadlines,
}

/// How a connection ended that did not end well: a label of the connection errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ending {
    /// There are as many connections as there may be.
    TooManyConnections,
    /// The client has as many connections as it may.
    TooManyOfAddress,
    /// There are as many handshakes as there may be.
    TooManyHandshakes,
    /// What came is no header of the PROXY protocol.
    ProxyHeader,
    /// The header of the PROXY protocol took too long.
    ProxyHeaderTimeout,
    /// The client cancelled too much of what it asked for.
    TooManyResets,
    /// TLS was not agreed on.
    Handshake,
    /// TLS took too long.
    HandshakeTimeout,
    /// What was sent is no HTTP.
    NotHttp,
    /// The head of a request is larger than is read at all.
    HeadTooLarge,
    /// The head of a request took too long.
    RequestHeaderTimeout,
    /// The client took nothing of a response for too long.
    SendTimeout,
    /// The client left in the middle of a request.
    Incomplete,
    /// The connection broke.
    Broken,
}

impl Ending {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyOfAddress => "too_many_of_address",
            Self::TooManyHandshakes => "too_many_handshakes",
            Self::ProxyHeader => "proxy_header",
            Self::ProxyHeaderTimeout => "proxy_header_timeout",
            Self::TooManyResets => "too_many_resets",
            Self::Handshake => "tls_handshake",
            Self::HandshakeTimeout => "tls_handshake_timeout",
            Self::NotHttp => "not_http",
            Self::HeadTooLarge => "head_too_large",
            Self::RequestHeaderTimeout => "request_header_timeout",
            Self::SendTimeout => "send_timeout",
            Self::Incomplete => "incomplete_request",
            Self::Broken => "broken",
        }
    }

    /// Whether what the client sent never became a request, and was answered without the stack.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::NotHttp
                | Self::HeadTooLarge
                | Self::RequestHeaderTimeout
                | Self::ProxyHeader
                | Self::ProxyHeaderTimeout
                | Self::TooManyResets
        )
    }

    /// Whether there was no room, however well the client behaves.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::TooManyConnections | Self::TooManyOfAddress | Self::TooManyHandshakes)
    }

    fn of(error: &(dyn StdError + 'static)) -> Self {
        match crate::body::find::<hyper::Error>(error) {
            Some(error) if error.is_parse_too_large() => Self::HeadTooLarge,
            Some(error) if error.is_parse() => Self::NotHttp,
            Some(error) if error.is_incomplete_message() => Self::Incomplete,
            _ => Self::Broken,
        }
    }
}

impl Connections {
    /// Serves what `stack` holds at the time of each request, until the gateway drains.
    #[must_use]
    pub fn new(
        stack: Arc<ArcSwap<Edge>>,
        guard: &Policy,
        phase: watch::Receiver<Phase>,
        deadlines: Deadlines,
    ) -> Self {
        let (timeouts, limits) = Default::default();
        Self { protocol: Arc::new(Protocol::new(guard)), stack, phase, timeouts, limits, deadlines }
    }

    /// Those of one listener, whose clients may take so long and have so much.
    #[must_use]
    pub fn within(&self, timeouts: &ClientTimeouts, limits: &ClientLimits) -> Self {
        let mut connections = Self { timeouts: *timeouts, limits: *limits, ..self.clone() };
        Arc::make_mut(&mut connections.protocol).max_streams(limits.streams.get());
        connections
    }

    /// Serves one connection to its end, and to that of the tunnels that were made of it.
    ///
    /// # Errors
    ///
    /// How it ended, if not well.
    pub async fn serve<I>(self: Arc<Self>, io: I, peer: Peer) -> Result<(), Ending>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pace = Arc::new(Pace::new(self.timeouts, jittered(self.limits.age)));
        let resets = Arc::new(Resets::new(self.limits.resets.get()));
        let tunnels = Arc::new(Tunnels::default());
        let served = Arc::new(Served {
            peer: Arc::new(peer),
            pace: pace.clone(),
            resets: resets.clone(),
            tunnels: tunnels.clone(),
            stack: self.stack.clone(),
            phase: self.phase.clone(),
            body_timeout: self.timeouts.request_body,
        });
        let service = service_fn(move |request| served.clone().answer(request));
        let mut connection = self.protocol.serve(io, pace.clone(), service);
        let mut timer = pin!(sleep_until(pace.next_look(Instant::now())));
        let mut farewell = pin!(farewell(self.phase.clone(), &pace, &self.deadlines));
        let mut told = false;
        let mut open = JoinSet::new();
        let ended = loop {
            let happens = aside(async {
                tokio::select! {
                    biased;
                    () = timer.as_mut() => Happens::Timer,
                    () = resets.exceeded() => Happens::Flood,
                    () = farewell.as_mut(), if !told => Happens::Farewell,
                    () = tunnels.opened() => Happens::Tunnel,
                    Some(_) = open.join_next() => Happens::TunnelEnded,
                }
            });
            let happened = tokio::select! {
                biased;
                step = poll_fn(|cx| connection.poll(cx)) => match step {
                    Step::Begun => Happens::Begun,
                    Step::Ended(ended) => break ended.map_err(|error| Ending::of(&*error)),
                },
                happened = happens => happened,
            };
            match happened {
                Happens::Begun => timer.as_mut().reset(pace.next_look(Instant::now())),
                Happens::Timer => match pace.due(Instant::now()) {
                    Due::Nothing => timer.as_mut().reset(pace.next_look(Instant::now())),
                    Due::Rest => {
                        connection.rest();
                        timer.as_mut().reset(pace.next_look(Instant::now()));
                    }
                    Due::Close if told => break Ok(()),
                    Due::Close => {
                        told = true;
                        connection.close();
                        timer.as_mut().reset(Instant::now() + GOODBYE);
                    }
                    Due::Retire => {
                        // HTTP/1 is told by its next response, since an idle client may be asking just now.
                        if pace.retire() && !told {
                            told = true;
                            connection.close();
                        }
                        timer.as_mut().reset(pace.next_look(Instant::now()));
                    }
                    Due::Cut(ending) => break Err(ending),
                },
                Happens::Flood => break Err(Ending::TooManyResets),
                Happens::Farewell => {
                    told = true;
                    connection.close();
                }
                Happens::Tunnel => tunnels.run(&mut open),
                Happens::TunnelEnded => {}
            }
        };
        // One that broke takes its tunnels with it.
        ended?;
        tunnels.run(&mut open);
        while open.join_next().await.is_some() {}
        Ok(())
    }
}

/// What the requests of a connection have in common.
struct Served {
    peer: Arc<Peer>,
    pace: Arc<Pace>,
    resets: Arc<Resets>,
    tunnels: Arc<Tunnels>,
    stack: Arc<ArcSwap<Edge>>,
    phase: watch::Receiver<Phase>,
    body_timeout: Duration,
}

type Answered = HeldBody<Taken, Busy>;

impl Served {
    fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Answered>, Infallible>> {
        let (busy, unanswered) = (self.pace.busy(), self.resets.begin());
        // Taken out before anything is put in: there is mostly nothing yet.
        let upgrade = hyper::upgrade::on(&mut request);
        Facts::begin(&mut request, self.peer.clone());
        join_cookies(&mut request);
        let waits = waits_for_nothing(&request);
        let closes = request.version() <= Version::HTTP_11;
        let upload = self.peer.upload.as_ref();
        let request = ClientBody::of(request, self.body_timeout, || self.pace.busy(), upload);
        // Looked up anew for each request, so that a new stack reaches old connections.
        let answer = self.stack.load().send(request);
        async move {
            let mut response = answer.await?;
            unanswered.answered();
            let becomes_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            // What two could read differently may not be all that the client has sent (RFC 9112 §6.3).
            let doubtful = response.extensions().get::<Violation>().is_some();
            let last = waits || (closes && (doubtful || self.pace.is_old()));
            if !becomes_tunnel && last {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let taken = |body| Taken::new(body, self.pace.clone());
            Ok(match Relay::of(upgrade, &mut response, &self.phase) {
                Some(relay) => {
                    self.tunnels.open(relay, busy);
                    response.map(|body| HeldBody::free(taken(body)))
                }
                None => response.map(|body| HeldBody::new(taken(body), busy)),
            })
        }
    }
}

/// What happens to a connection, besides requests.
enum Happens {
    /// It is silent no more.
    Begun,
    /// It is time to look at its pace.
    Timer,
    /// The client has cancelled too much of what it asked for.
    Flood,
    /// It is to be told to close.
    Farewell,
    /// A tunnel is to be made of it, or of a part of it.
    Tunnel,
    TunnelEnded,
}

/// Waits until a connection is to be told to close: while the gateway lingers in HTTP/2, which can say so without losing
/// a request; when it closes its doors in HTTP/1, whose responses have said so before.
async fn farewell(mut phase: watch::Receiver<Phase>, pace: &Pace, deadlines: &Deadlines) {
    drop(phase.wait_for(|phase| *phase >= Phase::Lingering).await);
    let lingers = async {
        pace.speaks_http2().await;
        match deadlines.close() {
            ClosePolicy::Immediate => {}
            // Each at a moment of its own, so that not all connect anew at once.
            ClosePolicy::Gradual => sleep(deadlines.linger().mul_f64(chance())).await,
            _ => pending().await,
        }
    };
    tokio::select! {
        () = lingers => {}
        () = draining(&mut phase) => {}
    }
}

/// A number from zero up to one, by the keys that maps are seeded with.
fn chance() -> f64 {
    let random = RandomState::new().hash_one(());
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

/// Whether a client waits for a `100` before a body that it does not have, which RFC 9110 §10.1.1 forbids.
///
/// It gets none, and boto3 takes the next answer of the same connection for something else.
fn waits_for_nothing<B: HttpBody>(request: &Request<B>) -> bool {
    request.version() <= Version::HTTP_11
        && request.body().is_end_stream()
        && request.headers().contains_key(EXPECT)
}

/// HTTP/2 may send each cookie in a line of its own; all others know one line only (RFC 9113 §8.2.3).
fn join_cookies<B>(request: &mut Request<B>) {
    let several = || request.headers().get_all(COOKIE).iter().nth(1).is_some();
    if request.version() != Version::HTTP_2 || !several() {
        return;
    }
    let lines = request.headers().get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let line = lines.collect::<Vec<_>>().join(&b"; "[..]);
    // Valid values with a valid separator are a valid value.
    if let Ok(line) = HeaderValue::try_from(line) {
        request.headers_mut().insert(COOKIE, line);
    }
}

/// A tenth more or less, so that clients that came together do not leave together.
fn jittered(age: Duration) -> Duration {
    Duration::try_from_secs_f64(age.as_secs_f64() * (0.9 + 0.2 * chance())).unwrap_or(age)
}

/// What an idle client has to close its side after it was told to.
const GOODBYE: Duration = Duration::from_secs(5);
