//! What may happen at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::thread;

use crate::calls::{Call, Totals};
use crate::circuit::{Circuit, Recorded, Ticket, World};
use crate::count_window::CountWindow;
use crate::time_window::TimeWindow;
use crate::transition::Change;
use crate::{CircuitBreakerPolicy, CircuitState, HalfOpen, OpenTime, Outcome, Rate, Window};

/// A world in which it is always the same time.
struct At {
    now: u64,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

fn at(now: u64) -> Arc<At> {
    Arc::new(At { now, opened: AtomicUsize::new(0), closed: AtomicUsize::new(0) })
}

impl World for Arc<At> {
    fn now(&self) -> u64 {
        self.now
    }

    fn random(&self) -> u64 {
        0
    }

    fn changed(&self, change: Change) {
        match change.to {
            CircuitState::Open => self.opened.fetch_add(1, Ordering::Relaxed),
            CircuitState::Closed => self.closed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn freed(&self) {}
}

/// Opens when so many calls have failed, and closes after one probe.
fn circuit(calls: u32) -> Arc<Circuit> {
    let open = OpenTime::new(Duration::from_millis(10), Duration::from_millis(10)).unwrap();
    let one = std::num::NonZeroU16::MIN;
    let half_open = HalfOpen::new(one, one, Duration::from_millis(10)).unwrap();
    let policy = CircuitBreakerPolicy::new()
        .window(Window::calls(calls, calls).unwrap())
        .failure_rate(Rate::percent(100))
        .open_time(open.without_jitter())
        .half_open(half_open);
    Arc::new(Circuit::new(policy))
}

fn fail(circuit: &Circuit, world: &Arc<At>) -> Option<Recorded> {
    let ticket = circuit.admit(world).ok()?;
    Some(circuit.record(ticket, Outcome::Failure, false, None, world))
}

/// Opened at time 0.
fn open() -> Arc<Circuit> {
    let (circuit, world) = (circuit(1), at(0));
    fail(&circuit, &world);
    assert_eq!(circuit.standing().state, CircuitState::Open);
    circuit
}

#[test]
fn two_failures_at_once_open_it_exactly_once() {
    loom::model(|| {
        let (circuit, world) = (circuit(2), at(0));
        let other = thread::spawn({
            let (circuit, world) = (circuit.clone(), world.clone());
            move || fail(&circuit, &world)
        });

        fail(&circuit, &world);
        other.join().unwrap();

        assert_eq!(circuit.standing().state, CircuitState::Open);
        assert_eq!(world.opened.load(Ordering::Relaxed), 1);
        assert!(!circuit.admits(&at(9)) && circuit.admits(&at(10)));
    });
}

#[test]
fn of_two_who_come_when_time_is_up_one_is_the_probe() {
    loom::model(|| {
        let (circuit, world) = (open(), at(10));
        let other = thread::spawn({
            let (circuit, world) = (circuit.clone(), world.clone());
            move || circuit.admit(&world).is_ok()
        });

        let mine = circuit.admit(&world).is_ok();

        assert!(mine != other.join().unwrap());
        assert_eq!(circuit.standing().probes, 1);
    });
}

#[test]
fn a_place_that_is_given_back_is_there_for_the_next_and_only_once() {
    loom::model(|| {
        let (circuit, world) = (open(), at(10));
        let probe = circuit.admit(&world).unwrap();
        let other = thread::spawn({
            let (circuit, world) = (circuit.clone(), world.clone());
            move || circuit.record(probe, Outcome::Neutral, false, None, &world)
        });

        let early = circuit.admit(&world).is_ok();
        assert_eq!(other.join().unwrap(), Recorded::Counted);

        assert_eq!(circuit.standing().probes, u16::from(early));
        assert_eq!(circuit.admit(&world).is_ok(), !early);
    });
}

#[test]
fn a_result_of_before_changes_nothing_whenever_it_comes() {
    loom::model(|| {
        let (circuit, world) = (circuit(1), at(0));
        let late: Ticket = circuit.admit(&world).unwrap();
        fail(&circuit, &world);
        let (then, other) = (at(10), circuit.clone());
        let straggler = thread::spawn({
            let then = then.clone();
            move || other.record(late, Outcome::Success, false, None, &then)
        });

        let probe = circuit.admit(&then).unwrap();
        assert_eq!(straggler.join().unwrap(), Recorded::Stale);

        assert_eq!(circuit.standing().state, CircuitState::HalfOpen);
        circuit.record(probe, Outcome::Failure, false, None, &then);
        assert_eq!(circuit.standing().state, CircuitState::Open);
    });
}

#[test]
fn a_state_set_by_hand_stands_whatever_a_probe_finds_out() {
    loom::model(|| {
        let (circuit, world) = (open(), at(10));
        let probe = circuit.admit(&world).unwrap();
        let other = thread::spawn({
            let (circuit, world) = (circuit.clone(), world.clone());
            move || circuit.record(probe, Outcome::Success, false, None, &world)
        });

        circuit.force(CircuitState::ForcedOpen, &world);
        other.join().unwrap();

        assert_eq!(circuit.standing().state, CircuitState::ForcedOpen);
        assert!(circuit.admit(&world).is_err());
    });
}

#[test]
fn who_was_held_up_does_not_keep_a_later_state_from_ending() {
    loom::model(|| {
        let (circuit, world) = (circuit(1), at(0));
        let other = thread::spawn({
            let (circuit, world) = (circuit.clone(), world.clone());
            move || circuit.force(CircuitState::Open, &world)
        });

        circuit.force(CircuitState::Open, &world);
        other.join().unwrap();

        assert!(!circuit.admits(&at(9)) && circuit.admits(&at(10)));
    });
}

#[test]
fn a_probe_that_succeeds_at_the_deadline_closes_it_or_is_late() {
    loom::model(|| {
        let circuit = open();
        let probe = circuit.admit(&at(10)).unwrap();
        let world = at(20);
        let other = thread::spawn({
            let (circuit, world) = (circuit.clone(), world.clone());
            move || circuit.record(probe, Outcome::Success, false, None, &world)
        });

        let next = circuit.admit(&world);
        let recorded = other.join().unwrap();

        let state = circuit.standing().state;
        assert_eq!(state == CircuitState::Closed, recorded == Recorded::Counted);
        assert_eq!(next.is_ok(), state == CircuitState::Closed);
    });
}

#[test]
fn the_sums_of_a_window_agree_with_its_calls_once_nobody_writes() {
    loom::model(|| {
        let window = Arc::new(CountWindow::new(2));
        window.record(Call { failed: true, slow: true });
        let other = thread::spawn({
            let window = window.clone();
            move || window.record(Call { failed: true, slow: false })
        });

        window.record(Call { failed: false, slow: true });
        window.record(Call { failed: false, slow: false });
        other.join().unwrap();

        // Whatever the order was, two more leave nothing of it.
        window.record(Call { failed: true, slow: false });
        window.record(Call { failed: false, slow: true });
        assert_eq!(window.totals(), Totals { calls: 2, failed: 1, slow: 1 });
    });
}

#[test]
fn a_window_that_is_cleared_meanwhile_keeps_no_failure_it_has_no_call_for() {
    loom::model(|| {
        let window = Arc::new(CountWindow::new(2));
        window.record(Call { failed: true, slow: false });
        let other = thread::spawn({
            let window = window.clone();
            move || window.record(Call { failed: true, slow: false })
        });

        window.clear();
        other.join().unwrap();
        window.record(Call { failed: false, slow: false });
        window.record(Call { failed: false, slow: false });

        assert_eq!(window.totals(), Totals { calls: 2, failed: 0, slow: 0 });
    });
}

#[test]
fn a_bucket_that_two_begin_at_once_has_both() {
    loom::model(|| {
        let window = Arc::new(TimeWindow::new(Duration::from_millis(10)));
        window.record(Call { failed: true, slow: false }, 0);
        let other = thread::spawn({
            let window = window.clone();
            move || window.record(Call { failed: true, slow: false }, 10)
        });

        window.record(Call { failed: false, slow: true }, 10);
        other.join().unwrap();

        assert_eq!(window.totals(10), Totals { calls: 2, failed: 1, slow: 1 });
    });
}
