use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Extensions, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use portcullis_drain::Phase;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::websocket::{Frames, GOING_AWAY};
use super::{End, Shared, Tunnel};

/// A tunnel whose two sides are both known, to be run until it ends.
#[derive(Debug)]
#[must_use = "a tunnel that nobody relays is closed"]
pub struct Relay {
    client: OnUpgrade,
    tunnel: Tunnel,
    phase: watch::Receiver<Phase>,
    /// What layers want to be alive for as long as the tunnel is.
    _held: Extensions,
}

impl Relay {
    /// The relay between `client` and the upstream that is in `response`, if there is one. The extensions of the response
    /// are its own then.
    pub fn of<B>(
        client: OnUpgrade,
        response: &mut Response<B>,
        phase: &watch::Receiver<Phase>,
    ) -> Option<Self> {
        let tunnel = response.extensions_mut().remove::<Tunnel>()?;
        let held = std::mem::take(response.extensions_mut());
        Some(Self { client, tunnel, phase: phase.clone(), _held: held })
    }

    /// Passes on what comes until both sides have closed, one has broken off, or nothing came for too long.
    ///
    /// A WebSocket is told when the gateway drains: its client gets a close frame between two frames of the upstream's,
    /// and answers it to the upstream. What the upstream sends after that is not for anybody.
    pub async fn run(self) {
        let end = self.relay().await;
        self.tunnel.ended(end);
    }

    async fn relay(&self) -> End {
        let Some(upstream) = self.tunnel.take() else { return End::UpstreamLeft };
        // The client's side comes when the head of the response has been written.
        let Ok(client) = self.client.clone().await else { return End::ClientLeft };
        let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
        let (from_upstream, to_upstream) = tokio::io::split(upstream);
        let shared = &*self.tunnel.0;
        let clock = Clock::new(shared.idle);
        let up = async {
            let side = Side { clock: &clock, bytes: &shared.received };
            side.pass_on(from_client, to_upstream).await.map_err(|broken| match broken {
                Broken::From => End::ClientLeft,
                Broken::To => End::UpstreamLeft,
            })
        };
        let down = async {
            let side = Side { clock: &clock, bytes: &shared.sent };
            let passed = if shared.is_websocket {
                side.pass_frames_on(from_upstream, to_client, self.phase.clone()).await
            } else {
                side.pass_on(from_upstream, to_client).await
            };
            passed.map_err(|broken| match broken {
                Broken::From => End::UpstreamLeft,
                Broken::To => End::ClientLeft,
            })
        };
        let (up, down) = (pin!(up), pin!(down));
        tokio::select! {
            ended = both(up, down, shared) => ended.err().unwrap_or(End::Closed),
            () = clock.runs_out() => End::Idle,
        }
    }
}

/// Waits for both ways to end. A WebSocket has no use for a half of itself.
async fn both(
    up: Pin<&mut (impl Future<Output = Result<(), End>> + Send)>,
    down: Pin<&mut (impl Future<Output = Result<(), End>> + Send)>,
    shared: &Shared,
) -> Result<(), End> {
    let (mut up, mut down) = (up, down);
    let rest: Pin<&mut (dyn Future<Output = Result<(), End>> + Send)> = tokio::select! {
        ended = up.as_mut() => {
            ended?;
            down
        }
        ended = down.as_mut() => {
            ended?;
            up
        }
    };
    if shared.is_websocket { timeout(GOODBYE, rest).await.unwrap_or(Ok(())) } else { rest.await }
}

/// One way through a tunnel.
struct Side<'a> {
    clock: &'a Clock,
    bytes: &'a AtomicU64,
}

/// Which end of one way broke off.
enum Broken {
    From,
    To,
}

