//! A circuit as one would write it who has all the time and memory in the world, and the proof that ours is the same.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    reason = "its numbers are small, and a test fails by panicking"
)]

use std::cell::{Cell, RefCell};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use proptest::prelude::*;

use crate::calls::Totals;
use crate::circuit::{Circuit, Recorded, Shut, Ticket, World};
use crate::transition::Change;
use crate::window::Span;
use crate::{
    Cause, CircuitBreakerPolicy, CircuitState, HalfOpen, Mode, OpenTime, Outcome, RampUp, Rate,
    SlowCalls, Window,
};

/// Remembers every call for ever.
#[derive(Clone)]
struct Model {
    policy: CircuitBreakerPolicy,
    now: u64,
    random: u64,
    state: CircuitState,
    era: u64,
    ends: u64,
    trips: u32,
    probes: u16,
    successes: u16,
    calls: Vec<(u64, bool, bool)>,
    row: u32,
    changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Visit {
    era: u64,
    probe: bool,
    counted: bool,
}

impl Model {
    fn new(policy: CircuitBreakerPolicy) -> Self {
        Self {
            state: policy.mode.state(),
            policy,
            now: 0,
            random: 0,
            era: 0,
            ends: 0,
            trips: 0,
            probes: 0,
            successes: 0,
            calls: Vec::new(),
            row: 0,
            changes: Vec::new(),
        }
    }

    fn enter(&mut self, state: CircuitState, cause: Cause) {
        if self.state != state {
            self.changes.push(Change { from: self.state, to: state, cause });
        }
        (self.state, self.probes, self.successes) = (state, 0, 0);
        self.era += 1;
    }

    fn open(&mut self, cause: Cause, retry_after: Option<Duration>) {
        self.trips += 1;
        self.enter(CircuitState::Open, cause);
        self.ends = self.now + self.open_for(self.trips, retry_after);
    }

    fn open_for(&self, trips: u32, retry_after: Option<Duration>) -> u64 {
        let time = &self.policy.open_time;
        let told = retry_after.unwrap_or_default().min(time.retry_after_up_to.unwrap_or_default());
        let mut open = time.first;
        for _ in 1..trips {
            open = (open * 2).min(time.longest);
        }
        open.max(told).as_millis() as u64
    }

    fn forget(&mut self) {
        self.calls.clear();
        self.row = 0;
    }

    fn half_open(&mut self) {
        self.enter(CircuitState::HalfOpen, Cause::Elapsed);
        self.forget();
        self.probes = 1;
        self.ends = self.now + self.policy.half_open.deadline.as_millis() as u64;
    }

    fn settle(&mut self) {
        let over = self.now >= self.ends;
        match self.state {
            CircuitState::HalfOpen if over && self.probes > 0 => {
                self.open(Cause::ProbeOverdue, None);
            }
            CircuitState::RampUp if over => {
                let era = self.era;
                self.enter(CircuitState::Closed, Cause::Elapsed);
                (self.era, self.trips) = (era, 0);
            }
            _ => {}
        }
    }

    fn admit(&mut self) -> Option<Visit> {
        self.settle();
        let counted = Visit { era: self.era, probe: false, counted: true };
        match self.state {
            CircuitState::Closed | CircuitState::ForcedClosed | CircuitState::MetricsOnly => {
                Some(counted)
            }
            CircuitState::Disabled => Some(Visit { counted: false, ..counted }),
            CircuitState::RampUp => {
                let ramp_up = self.policy.ramp_up.as_ref().unwrap();
                (ramp_up.wait(self.ends - self.now, self.random) == 0).then_some(counted)
            }
            CircuitState::Open | CircuitState::HalfOpen if self.now >= self.ends => {
                self.half_open();
                Some(Visit { era: self.era, probe: true, counted: true })
            }
            CircuitState::Open | CircuitState::ForcedOpen => None,
            CircuitState::HalfOpen => {
                let room = self.probes < self.policy.half_open.concurrent.get();
                self.probes += u16::from(room);
                room.then_some(Visit { probe: true, ..counted })
            }
        }
    }

