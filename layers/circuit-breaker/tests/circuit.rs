//! When a circuit opens, and how it closes again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::Future;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Request, Response};
use http_body_util::Empty;
use portcullis_circuit_breaker::{
    Cause, CircuitBreakerHandle, CircuitBreakerLayer, CircuitBreakerPolicy, CircuitState, HalfOpen,
    Mode, Open, OpenTime, RampUp, Rate, SlowCalls, Transition, Until, Window,
};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn};

type NoBody = Empty<&'static [u8]>;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn open_time(first: u64, longest: u64) -> OpenTime {
    OpenTime::new(seconds(first), seconds(longest)).unwrap().without_jitter()
}

fn probes(concurrent: u16, successes: u16) -> HalfOpen {
    let number = |number| NonZeroU16::new(number).unwrap();
    HalfOpen::new(number(concurrent), number(successes), seconds(5)).unwrap()
}

/// Opens at the second failure in a row for 10 s, and closes after two probes, one at a time.
fn policy() -> CircuitBreakerPolicy {
    CircuitBreakerPolicy::new()
        .consecutive_failures(NonZeroU32::new(2).unwrap())
        .open_time(open_time(10, 40))
        .half_open(probes(1, 2))
}

/// A circuit around services that do as they are told.
struct Rig {
    layer: CircuitBreakerLayer,
    circuit: CircuitBreakerHandle,
}

impl Rig {
    fn new(policy: CircuitBreakerPolicy) -> Self {
        let layer = CircuitBreakerLayer::new("test", policy);
        Self { circuit: layer.handle(), layer }
    }

    /// A call by a service of its own, which ends after a while.
    fn call(&self, status: u16, after: Duration) -> impl Future<Output = Response<()>> + use<> {
        let service = service_fn(move |_: Request<()>| async move {
            sleep(after).await;
            Ok::<_, Infallible>(Response::builder().status(status).body(NoBody::new()).unwrap())
        });
        let call = self.layer.layer(service).oneshot(Request::new(()));
        async { call.await.unwrap().map(drop) }
    }

    /// Whether a call that ends at once is let through.
    async fn admits(&self, status: u16) -> bool {
        self.call(status, Duration::ZERO).await.extensions().get::<Open>().is_none()
    }

    async fn all_admitted(&self, statuses: impl IntoIterator<Item = u16>) {
        for status in statuses {
            assert!(self.admits(status).await);
        }
    }

    /// Fails until it is open.
    async fn open(&self) {
        self.all_admitted([500, 500]).await;
        assert_eq!(self.circuit.state(), CircuitState::Open);
    }

    async fn half_open(&self) {
        self.open().await;
        advance(seconds(10)).await;
    }
}

fn seen(transitions: &mut Receiver<Transition>) -> Vec<(CircuitState, CircuitState, Cause)> {
    let transitions = std::iter::from_fn(|| transitions.try_recv().ok());
    transitions.map(|seen| (seen.from(), seen.to(), seen.cause())).collect()
}

#[tokio::test(start_paused = true)]
async fn it_opens_is_probed_and_closes_and_says_so() {
    let rig = Rig::new(policy());
    let mut transitions = rig.circuit.subscribe();

    rig.open().await;
    assert!(!rig.circuit.admits() && !rig.admits(200).await);
    advance(seconds(10)).await;
    assert!(rig.circuit.admits());
    rig.all_admitted([200, 200, 200]).await;

    let expected = [
        (CircuitState::Closed, CircuitState::Open, Cause::ConsecutiveFailures),
        (CircuitState::Open, CircuitState::HalfOpen, Cause::Elapsed),
        (CircuitState::HalfOpen, CircuitState::Closed, Cause::ProbesSucceeded),
    ];
    assert_eq!(seen(&mut transitions), expected);
}

#[tokio::test(start_paused = true)]
async fn a_transition_says_when_it_was() {
    let rig = Rig::new(policy());
    let mut transitions = rig.circuit.subscribe();
    advance(seconds(3)).await;

    rig.open().await;

    assert_eq!(transitions.recv().await.unwrap().at(), Instant::now());
}

