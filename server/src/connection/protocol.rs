use std::convert::Infallible;
use std::error::Error as StdError;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, Version};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portcullis_request_guard::{Part, Policy};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::rewound::Rewound;

use super::pace::{Pace, Paced};

/// How HTTP is spoken with clients.
#[derive(Clone, Debug)]
pub(super) struct Protocol {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocol {
    /// Strict where hyper can be, and wider than the stack's own limits, so that these are the ones to
    /// speak: what the stack refuses is answered in words, logged and counted.
    pub(super) fn new(guard: &Policy) -> Self {
        let twice = |size: u64| usize::try_from(size.saturating_mul(2)).unwrap_or(usize::MAX);
        let limit = |part| guard.limit(part).unwrap_or_default();
        let head = twice(limit(Part::Uri).saturating_add(limit(Part::HeaderBlock)));
        let lines = twice(limit(Part::HeaderCount));
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // Pace has one timer for a whole connection; hyper's would be armed for each request.
            .header_read_timeout(None)
            .max_headers(lines.clamp(100, 10_000))
            .max_buf_size(head.max(400 << 10));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(head.max(64 << 10)).unwrap_or(u32::MAX))
            .enable_connect_protocol()
            .keep_alive_interval(Some(Duration::from_secs(30)));
        Self { http1, http2 }
    }

    /// How many streams a client of HTTP/2 may have open at once.
    pub(super) fn max_streams(&mut self, most: u32) {
        self.http2.max_concurrent_streams(most);
    }

    /// Serves a connection by `service`, in the version that the client speaks.
    pub(super) fn serve<I, S>(self: &Arc<Self>, io: I, pace: Arc<Pace>, service: S) -> Serving<I, S>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Answers,
    {
        let state = State::Silent { io: Paced::new(io, pace.clone()), service };
        Serving { protocol: self.clone(), pace, state, read: BytesMut::new(), closes: false }
    }
}

/// A connection of HTTP. hyper's part of it, with 16 KiB of buffers, is there from the first byte of a request until the
/// connection rests.
pub(super) struct Serving<I, S: Answers> {
    protocol: Arc<Protocol>,
    pace: Arc<Pace>,
    state: State<I, S>,
    /// What came while it was silent.
    read: BytesMut,
    /// Whether it ends with what is under way.
    closes: bool,
}

enum State<I, S: Answers> {
    /// Nothing is under way.
    Silent {
        io: Paced<I>,
        service: S,
    },
    Http1(Box<http1::UpgradeableConnection<Io<I>, S>>),
    Http2(Pin<Box<http2::Connection<Io<I>, S, TokioExecutor>>>),
    Ended,
}

type Io<I> = TokioIo<Rewound<Paced<I>>>;

/// What there is to know of a connection.
#[derive(Debug)]
pub(super) enum Step {
    /// It is silent no more.
    Begun,
    Ended(Result<(), BoxError>),
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<I, S> Serving<I, S>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Answers,
{
    /// Has it close when what is under way is over.
    pub(super) fn close(&mut self) {
        self.closes = true;
        match &mut self.state {
            State::Silent { .. } | State::Ended => {}
            State::Http1(connection) => Pin::new(&mut **connection).graceful_shutdown(),
            State::Http2(connection) => connection.as_mut().graceful_shutdown(),
        }
    }

    /// Has it give up what it needs for requests alone until the next one comes.
    pub(super) fn rest(&mut self) {
        if let State::Http1(connection) = &mut self.state {
            self.pace.rest();
            // It is idle, so that this is the end of it, but not of the connection.
            Pin::new(&mut **connection).graceful_shutdown();
        }
    }

    /// Serves until something is to be told.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let ended = match &mut self.state {
                State::Silent { .. } => {
                    return match ready!(self.poll_silent(cx)) {
                        Ok(true) => Poll::Ready(Step::Begun),
                        Ok(false) => Poll::Ready(Step::Ended(Ok(()))),
                        Err(error) => Poll::Ready(Step::Ended(Err(error.into()))),
                    };
                }
                State::Http1(connection) => Pin::new(connection).poll(cx),
                State::Http2(connection) => connection.as_mut().poll(cx),
                State::Ended => return Poll::Ready(Step::Ended(Ok(()))),
            };
            let rests = self.pace.stayed();
            if let Err(error) = ready!(ended) {
                return Poll::Ready(Step::Ended(Err(error.into())));
            }
            if !rests || !self.fall_silent() {
                return Poll::Ready(Step::Ended(Ok(())));
            }
        }
    }

    /// Waits until it is clear what the client speaks: whether it still is there to speak.
    fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
        let State::Silent { io, .. } = &mut self.state else { return Poll::Ready(Ok(true)) };
        loop {
            if self.closes {
                // Who has gone need not be told.
                let _ = ready!(Pin::new(&mut *io).poll_shutdown(cx));
                self.state = State::Ended;
                return Poll::Ready(Ok(false));
            }
            let mut bytes = [MaybeUninit::uninit(); FIRST];
            let mut bytes = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut bytes))?;
            self.read.extend_from_slice(bytes.filled());
            let ended = bytes.filled().is_empty();
            if let Some(version) = self.pace.version().or(ended.then_some(Version::HTTP_11)) {
                self.begin(version);
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Has hyper speak with the client from here on.
    fn begin(&mut self, version: Version) {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Silent { io, service } => {
                let io = TokioIo::new(Rewound::new(std::mem::take(&mut self.read).freeze(), io));
                if version == Version::HTTP_2 {
                    State::Http2(Box::pin(self.protocol.http2.serve_connection(io, service)))
                } else {
                    let connection = self.protocol.http1.serve_connection(io, service);
                    State::Http1(Box::new(connection.with_upgrades()))
                }
            }
            other => other,
        };
    }

    /// Takes the connection back from hyper: whether it is still there.
    fn fall_silent(&mut self) -> bool {
        let State::Http1(connection) = std::mem::replace(&mut self.state, State::Ended) else {
            return false;
        };
        // None is left of one that has become a tunnel.
        let Some(parts) = connection.into_parts() else { return false };
        let (unread, io) = parts.io.into_inner().into_parts();
        self.state = State::Silent { io, service: parts.service };
        self.read.extend_from_slice(&parts.read_buf);
        self.read.extend_from_slice(&unread);
        if !self.read.is_empty() {
            self.begin(Version::HTTP_11);
        }
        true
    }
}

