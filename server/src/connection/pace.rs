use std::future::pending;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::ClientTimeouts;

use super::Ending;

/// What a connection waits for, and since when.
///
/// One timer for each connection looks at it now and then, instead of one that is armed and disarmed
/// for each request. All of it is written and read by tasks of one thread: the atomics are there for
/// `Sync`, not for order.
#[derive(Debug)]
pub(super) struct Pace {
    timeouts: ClientTimeouts,
    /// What it may live to.
    age: Duration,
    /// Whether it has.
    old: AtomicBool,
    opened: Instant,
    in_flight: AtomicUsize,
    /// How many of the first bytes are those that HTTP/2 begins with.
    preface: AtomicUsize,
    /// Whether there has been a byte.
    begun: AtomicBool,
    /// Whether it is known which version the client speaks.
    decided: AtomicBool,
    /// Whether that is HTTP/2.
    http2: AtomicBool,
    /// Told when it is known.
    known: Notify,
    /// When the last response ended.
    idle: Moment,
    /// When the first byte of a head came that is not complete yet.
    head: Moment,
    /// When the client stopped taking what it is sent.
    blocked: Moment,
    /// How many responses have something for the client that it has not taken.
    offered: AtomicUsize,
    /// When it last took some of any.
    moved: Moment,
    /// Whether nothing has come since the connection was told to rest.
    rests: AtomicBool,
    /// Whether it is to stay open although whoever speaks HTTP on it is done with it.
    stays: AtomicBool,
}

/// Milliseconds since the connection was opened, plus one; zero is never.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

/// What the timer is to do.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// Look again later.
    Nothing,
    /// Nobody has needed the connection for a moment: it may give up what it needs for a request.
    Rest,
    /// Nobody needs the connection: it closes as the protocol has it.
    Close,
    /// It has been open for long enough: its client may connect anew.
    Retire,
    /// It took too long.
    Cut(Ending),
}

impl Pace {
    pub(super) fn new(timeouts: ClientTimeouts, age: Duration) -> Self {
        Self {
            timeouts,
            age,
            old: AtomicBool::new(false),
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            preface: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
            decided: AtomicBool::new(false),
            http2: AtomicBool::new(false),
            known: Notify::new(),
            idle: Moment::default(),
            head: Moment::default(),
            blocked: Moment::default(),
            offered: AtomicUsize::new(0),
            moved: Moment::default(),
            rests: AtomicBool::new(false),
            stays: AtomicBool::new(false),
        }
    }