#[tokio::test(start_paused = true)]
async fn half_of_the_last_hundred_calls_open_it_however_many_went_well_before() {
    let window = Window::calls(100, 100).unwrap();
    let rig = Rig::new(CircuitBreakerPolicy::new().window(window));
    rig.all_admitted((0..10_000).map(|_| 200)).await;

    rig.all_admitted((0..49).map(|_| 500)).await;
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
    rig.all_admitted([500]).await;

    assert_eq!(rig.circuit.state(), CircuitState::Open);
    assert!((rig.circuit.snapshot().failure_rate() - 0.5).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn fewer_calls_than_the_minimum_open_nothing() {
    for window in [Window::calls(10, 4), Window::time(seconds(10), 4)] {
        let rig = Rig::new(CircuitBreakerPolicy::new().window(window.unwrap()));

        rig.all_admitted([500, 500, 500]).await;
        assert_eq!(rig.circuit.state(), CircuitState::Closed);
        rig.all_admitted([500]).await;

        assert_eq!(rig.circuit.state(), CircuitState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_one_is_met_when_all_fail_and_not_before() {
    let window = Window::calls(4, 4).unwrap();
    let rig = Rig::new(CircuitBreakerPolicy::new().window(window).failure_rate(Rate::ONE));

    rig.all_admitted([200, 500, 500, 500]).await;
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
    rig.all_admitted([500]).await;

    assert_eq!(rig.circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn failures_out_of_a_window_of_time_are_forgotten() {
    let window = Window::time(seconds(10), 4).unwrap();
    let rig = Rig::new(CircuitBreakerPolicy::new().window(window));

    rig.all_admitted([500, 500, 500]).await;
    advance(seconds(10)).await;
    rig.all_admitted([500, 500, 500]).await;

    assert_eq!(rig.circuit.state(), CircuitState::Closed);
    assert_eq!(rig.circuit.snapshot().calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_success_between_failures_starts_the_row_anew() {
    let rig = Rig::new(policy());

    rig.all_admitted([500, 200, 500]).await;
    assert_eq!(rig.circuit.snapshot().consecutive_failures(), 1);
    assert_eq!(rig.circuit.state(), CircuitState::Closed);

    rig.all_admitted([500]).await;
    assert_eq!(rig.circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn calls_that_succeed_slowly_open_it() {
    let slow = SlowCalls::new(seconds(2), Rate::percent(50)).unwrap();
    let window = Window::calls(4, 4).unwrap();
    let rig = Rig::new(CircuitBreakerPolicy::new().window(window).slow_calls(slow));
    let mut transitions = rig.circuit.subscribe();

    for after in [0, 1, 2, 2] {
        rig.call(200, seconds(after)).await;
    }

    let expected = [(CircuitState::Closed, CircuitState::Open, Cause::SlowCalls)];
    assert_eq!(seen(&mut transitions), expected);
    assert!((rig.circuit.snapshot().slow_rate() - 0.5).abs() < 1e-9);
    assert_eq!(rig.circuit.snapshot().failed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_has_failed() {
    let slow = SlowCalls::new(seconds(2), Rate::ONE).unwrap();
    let rig = Rig::new(policy().slow_calls(slow));
    rig.half_open().await;

    rig.call(200, seconds(2)).await;

    assert_eq!(rig.circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn no_more_probes_are_let_through_at_a_time_than_allowed() {
    let rig = Rig::new(policy().half_open(probes(2, 2)));
    rig.half_open().await;
    let first = tokio::spawn(rig.call(200, seconds(1)));
    let second = tokio::spawn(rig.call(200, seconds(1)));
    tokio::task::yield_now().await;

    assert!(!rig.circuit.admits() && !rig.admits(200).await);
    assert_eq!(rig.circuit.snapshot().probes(), 2);

    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_time_open_doubles_up_to_the_longest_and_starts_anew_once_it_has_closed() {
    let rig = Rig::new(policy());
    rig.open().await;

    for open in [10, 20, 40, 40] {
        advance(seconds(open) - Duration::from_millis(1)).await;
        assert!(!rig.admits(500).await);
        advance(Duration::from_millis(1)).await;
        rig.all_admitted([500]).await;
        assert_eq!(rig.circuit.state(), CircuitState::Open);
    }

    advance(seconds(40)).await;
    rig.all_admitted([200, 200]).await;
    rig.open().await;
    assert_eq!(rig.circuit.snapshot().left(), Some(seconds(10)));
}

#[tokio::test(start_paused = true)]
async fn jitter_only_adds_and_not_always_the_same() {
    let time = open_time(100, 100).jitter(Rate::percent(50));
    let mut left = Vec::new();
    for _ in 0..20 {
        let rig = Rig::new(policy().open_time(time.clone()));
        rig.open().await;
        left.push(rig.circuit.snapshot().left().unwrap());
    }

    assert!(left.iter().all(|left| (seconds(100)..=seconds(150)).contains(left)));
    assert!(left.iter().any(|other| *other != left[0]));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_opens_it_again_at_the_deadline() {
    let rig = Rig::new(policy());
    rig.half_open().await;
    let hung = tokio::spawn(rig.call(200, seconds(3600)));
    tokio::task::yield_now().await;
    let mut transitions = rig.circuit.subscribe();

    advance(Duration::from_millis(4999)).await;
    assert_eq!(rig.circuit.state(), CircuitState::HalfOpen);
    advance(Duration::from_millis(1)).await;

    // Merely looking is enough: who skips what admits nobody would never call.
    assert!(!rig.circuit.admits());
    let expected = [(CircuitState::HalfOpen, CircuitState::Open, Cause::ProbeOverdue)];
    assert_eq!(seen(&mut transitions), expected);
    assert_eq!(rig.circuit.snapshot().left(), Some(seconds(20)));

    advance(seconds(20)).await;
    rig.all_admitted([200, 200]).await;
    hung.abort();
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_that_nobody_calls_is_not_opened_for_it() {
    let rig = Rig::new(policy());
    rig.half_open().await;
    rig.all_admitted([200]).await;

    advance(seconds(3600)).await;

    assert_eq!(rig.circuit.state(), CircuitState::HalfOpen);
    rig.all_admitted([200]).await;
    assert_eq!(rig.circuit.state(), CircuitState::HalfOpen, "what was long ago is forgotten");
    rig.all_admitted([200]).await;
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn probes_close_it_at_whatever_pace_the_window_is_shorter_than() {
    let window = Window::time(Duration::from_millis(50), 1).unwrap();
    let rig = Rig::new(policy().window(window).half_open(probes(3, 3)));
    rig.all_admitted([500]).await;
    advance(seconds(10)).await;

    for _ in 0..30 {
        advance(Duration::from_millis(60)).await;
        rig.all_admitted([200]).await;
    }

    assert_eq!(rig.circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_success_from_before_it_opened_does_not_close_it() {
    let rig = Rig::new(policy().half_open(probes(1, 1)));
    let early = tokio::spawn(rig.call(200, seconds(12)));
    tokio::task::yield_now().await;
    rig.half_open().await;
    let probe = tokio::spawn(rig.call(500, seconds(4)));

    early.await.unwrap();
    assert_eq!(rig.circuit.state(), CircuitState::HalfOpen);
    assert_eq!(rig.circuit.snapshot().stale(), 1);

    probe.await.unwrap();
    assert_eq!(rig.circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_gives_its_place_back_and_counts_for_nothing() {
    let rig = Rig::new(policy().half_open(probes(1, 1)));
    rig.half_open().await;
    for _ in 0..10 {
        let left = tokio::spawn(rig.call(200, seconds(3600)));
        tokio::task::yield_now().await;
        assert!(!rig.circuit.admits());
        left.abort();
        left.await.unwrap_err();
        assert!(rig.circuit.admits());
    }

    assert_eq!(rig.circuit.state(), CircuitState::HalfOpen);
    rig.all_admitted([200]).await;
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn it_lets_a_growing_share_through_once_it_closes() {
    let ramp_up = RampUp::new(seconds(10), Rate::percent(10)).unwrap();
    let rig = Rig::new(policy().ramp_up(ramp_up));
    rig.half_open().await;
    rig.all_admitted([200, 200]).await;
    assert_eq!(rig.circuit.state(), CircuitState::RampUp);
    assert!(rig.circuit.admits());

    let mut admitted = Vec::new();
    for _ in 0..3 {
        let mut count = 0;
        for _ in 0..1000 {
            count += u32::from(rig.admits(200).await);
        }
        admitted.push(count);
        advance(seconds(5)).await;
    }

    // 10 %, 55 %, all; a hundred is more than six standard deviations.
    assert!(admitted[0].abs_diff(100) < 100 && admitted[1].abs_diff(550) < 100, "{admitted:?}");
    assert_eq!(admitted[2], 1000);
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn to_fail_while_it_ramps_up_opens_it_for_twice_as_long() {
    let ramp_up = RampUp::new(seconds(10), Rate::ONE).unwrap();
    let rig = Rig::new(policy().ramp_up(ramp_up));
    rig.half_open().await;
    rig.all_admitted([200, 200]).await;

    rig.all_admitted([500, 500]).await;

    assert_eq!(rig.circuit.snapshot().left(), Some(seconds(20)));
    assert_eq!(rig.circuit.snapshot().trips(), 2);
}

/// How long a circuit is open that a `503` with this `Retry-After` opens.
async fn open_after(retry_after: &'static str, time: OpenTime) -> Option<Duration> {
    let policy = policy().consecutive_failures(NonZeroU32::MIN).open_time(time);
    let layer = CircuitBreakerLayer::new("test", policy);
    let service = service_fn(|_: Request<()>| async {
        let response = Response::builder().status(503).header(RETRY_AFTER, retry_after);
        Ok::<_, Infallible>(response.body(NoBody::new()).unwrap())
    });
    layer.layer(service).oneshot(Request::new(())).await.unwrap();
    layer.handle().snapshot().left()
}

#[tokio::test(start_paused = true)]
async fn it_stays_open_as_long_as_it_is_told_within_bounds_if_it_is_to_listen() {
    let listens = open_time(10, 10).retry_after_up_to(seconds(60));

    assert_eq!(open_after("30", open_time(10, 10)).await, Some(seconds(10)));
    assert_eq!(open_after("30", listens.clone()).await, Some(seconds(30)));
    assert_eq!(open_after("3600", listens.clone()).await, Some(seconds(60)));
    assert_eq!(open_after("1", listens.clone()).await, Some(seconds(10)));
    assert_eq!(open_after("soon", listens).await, Some(seconds(10)));
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_forced_stays_so_until_it_is_reset() {
    let rig = Rig::new(policy());
    rig.circuit.force_open();
    advance(seconds(3600)).await;
    assert!(!rig.circuit.admits() && !rig.admits(200).await);
    assert_eq!(rig.circuit.state(), CircuitState::ForcedOpen);

    rig.circuit.force_closed();
    rig.all_admitted((0..100).map(|_| 500)).await;
    assert_eq!(rig.circuit.state(), CircuitState::ForcedClosed);
    assert_eq!(rig.circuit.snapshot().failed(), 100);

    rig.circuit.disable();
    rig.all_admitted((0..100).map(|_| 500)).await;
    assert_eq!(rig.circuit.state(), CircuitState::Disabled);
    assert_eq!(rig.circuit.snapshot().calls(), 0);

    rig.circuit.reset();
    assert_eq!(rig.circuit.state(), CircuitState::Closed);
    rig.open().await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_what_was_counted() {
    let rig = Rig::new(policy());
    rig.all_admitted([500]).await;

    rig.circuit.reset();
    assert_eq!(rig.circuit.snapshot().calls(), 0);
    rig.all_admitted([500]).await;

    assert_eq!(rig.circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn with_metrics_only_it_tells_once_for_as_long_as_it_would_be_open() {
    let rig = Rig::new(policy().mode(Mode::MetricsOnly));
    let mut transitions = rig.circuit.subscribe();
    let state = CircuitState::MetricsOnly;

    rig.all_admitted((0..100).map(|_| 500)).await;
    assert_eq!(seen(&mut transitions), [(state, state, Cause::ConsecutiveFailures)]);
    advance(seconds(10)).await;
    rig.all_admitted([500]).await;

    assert_eq!(seen(&mut transitions), [(state, state, Cause::ConsecutiveFailures)]);
    rig.circuit.reset();
    assert_eq!(rig.circuit.state(), CircuitState::MetricsOnly);
}

#[tokio::test]
async fn a_mode_is_what_it_starts_with() {
    let modes = [
        (Mode::Automatic, CircuitState::Closed),
        (Mode::MetricsOnly, CircuitState::MetricsOnly),
        (Mode::Disabled, CircuitState::Disabled),
        (Mode::ForcedOpen, CircuitState::ForcedOpen),
        (Mode::ForcedClosed, CircuitState::ForcedClosed),
    ];
    for (mode, state) in modes {
        assert_eq!(Rig::new(policy().mode(mode)).circuit.state(), state);
    }
}

// A callback that steers the circuit must not deadlock: there is none, and a subscriber may.
#[tokio::test(start_paused = true)]
async fn a_subscriber_may_steer_the_circuit() {
    let rig = Rig::new(policy());
    let (circuit, mut transitions) = (rig.circuit.clone(), rig.circuit.subscribe());
    let steered = tokio::spawn(async move {
        transitions.recv().await.unwrap();
        circuit.force_closed();
    });

    rig.all_admitted([500, 500]).await;
    steered.await.unwrap();

    assert_eq!(rig.circuit.state(), CircuitState::ForcedClosed);
}

#[tokio::test(start_paused = true)]
async fn what_is_measured_to_the_last_byte_is_recorded_there() {
    let slow = SlowCalls::new(seconds(2), Rate::ONE).unwrap().until(Until::LastByte);
    let rig = Rig::new(policy().slow_calls(slow));
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(http_body_util::Full::new(&b"words"[..])))
    });

    let response = rig.layer.layer(service).oneshot(Request::new(())).await.unwrap();
    assert_eq!(rig.circuit.snapshot().calls(), 0);
    advance(seconds(2)).await;
    http_body_util::BodyExt::collect(response.into_body()).await.unwrap();

    assert_eq!((rig.circuit.snapshot().calls(), rig.circuit.snapshot().slow()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_says_after_how_long_a_call_may_be_let_through() {
    let rig = Rig::new(policy());
    assert_eq!(rig.circuit.admits_in(), Some(Duration::ZERO));

    rig.open().await;
    assert_eq!(rig.circuit.admits_in(), Some(seconds(10)));
    advance(seconds(3)).await;
    assert_eq!(rig.circuit.admits_in(), Some(seconds(7)));
    advance(seconds(7)).await;
    assert_eq!(rig.circuit.admits_in(), Some(Duration::ZERO));

    rig.circuit.force_open();
    assert_eq!(rig.circuit.admits_in(), None);
}
