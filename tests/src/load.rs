use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::http2;
use crate::websocket::{Answer, Words, echo_words};
use crate::{Upstream, read_request};

/// What clients of several kinds ask for all the time, and what they got. None of them tries twice
/// what a server may have seen.
#[derive(Debug)]
pub struct Load {
    counts: Arc<Counts>,
    clients: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    answered: [AtomicUsize; Kind::ALL.len()],
    failed: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// A kind of request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Short ones, one after another over a connection of HTTP/1.1.
    Http1,
    /// Short ones over a connection of HTTP/2.
    Http2,
    /// Events for a second.
    Events,
    /// Downloads of 10 MiB.
    Download,
    /// Words that an echo says again, one after another over a WebSocket.
    WebSocket,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Http1, Self::Http2, Self::Events, Self::Download, Self::WebSocket];

    const fn path(self) -> &'static str {
        match self {
            Self::Http1 | Self::Http2 => "/short",
            Self::Events => "/events",
            Self::Download => "/download",
            Self::WebSocket => "/socket",
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::Http1 | Self::Http2 | Self::WebSocket => SHORT.len(),
            Self::Events => EVENT.len() * EVENTS,
            Self::Download => PIECE * PIECES,
        }
    }
}

const SHORT: &[u8; 4] = b"well";
const EVENT: &[u8] = b"data: event\n\n";
const EVENTS: usize = 20;
const PIECE: usize = 64 << 10;
const PIECES: usize = 160;