    /// A request has come; it lasts until the guard is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.head.0.store(0, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        Busy(self.clone())
    }

    /// One more response has something for the client.
    pub(super) fn offer(&self) {
        self.offered.fetch_add(1, Relaxed);
        self.moved();
    }

    /// The client has taken what one of them had.
    pub(super) fn take(&self) {
        // Without another that has something it is not asked when that was.
        if self.offered.fetch_sub(1, Relaxed) > 1 {
            self.moved();
        }
    }

    /// The client takes what it is offered.
    pub(super) fn moved(&self) {
        self.moved.set(self.opened);
    }

    /// The version of HTTP that the client speaks, once it is known.
    pub(super) fn version(&self) -> Option<Version> {
        self.decided.load(Relaxed).then(|| match self.http2.load(Relaxed) {
            true => Version::HTTP_2,
            false => Version::HTTP_11,
        })
    }

    /// The connection rests until something comes; it stays open when whoever speaks HTTP on it shuts it down.
    pub(super) fn rest(&self) {
        self.rests.store(true, Relaxed);
        self.stays.store(true, Relaxed);
    }

    /// Whether the connection was to stay open; what shuts it down from now on closes it.
    pub(super) fn stayed(&self) -> bool {
        self.stays.load(Relaxed) && self.stays.swap(false, Relaxed)
    }

    /// Waits until it is known that the client speaks HTTP/2: for ever, if it does not.
    pub(super) async fn speaks_http2(&self) {
        if !self.decided.load(Relaxed) {
            self.known.notified().await;
        }
        if !self.http2.load(Relaxed) {
            pending::<()>().await;
        }
    }

    /// What is to be done now.
    pub(super) fn due(&self, now: Instant) -> Due {
        match self.deadline() {
            Some((deadline, due)) if deadline <= now => due,
            _ => Due::Nothing,
        }
    }

    /// The connection is old from now on; whether its protocol can say so by itself.
    pub(super) fn retire(&self) -> bool {
        self.old.store(true, Relaxed);
        self.http2.load(Relaxed)
    }

    /// Whether the next response is to be the last.
    pub(super) fn is_old(&self) -> bool {
        self.old.load(Relaxed)
    }

    /// When to look again: at the deadline there is, or before one that begins now could pass.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        let ClientTimeouts { first_byte, request_header, send, keep_alive, .. } = self.timeouts;
        let soon = now + request_header.min(send).min(keep_alive).min(first_byte);
        let soon = if self.may_rest() { soon.min(now + REST) } else { soon };
        self.deadline().map_or(soon, |(deadline, _)| deadline.min(soon))
    }

    fn deadline(&self) -> Option<(Instant, Due)> {
        // Beyond what a clock can tell is never.
        let old = self.opened.checked_add(self.age).filter(|_| !self.is_old());
        let old = old.map(|old| (old, Due::Retire));
        let rest = self.rest_begins().map(|begin| (begin, Due::Rest));
        self.patience().into_iter().chain(old).chain(rest).min_by_key(|(deadline, _)| *deadline)
    }

    /// When a connection between two requests begins to rest.
    fn rest_begins(&self) -> Option<Instant> {
        let waits = self.in_flight.load(Relaxed) == 0
            && self.head.get(self.opened).is_none()
            && self.blocked.get(self.opened).is_none();
        let since = self.idle.get(self.opened).filter(|_| waits && self.may_rest());
        since.map(|since| since + REST)
    }

    /// Whether it would rest if it were idle: not if it does, nor if HTTP/2 is spoken, whose state is not only memory.
    fn may_rest(&self) -> bool {
        !self.rests.load(Relaxed) && self.version() == Some(Version::HTTP_11)
    }

    /// When the client has been waited for for long enough.
    fn patience(&self) -> Option<(Instant, Due)> {
        if let Some(since) = self.blocked.get(self.opened) {
            return Some((since + self.timeouts.send, Due::Cut(Ending::SendTimeout)));
        }
        if self.offered.load(Relaxed) > 0
            && let Some(since) = self.moved.get(self.opened)
        {
            return Some((since + self.timeouts.send, Due::Cut(Ending::SendTimeout)));
        }
        if self.in_flight.load(Relaxed) > 0 {
            return None;
        }
        if let Some(since) = self.head.get(self.opened) {
            let cut = Due::Cut(Ending::RequestHeaderTimeout);
            return Some((since + self.timeouts.request_header, cut));
        }
        Some(match self.idle.get(self.opened) {
            Some(since) => (since + self.timeouts.keep_alive, Due::Close),
            None if self.begun.load(Relaxed) => {
                (self.opened + self.timeouts.keep_alive, Due::Close)
            }
            None => (self.opened + self.timeouts.first_byte, Due::Close),
        })
    }

    fn received(&self, bytes: &[u8]) {
        self.begun.store(true, Relaxed);
        self.rests.store(false, Relaxed);
        if !self.decided.load(Relaxed) {
            self.decide(bytes);
        }
        // On HTTP/2 what comes between two requests is mostly no head that could take too long, but
        // settings, windows and pings.
        if self.in_flight.load(Relaxed) == 0 && !self.http2.load(Relaxed) {
            self.head.begin(self.opened);
        }
    }

    /// Half of the preface is neither: until the rest comes, it is the head of a request that takes its time.
    fn decide(&self, bytes: &[u8]) {
        let before = self.preface.load(Relaxed);
        let expected = PREFACE.get(before..).unwrap_or_default();
        let same =
            bytes.iter().zip(expected).take_while(|(byte, expected)| byte == expected).count();
        self.preface.store(before + same, Relaxed);
        let http2 = same == expected.len();
        if http2 || same < bytes.len() {
            self.http2.store(http2, Relaxed);
            self.decided.store(true, Relaxed);
            self.head.0.store(0, Relaxed);
            self.known.notify_one();
        }
    }

    fn written(&self, blocked: bool) {
        if blocked {
            self.blocked.begin(self.opened);
        } else {
            self.blocked.0.store(0, Relaxed);
        }
    }
}

impl Moment {
    fn get(&self, opened: Instant) -> Option<Instant> {
        let since = self.0.load(Relaxed).checked_sub(1)?;
        Some(opened + Duration::from_millis(since))
    }

    fn set(&self, opened: Instant) {
        let since = u64::try_from(opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.0.store(since + 1, Relaxed);
    }

    fn begin(&self, opened: Instant) {
        if self.0.load(Relaxed) == 0 {
            self.set(opened);
        }
    }
}

/// A request that is not answered to the last byte yet.
#[derive(Debug)]
pub(super) struct Busy(Arc<Pace>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
        self.0.idle.set(self.0.opened);
    }
}

/// A socket whose reads and writes are seen by a [`Pace`].
#[derive(Debug)]
pub(super) struct Paced<I> {
    inner: I,
    pace: Arc<Pace>,
}