impl Side<'_> {
    /// Passes bytes on to the end, which it passes on, too.
    async fn pass_on(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), Broken> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = from.read(&mut buffer).await.map_err(|_| Broken::From)?;
            self.clock.moved();
            match buffer.get(..read) {
                None | Some([]) => break,
                Some(bytes) => self.write(bytes, &mut to).await?,
            }
        }
        to.shutdown().await.map_err(|_| Broken::To)
    }

    /// The same with frames of a WebSocket, among which it says goodbye when the gateway drains.
    async fn pass_frames_on(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        mut phase: watch::Receiver<Phase>,
    ) -> Result<(), Broken> {
        let mut buffer = vec![0; BUFFER];
        let mut frames = Frames::default();
        let mut goodbye = Goodbye::NotYet;
        loop {
            if goodbye == Goodbye::Due && frames.between() {
                goodbye = Goodbye::Said;
                if !frames.closed() {
                    self.write(&GOING_AWAY, &mut to).await?;
                }
            }
            let read = tokio::select! {
                biased;
                _ = phase.wait_for(|phase| *phase >= Phase::Draining), if goodbye == Goodbye::NotYet => {
                    goodbye = Goodbye::Due;
                    continue;
                }
                read = from.read(&mut buffer) => read.map_err(|_| Broken::From)?,
            };
            self.clock.moved();
            let bytes = match buffer.get(..read) {
                None | Some([]) => break,
                Some(bytes) => bytes,
            };
            let wanted = match goodbye {
                Goodbye::NotYet => frames.pass(bytes),
                Goodbye::Due => frames.pass_one(bytes),
                Goodbye::Said => 0,
            };
            self.write(bytes.get(..wanted).unwrap_or_default(), &mut to).await?;
        }
        to.shutdown().await.map_err(|_| Broken::To)
    }

    async fn write(&self, bytes: &[u8], to: &mut (impl AsyncWrite + Unpin)) -> Result<(), Broken> {
        to.write_all(bytes).await.map_err(|_| Broken::To)?;
        to.flush().await.map_err(|_| Broken::To)?;
        self.clock.moved();
        self.bytes.fetch_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX), Relaxed);
        Ok(())
    }
}

/// Whether the client of a WebSocket has been told that the gateway drains.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Goodbye {
    NotYet,
    /// As soon as the frame that is on its way is complete.
    Due,
    Said,
}

/// When a byte last went either way.
struct Clock {
    last: Mutex<Instant>,
    limit: Duration,
}

impl Clock {
    fn new(limit: Duration) -> Self {
        Self { last: Mutex::new(Instant::now()), limit }
    }

    fn moved(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    async fn runs_out(&self) {
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match last.checked_add(self.limit) {
                Some(deadline) if deadline <= Instant::now() => return,
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        }
    }
}

/// What is on its way through a tunnel, in each direction.
const BUFFER: usize = 16 << 10;

/// What a WebSocket's one side has for its end when the other has ended.
const GOODBYE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio::task::JoinHandle;

    use super::*;

    const FRAME: &[u8] = b"\x82\x05hello";

    /// Passes frames on between two pipes; the far ends of those.
    fn frames(
        phase: watch::Receiver<Phase>,
    ) -> (tokio::io::DuplexStream, tokio::io::DuplexStream, JoinHandle<()>) {
        let (upstream, from) = duplex(1024);
        let (to, client) = duplex(1024);
        let task = tokio::spawn(async move {
            let (clock, bytes) = (Clock::new(Duration::from_secs(1)), AtomicU64::new(0));
            let side = Side { clock: &clock, bytes: &bytes };
            drop(side.pass_frames_on(from, to, phase).await);
        });
        (upstream, client, task)
    }

    #[tokio::test]
    async fn a_websocket_is_told_between_two_frames_and_hears_nothing_afterwards() {
        let (phases, phase) = watch::channel(Phase::Ready);
        let (mut upstream, mut client, task) = frames(phase);
        let mut read = [0; 4];
        upstream.write_all(&FRAME[..4]).await.unwrap();
        client.read_exact(&mut read).await.unwrap();

        phases.send_replace(Phase::Draining);
        upstream.write_all(&FRAME[4..]).await.unwrap();
        upstream.write_all(FRAME).await.unwrap();
        drop(upstream);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        task.await.unwrap();

        assert_eq!([&read[..], &rest].concat(), [FRAME, &GOING_AWAY].concat());
    }

    #[tokio::test]
    async fn one_that_is_closing_already_is_not_told() {
        let (phases, phase) = watch::channel(Phase::Ready);
        let (mut upstream, mut client, task) = frames(phase);
        let close = b"\x88\x02\x03\xe8";
        upstream.write_all(close).await.unwrap();
        let mut read = [0; 4];
        client.read_exact(&mut read).await.unwrap();

        phases.send_replace(Phase::Draining);
        drop(upstream);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        task.await.unwrap();

        assert_eq!((&read, rest.as_slice()), (close, &[][..]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_runs_out_when_nothing_moves_and_not_before() {
        let clock = Clock::new(Duration::from_secs(10));
        let begin = Instant::now();
        let move_once = async {
            sleep_until(begin + Duration::from_secs(7)).await;
            clock.moved();
        };

        tokio::join!(clock.runs_out(), move_once);

        assert_eq!(begin.elapsed(), Duration::from_secs(17));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_time_is_no_limit() {
        let clock = Clock::new(Duration::MAX);

        assert!(timeout(Duration::from_secs(1 << 30), clock.runs_out()).await.is_err());
    }
}