/// The upstream that the clients expect.
pub async fn load_upstream() -> Upstream {
    Upstream::serving(|mut socket, _| async move {
        while let Some(request) = read_request(&mut socket).await {
            let path = request.line().split(' ').nth(1).unwrap_or_default().to_owned();
            let kind = Kind::ALL.into_iter().find(|kind| kind.path() == path);
            let Some(kind) = kind else { return };
            if kind == Kind::WebSocket {
                // It ends with its client.
                echo_words(&mut socket, &request).await.ok();
                return;
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", kind.length());
            if socket.write_all(head.as_bytes()).await.is_err() || !answer(&mut socket, kind).await
            {
                return;
            }
        }
    })
    .await
}

async fn answer(socket: &mut TcpStream, kind: Kind) -> bool {
    let piece = vec![b'a'; PIECE];
    let (piece, count, pause) = match kind {
        Kind::Http1 | Kind::Http2 | Kind::WebSocket => (&SHORT[..], 1, Duration::ZERO),
        Kind::Events => (EVENT, EVENTS, Duration::from_millis(50)),
        Kind::Download => (&*piece, PIECES, Duration::ZERO),
    };
    for _ in 0..count {
        if socket.write_all(piece).await.is_err() {
            return false;
        }
        if !pause.is_zero() {
            sleep(pause).await; // an upstream has its own pace
        }
    }
    true
}

impl Load {
    /// Puts a gateway under load: short requests, together `rate` a second if the machine can, half of them by HTTP/2, and
    /// streams beside them.
    #[must_use]
    pub fn on(gateway: SocketAddr, rate: u32) -> Self {
        let counts = Arc::new(Counts::default());
        let mut clients = JoinSet::new();
        let every = Duration::from_secs(1) * 8 / rate.max(1);
        for _ in 0..4 {
            clients.spawn(over_http1(gateway, Kind::Http1, every, counts.clone()));
            clients.spawn(over_http2(gateway, every, counts.clone()));
        }
        for kind in [Kind::Events, Kind::Events, Kind::Download] {
            clients.spawn(over_http1(gateway, kind, Duration::from_millis(1), counts.clone()));
        }
        clients.spawn(over_websocket(gateway, counts.clone()));
        Self { counts, clients }
    }

    /// How many requests of a kind were answered to the last byte.
    #[must_use]
    pub fn answered(&self, kind: Kind) -> usize {
        self.counts.answered.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Waits until so many more of each kind were answered.
    pub async fn until_answered(&self, more: usize) {
        self.until_answered_of(&Kind::ALL, more).await;
    }

    /// Waits until so many more of each of these kinds were answered.
    pub async fn until_answered_of(&self, kinds: &[Kind], more: usize) {
        let wanted: Vec<_> =
            kinds.iter().map(|kind| (*kind, self.answered(*kind) + more)).collect();
        while wanted.iter().any(|(kind, wanted)| self.answered(*kind) < *wanted) {
            sleep(Duration::from_millis(5)).await; // others need the thread
        }
    }

    /// What failed so far, and how.
    #[must_use]
    pub fn failed(&self) -> Vec<String> {
        self.counts.failed.lock().unwrap().clone()
    }

    /// Lets each client finish what it does; what failed in all.
    pub async fn end(mut self) -> Vec<String> {
        self.counts.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.failed()
    }
}

impl Counts {
    fn count(&self, kind: Kind, result: Result<usize, String>) {
        let failure = match result {
            Ok(length) if length == kind.length() => {
                if let Some(count) = self.answered.get(kind as usize) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                return;
            }
            Ok(length) => format!("{length} bytes"),
            Err(error) => error,
        };
        self.failed.lock().unwrap().push(format!("{kind:?}: {failure}"));
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

async fn over_http1(gateway: SocketAddr, kind: Kind, every: Duration, counts: Arc<Counts>) {
    let mut every = interval(every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut kept = None;
    while !counts.stopped() {
        every.tick().await;
        let result = exchange(gateway, kind, &mut kept).await;
        counts.count(kind, result);
    }
}

type Http1 = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

/// Asks over the connection that was kept, and keeps it again unless it was told to close.
async fn exchange(
    gateway: SocketAddr,
    kind: Kind,
    kept: &mut Option<Http1>,
) -> Result<usize, String> {
    let told = |what: &str, error: &dyn std::fmt::Debug| format!("{what}: {error:?}");
    let mut client = match kept.take() {
        Some(client) => client,
        None => {
            let socket = TcpStream::connect(gateway).await.map_err(|e| told("connect", &e))?;
            let socket = hyper_util::rt::TokioIo::new(socket);
            let (client, connection) = hyper::client::conn::http1::handshake(socket)
                .await
                .map_err(|e| told("handshake", &e))?;
            // Whoever waits for a response hears of the error, too.
            tokio::spawn(async move { drop(connection.await) });
            client
        }
    };
    client.ready().await.map_err(|e| told("closed while it was idle", &e))?;
    let request = Request::get(kind.path()).header("host", "a").body(Empty::new()).unwrap();
    let response = client.send_request(request).await.map_err(|e| told("request", &e))?;
    if response.status() != 200 {
        return Err(told("status", &response.status()));
    }
    let closes = response.headers().get("connection").is_some_and(|value| value == "close");
    let length = read(response.into_body()).await?;
    if !closes {
        *kept = Some(client);
    }
    Ok(length)
}

async fn over_http2(gateway: SocketAddr, every: Duration, counts: Arc<Counts>) {
    let mut every = interval(every);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client: SendRequest<Empty<Bytes>> = http2(gateway).await;
    while !counts.stopped() {
        every.tick().await;
        let mut request = short();
        let result = loop {
            // One that has said `GOAWAY` takes no more.
            if client.ready().await.is_err() {
                client = http2(gateway).await;
                continue;
            }
            match client.try_send_request(request).await {
                Ok(response) if response.status() != 200 => {
                    break Err(format!("status {}", response.status()));
                }
                Ok(response) => break read(response.into_body()).await,
                Err(mut error) => match error.take_message() {
                    // It was not sent, so that nothing can have come of it.
                    Some(unsent) => {
                        request = unsent;
                        client = http2(gateway).await;
                    }
                    None if was_not_seen(error.error()) => {
                        request = short();
                        client = http2(gateway).await;
                    }
                    None => break Err(format!("request: {:?}", error.error())),
                },
            }
        };
        counts.count(Kind::Http2, result);
    }
}

/// Says words, and connects anew when it is told that the other side goes away.
async fn over_websocket(gateway: SocketAddr, counts: Arc<Counts>) {
    let mut every = interval(Duration::from_millis(20));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut kept = None;
    while !counts.stopped() {
        every.tick().await;
        let result = async {
            let mut words = match kept.take() {
                Some(words) => words,
                None => Words::open(gateway, Kind::WebSocket.path()).await?,
            };
            match words.say(*SHORT).await? {
                Answer::Echo => kept = Some(words),
                Answer::Goodbye => words.close().await,
            }
            std::io::Result::Ok(SHORT.len())
        };
        counts.count(Kind::WebSocket, result.await.map_err(|error| format!("{error:?}")));
    }
    if let Some(words) = kept {
        words.close().await;
    }
}

fn short() -> Request<Empty<Bytes>> {
    Request::get("http://a/short").body(Empty::new()).unwrap()
}

/// Whether the server said `GOAWAY` in peace before it had seen the request, which is then sent anew (RFC 9113 §6.8).
fn was_not_seen(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        cause.is_go_away() && cause.is_remote() && cause.reason() == Some(h2::Reason::NO_ERROR)
    })
}

async fn read(mut body: hyper::body::Incoming) -> Result<usize, String> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("body after {length} bytes: {error:?}"))?;
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}