    fn finish(
        &mut self,
        visit: Visit,
        outcome: Outcome,
        slow: bool,
        retry_after: Option<Duration>,
    ) -> Recorded {
        if !visit.counted {
            return Recorded::Uncounted;
        }
        if visit.era != self.era {
            return Recorded::Stale;
        }
        if visit.probe {
            self.finish_probe(outcome, slow, retry_after);
        } else if outcome != Outcome::Neutral {
            self.count(outcome == Outcome::Failure, slow, retry_after);
        }
        Recorded::Counted
    }

    fn finish_probe(&mut self, outcome: Outcome, slow: bool, retry_after: Option<Duration>) {
        self.probes -= 1;
        match outcome {
            Outcome::Neutral => {}
            Outcome::Failure => self.open(Cause::ProbeFailed, retry_after),
            Outcome::Success if slow => self.open(Cause::ProbeFailed, None),
            Outcome::Success => {
                self.successes += 1;
                if self.successes < self.policy.half_open.successes.get() {
                    return;
                }
                if let Some(ramp_up) = &self.policy.ramp_up {
                    self.ends = self.now + ramp_up.time().as_millis() as u64;
                    self.enter(CircuitState::RampUp, Cause::ProbesSucceeded);
                } else {
                    self.trips = 0;
                    self.enter(CircuitState::Closed, Cause::ProbesSucceeded);
                }
            }
        }
    }

    fn count(&mut self, failed: bool, slow: bool, retry_after: Option<Duration>) {
        self.calls.push((self.now, failed, slow));
        self.row = if failed { self.row + 1 } else { 0 };
        if self.state == CircuitState::ForcedClosed || !(failed || slow) {
            return;
        }
        let Some(cause) = self.judge() else { return };
        if self.state != CircuitState::MetricsOnly {
            self.open(cause, retry_after);
        } else if self.now >= self.ends {
            self.ends = self.now + self.open_for(1, None);
            self.changes.push(Change { from: self.state, to: self.state, cause });
        }
    }

    fn totals(&self) -> Totals {
        let (skip, since) = match self.policy.window.span {
            Span::Calls(calls) => (self.calls.len().saturating_sub(calls as usize), 0),
            Span::Time(time) => {
                let tenth = time.as_millis().div_ceil(10) as u64;
                (0, (self.now / tenth + 1).saturating_sub(10) * tenth)
            }
        };
        let within: Vec<_> = self.calls.iter().skip(skip).filter(|(at, ..)| *at >= since).collect();
        Totals {
            calls: within.len() as u32,
            failed: within.iter().filter(|(_, failed, _)| *failed).count() as u32,
            slow: within.iter().filter(|(.., slow)| *slow).count() as u32,
        }
    }

    fn judge(&self) -> Option<Cause> {
        let Totals { calls, failed, slow } = self.totals();
        let enough = calls >= self.policy.window.minimum_calls;
        let meets = |part: u32, rate: Rate| {
            enough
                && u64::from(part) * 1_000_000
                    >= (rate.share() * 1e6).round() as u64 * u64::from(calls)
        };
        if self.policy.consecutive_failures.is_some_and(|most| self.row >= most.get()) {
            Some(Cause::ConsecutiveFailures)
        } else if meets(failed, self.policy.failure_rate) {
            Some(Cause::FailureRate)
        } else if self.policy.slow_calls.as_ref().is_some_and(|calls| meets(slow, calls.rate)) {
            Some(Cause::SlowCalls)
        } else {
            None
        }
    }

    fn force(&mut self, state: CircuitState) {
        self.enter(state, Cause::Asked);
        self.forget();
        (self.trips, self.ends) = (0, 0);
    }
}

#[derive(Default)]
struct Script {
    now: Cell<u64>,
    random: Cell<u64>,
    changes: RefCell<Vec<Change>>,
}

impl World for Script {
    fn now(&self) -> u64 {
        self.now.get()
    }

    fn random(&self) -> u64 {
        self.random.get()
    }

    fn changed(&self, change: Change) {
        self.changes.borrow_mut().push(change);
    }