/// What answers requests, whatever comes.
pub(super) trait Answers:
    Service<
        Request<Incoming>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Unpin
{
    type Body: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> Answers for S
where
    S: Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = Infallible,
            Future: Send + 'static,
        > + Unpin,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// As much as most first requests are.
const FIRST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, advance};

    use super::super::pace::{Due, REST};
    use super::*;
    use crate::body::Body;
    use crate::config::ClientTimeouts;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    async fn answer(pace: Arc<Pace>) -> Result<Response<Body>, Infallible> {
        let _busy = pace.busy();
        Ok(Response::new(Body::empty()))
    }

    fn serving() -> (Serving<DuplexStream, impl Answers>, Arc<Pace>, DuplexStream) {
        let (client, io) = duplex(1 << 16);
        let pace = Arc::new(Pace::new(ClientTimeouts::default(), Duration::MAX));
        let known = pace.clone();
        let service = service_fn(move |_| answer(known.clone()));
        (Arc::new(Protocol::new(&Policy::default())).serve(io, pace.clone(), service), pace, client)
    }

    /// What becomes of the connection.
    async fn ended(serving: &mut Serving<DuplexStream, impl Answers>) -> Result<(), BoxError> {
        loop {
            if let Step::Ended(ended) = poll_fn(|cx| serving.poll(cx)).await {
                return ended;
            }
        }
    }

    /// Serves for as long as `client` does something.
    async fn during<T>(
        serving: &mut Serving<DuplexStream, impl Answers>,
        client: impl Future<Output = T>,
    ) -> T {
        tokio::select! {
            done = client => done,
            ended = ended(serving) => panic!("{ended:?}"),
        }
    }

    async fn answered(client: &mut DuplexStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            assert!(client.read_buf(&mut answer).await.unwrap() > 0, "{answer:?}");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
        assert!(!answer.windows(5).any(|word| word == b"close"), "{answer:?}");
    }

    async fn asks(client: &mut DuplexStream) {
        client.write_all(REQUEST).await.unwrap();
        answered(client).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_has_nothing_of_hyper_and_answers_the_next_request() {
        let (mut serving, pace, mut client) = serving();
        for _ in 0..3 {
            during(&mut serving, asks(&mut client)).await;
            assert!(matches!(serving.state, State::Http1(_)));
            advance(REST).await;
            assert_eq!(pace.due(Instant::now()), Due::Rest);

            serving.rest();
            during(&mut serving, tokio::task::yield_now()).await;

            assert!(matches!(serving.state, State::Silent { .. }));
            assert_eq!(pace.due(Instant::now()), Due::Nothing);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_of_the_next_request_survives_a_rest() {
        let (mut serving, _pace, mut client) = serving();
        during(&mut serving, asks(&mut client)).await;
        let (half, rest) = REQUEST.split_at(9);
        client.write_all(half).await.unwrap();
        during(&mut serving, tokio::task::yield_now()).await;

        serving.rest();
        during(&mut serving, tokio::task::yield_now()).await;

        client.write_all(rest).await.unwrap();
        during(&mut serving, answered(&mut client)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_silent_closes_when_it_is_told_to_before_the_first_request_and_after() {
        for requests in [0, 1] {
            let (mut serving, _pace, mut client) = serving();
            for _ in 0..requests {
                during(&mut serving, asks(&mut client)).await;
                serving.rest();
            }
            during(&mut serving, tokio::task::yield_now()).await;

            serving.close();
            ended(&mut serving).await.unwrap();

            assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "{requests}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_while_the_connection_rests_ends_it() {
        let (mut serving, _pace, mut client) = serving();
        during(&mut serving, asks(&mut client)).await;
        serving.rest();
        during(&mut serving, tokio::task::yield_now()).await;

        drop(client);

        ended(&mut serving).await.unwrap();
    }
}