impl<I> Paced<I> {
    pub(super) const fn new(inner: I, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Paced<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Some(bytes @ [_, ..]) = buf.filled().get(before..) {
            self.pace.received(bytes);
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Paced<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.pace.written(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.pace.written(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.pace.written(polled.is_pending());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pace.stays.load(Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// How long a client has been silent when its connection begins to rest. One that asks anew each second has no use for that.
pub(super) const REST: Duration = Duration::from_secs(2);

/// How HTTP/2 begins (RFC 9113 §3.4), and no request of HTTP/1 does.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn pace() -> Arc<Pace> {
        Arc::new(Pace::new(ClientTimeouts::default(), HOUR))
    }

    async fn after(pace: &Pace, seconds: u64) -> Due {
        advance(Duration::from_secs(seconds)).await;
        pace.due(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_cut() {
        let pace = pace();
        pace.received(b"G");

        assert_eq!(after(&pace, 29).await, Due::Nothing);
        pace.received(b"G"); // a byte now and then does not help
        assert_eq!(after(&pace, 1).await, Due::Cut(Ending::RequestHeaderTimeout));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_closes_and_a_busy_one_does_not() {
        let pace = pace();
        pace.received(b"G");
        let busy = pace.busy();
        assert_eq!(after(&pace, 1000).await, Due::Nothing);

        drop(busy);
        assert_eq!(after(&pace, 1).await, Due::Nothing);
        assert_eq!(after(&pace, 1).await, Due::Rest);
        pace.rest();
        assert_eq!(after(&pace, 72).await, Due::Nothing);
        assert_eq!(after(&pace, 1).await, Due::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_client_has_begun_to_ask_or_takes_its_time_does_not_rest() {
        let pace = pace();
        pace.received(b"G");
        drop(pace.busy());
        pace.received(b"G");
        assert_eq!(after(&pace, 29).await, Due::Nothing);

        drop(pace.busy());
        pace.written(true);
        assert_eq!(after(&pace, 59).await, Due::Nothing);
        pace.written(false);
        assert_eq!(after(&pace, 0).await, Due::Rest);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_closes_sooner_than_one_between_two_requests() {
        let pace = pace();

        assert_eq!(after(&pace, 29).await, Due::Nothing);
        assert_eq!(after(&pace, 1).await, Due::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_retires_once_whatever_it_is_doing() {
        let pace = pace();
        pace.received(b"G");
        let _busy = pace.busy();
        assert_eq!(after(&pace, 3599).await, Due::Nothing);
        assert!(!pace.is_old());
        assert_eq!(after(&pace, 1).await, Due::Retire);

        assert!(!pace.retire(), "HTTP/1 says it with a response");
        assert!(pace.is_old());
        assert_eq!(after(&pace, 3600).await, Due::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn an_age_beyond_the_clock_is_no_limit() {
        let pace = Pace::new(ClientTimeouts::default(), Duration::MAX);
        pace.received(PREFACE);

        assert_eq!(pace.due(Instant::now()), Due::Nothing);
        assert!(pace.next_look(Instant::now()) > Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_for_no_more_of_any_response_is_cut() {
        let pace = pace();
        let _busy = pace.busy();
        pace.offer();
        pace.offer();

        assert_eq!(after(&pace, 59).await, Due::Nothing);
        pace.take(); // and now the upstream is waited for
        assert_eq!(after(&pace, 59).await, Due::Nothing);
        assert_eq!(after(&pace, 1).await, Due::Cut(Ending::SendTimeout));
        pace.take();
        assert_eq!(after(&pace, 1000).await, Due::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_method_that_looks_like_http_2_buys_no_time_and_neither_does_half_of_its_preface() {
        for pieces in
            [&[&b"PRI /"[..], b" HTTP/1.1\r\n"][..], &[b"P", b"RI * HTTP"], &[b"PRI * HTTP/2.1"]]
        {
            let pace = pace();
            pieces.iter().for_each(|piece| pace.received(piece));

            assert_eq!(after(&pace, 29).await, Due::Nothing);
            assert_eq!(after(&pace, 1).await, Due::Cut(Ending::RequestHeaderTimeout), "{pieces:?}");
        }
        let pace = pace();
        PREFACE.chunks(5).for_each(|piece| pace.received(piece));
        assert_eq!(after(&pace, 31).await, Due::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_of_http_2_is_no_head_that_takes_too_long() {
        let pace = pace();
        pace.received(PREFACE);
        assert_eq!(after(&pace, 31).await, Due::Nothing);

        drop(pace.busy());
        pace.received(b"\0\0\x08\x06\x01\0\0\0\0pingpong");
        assert_eq!(after(&pace, 74).await, Due::Nothing);
        assert_eq!(after(&pace, 1).await, Due::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_even_with_a_request_in_flight() {
        let pace = pace();
        let _busy = pace.busy();
        pace.written(true);

        assert_eq!(after(&pace, 59).await, Due::Nothing);
        pace.written(false);
        pace.written(true);
        assert_eq!(after(&pace, 59).await, Due::Nothing);
        assert_eq!(after(&pace, 1).await, Due::Cut(Ending::SendTimeout));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_begins_after_a_look_is_met_by_the_next() {
        let pace = pace();
        let look = pace.next_look(Instant::now());
        pace.received(b"G");

        assert!(look <= Instant::now() + Duration::from_secs(30));
    }
}