    fn freed(&self) {}
}

#[derive(Clone, Debug)]
enum Step {
    Admit { random: u64 },
    Finish { which: prop::sample::Index, outcome: Outcome, slow: bool, retry_after: Option<u64> },
    Call { outcome: Outcome, slow: bool },
    Wait(u64),
    Look,
    Force(CircuitState),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![3 => Just(Outcome::Success), 3 => Just(Outcome::Failure), 1 => Just(Outcome::Neutral)]
}

fn step() -> impl Strategy<Value = Step> {
    let forced = prop_oneof![
        Just(CircuitState::Closed),
        Just(CircuitState::ForcedOpen),
        Just(CircuitState::ForcedClosed),
        Just(CircuitState::Disabled),
        Just(CircuitState::MetricsOnly)
    ];
    prop_oneof![
        8 => any::<u64>().prop_map(|random| Step::Admit { random }),
        8 => (any::<prop::sample::Index>(), outcome(), prop::bool::weighted(0.2), prop::option::weighted(0.2, 0..100_u64))
            .prop_map(|(which, outcome, slow, retry_after)| Step::Finish { which, outcome, slow, retry_after }),
        8 => (outcome(), prop::bool::weighted(0.2)).prop_map(|(outcome, slow)| Step::Call { outcome, slow }),
        6 => (0..60_u64).prop_map(Step::Wait),
        2 => Just(Step::Look),
        1 => forced.prop_map(Step::Force),
    ]
}

fn policy() -> impl Strategy<Value = CircuitBreakerPolicy> {
    let millis = Duration::from_millis;
    let window = prop_oneof![
        (1..40_u32, 1..40_u32).prop_map(|(calls, minimum)| Window::calls(
            calls,
            minimum.min(calls)
        )
        .unwrap()),
        (10..200_u64, 1..10_u32).prop_map(move |(time, minimum)| Window::time(
            millis(time),
            minimum
        )
        .unwrap()),
    ];
    let rate = || (1..=100_u8).prop_map(Rate::percent);
    let slow =
        prop::option::of(rate().prop_map(|rate| SlowCalls::new(Duration::MAX, rate).unwrap()));
    let half_open =
        (1..4_u16, 1..4_u16, 1..60_u64).prop_map(move |(concurrent, successes, deadline)| {
            let number = |number| NonZeroU16::new(number).unwrap();
            HalfOpen::new(number(concurrent), number(successes), millis(deadline)).unwrap()
        });
    let open =
        (1..20_u64, 0..60_u64, prop::option::of(0..50_u64)).prop_map(move |(first, more, told)| {
            let time = OpenTime::new(millis(first), millis(first + more)).unwrap().without_jitter();
            match told {
                Some(told) => time.retry_after_up_to(millis(told)),
                None => time,
            }
        });
    let ramp_up = prop::option::of(
        (1..60_u64, rate()).prop_map(move |(time, from)| RampUp::new(millis(time), from).unwrap()),
    );
    let mode = prop_oneof![9 => Just(Mode::Automatic), 1 => Just(Mode::MetricsOnly)];
    let row = prop::option::of((1..6_u32).prop_map(|row| NonZeroU32::new(row).unwrap()));
    (window, rate(), row, slow, half_open, open, ramp_up, mode).prop_map(
        |(
            window,
            failure_rate,
            consecutive_failures,
            slow_calls,
            half_open,
            open_time,
            ramp_up,
            mode,
        )| CircuitBreakerPolicy {
            window,
            failure_rate,
            consecutive_failures,
            slow_calls,
            open_time,
            half_open,
            ramp_up,
            mode,
            ..CircuitBreakerPolicy::new()
        },
    )
}

proptest! {
    #[test]
    fn a_circuit_does_what_the_model_does(policy in policy(), steps in prop::collection::vec(step(), 1..150)) {
        let (world, circuit, mut model) = (Script::default(), Circuit::new(policy.clone()), Model::new(policy));
        let mut under_way: Vec<(Ticket, Visit)> = Vec::new();

        for step in steps {
            let admit = |model: &mut Model| -> Result<Option<(Ticket, Visit)>, TestCaseError> {
                let (ours, theirs): (Result<Ticket, Shut>, _) = (circuit.admit(&world), model.admit());
                prop_assert_eq!(ours.is_ok(), theirs.is_some());
                if let Err(Shut { wake: Some(wake), .. }) = ours {
                    prop_assert!(model.state == CircuitState::RampUp || wake == model.ends - model.now);
                }
                Ok(ours.ok().zip(theirs))
            };
            match step {
                Step::Admit { random } => {
                    world.random.set(random);
                    model.random = random;
                    under_way.extend(admit(&mut model)?);
                }
                Step::Call { outcome, slow } => {
                    if let Some((ticket, visit)) = admit(&mut model)? {
                        let ours = circuit.record(ticket, outcome, slow, None, &world);
                        prop_assert_eq!(ours, model.finish(visit, outcome, slow, None));
                    }
                }
                Step::Finish { which, outcome, slow, retry_after } if !under_way.is_empty() => {
                    let (ticket, visit) = under_way.swap_remove(which.index(under_way.len()));
                    let retry_after = retry_after.map(Duration::from_millis);
                    let ours = circuit.record(ticket, outcome, slow, retry_after, &world);
                    prop_assert_eq!(ours, model.finish(visit, outcome, slow, retry_after));
                }
                Step::Finish { .. } => {}
                Step::Wait(millis) => {
                    model.now += millis;
                    world.now.set(model.now);
                }
                Step::Look => {
                    let admits = circuit.admits(&world);
                    model.settle();
                    let chance = model.state == CircuitState::RampUp;
                    prop_assert_eq!(admits, chance || model.clone().admit().is_some());
                }
                Step::Force(state) => {
                    circuit.force(state, &world);
                    model.force(state);
                }
            }

            let standing = circuit.standing();
            prop_assert_eq!(standing.state, model.state);
            prop_assert_eq!((standing.probes, standing.successes), (model.probes, model.successes));
            prop_assert_eq!(u32::from(standing.trips), model.trips.min(31));
            prop_assert_eq!(circuit.totals(world.now()), model.totals());
            prop_assert_eq!(circuit.failures_in_a_row(), model.row);
            prop_assert_eq!(&*world.changes.borrow(), &model.changes);
        }
    }

    #[test]
    fn who_waits_while_it_ramps_up_is_let_in_then_and_no_sooner(
        time in 1..100_000_u64,
        from in 1..=100_u8,
        left in 0.0..=1.0,
        random in any::<u64>(),
    ) {
        let ramp_up = RampUp::new(Duration::from_millis(time), Rate::percent(from)).unwrap();
        let left = (time as f64 * left) as u64;

        let wait = ramp_up.wait(left, random);

        prop_assert!(wait <= left);
        prop_assert_eq!(ramp_up.wait(left - wait, random), 0);
        prop_assert!(wait == 0 || ramp_up.wait(left - wait + 1, random) > 0);
    }

    #[test]
    fn as_many_are_let_in_while_it_ramps_up_as_the_share_says(from in 1..=100_u8, left in 0..=100_u64) {
        let ramp_up = RampUp::new(Duration::from_millis(100), Rate::percent(from)).unwrap();
        let draws = (0..10_000_u64).map(|draw| draw * (u64::MAX / 10_000));

        let admitted = draws.filter(|random| ramp_up.wait(left, *random) == 0).count() as f64;

        let share = 1.0 - (1.0 - f64::from(from) / 100.0) * left as f64 / 100.0;
        prop_assert!((admitted / 10_000.0 - share).abs() < 0.001, "{} {share}", admitted);
    }

    #[test]
    fn the_time_open_doubles_within_its_bounds_and_jitter_only_adds(
        first in 1..1000_u64,
        more in 0..100_000_u64,
        trips in 1..=31_u8,
        percent in 1..=100_u8,
        random in any::<u64>(),
    ) {
        let (first, longest) = (Duration::from_millis(first), Duration::from_millis(first + more));
        let time = OpenTime::new(first, longest).unwrap().jitter(Rate::percent(percent));
        let plain = time.clone().without_jitter();

        let (base, actual) = (plain.after(trips, None, random), time.after(trips, None, random));

        prop_assert_eq!(base, first.saturating_mul(1 << (trips - 1).min(30)).min(longest));
        prop_assert!(actual >= base && actual <= base + base * u32::from(percent) / 100);
        prop_assert_eq!(time.after(trips, None, 0), base);
    }
}
