//! The decision: who is let through, and what follows from what came of it. Time and chance are asked of a [`World`].

use std::time::Duration;

use crate::calls::{Call, Calls, Totals};
use crate::standing::{Standing, Until};
use crate::sync::{AtomicU64, Ordering};
use crate::transition::Change;
use crate::{Cause, CircuitBreakerPolicy, CircuitState, Outcome, RampUp};

/// What a circuit does not know by itself, and whom it tells.
pub(crate) trait World {
    /// Milliseconds since some moment; it never goes back.
    fn now(&self) -> u64;
    /// Random bits.
    fn random(&self) -> u64;
    /// It has changed.
    fn changed(&self, change: Change);
    /// It has room for a probe again.
    fn freed(&self);
}

pub(crate) struct Circuit {
    standing: AtomicU64,
    until: AtomicU64,
    calls: Calls,
    policy: CircuitBreakerPolicy,
}

/// Says under which generation a call was let through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a probe has to be recorded"]
pub(crate) struct Ticket {
    generation: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Counted,
    Probe,
    Uncounted,
}

/// Says that a call was not let through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Shut {
    /// After how many milliseconds it is worth trying again, if that is known.
    pub(crate) wait: Option<u64>,
    /// After how many milliseconds something happens even if nobody calls, if it does.
    pub(crate) wake: Option<u64>,
}

/// What became of a result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recorded {
    Counted,
    Stale,
    Uncounted,
}

impl Circuit {
    pub(crate) fn new(policy: CircuitBreakerPolicy) -> Self {
        let standing = Standing::new(policy.mode.state());
        Self {
            standing: AtomicU64::new(standing.word()),
            until: AtomicU64::new(0),
            calls: Calls::new(&policy.window.span),
            policy,
        }
    }

    pub(crate) const fn policy(&self) -> &CircuitBreakerPolicy {
        &self.policy
    }

    pub(crate) fn standing(&self) -> Standing {
        // Acquired with what was done before it was changed to this.
        Standing::from_word(self.standing.load(Ordering::Acquire))
    }

    pub(crate) fn totals(&self, now: u64) -> Totals {
        self.calls.totals(now)
    }

    pub(crate) fn failures_in_a_row(&self) -> u32 {
        self.calls.failures_in_a_row()
    }

    /// Lets a call through, or not.
    #[inline]
    pub(crate) fn admit(&self, world: &impl World) -> Result<Ticket, Shut> {
        let standing = self.standing();
        if standing.state == CircuitState::Closed {
            return Ok(Ticket { generation: standing.generation, kind: Kind::Counted });
        }
        self.admit_unless_shut(world)
    }

    #[cold]
    fn admit_unless_shut(&self, world: &impl World) -> Result<Ticket, Shut> {
        loop {
            let (standing, left) = self.settle(world);
            let generation = standing.generation;
            let (next, cause) = match standing.state {
                CircuitState::Closed | CircuitState::ForcedClosed | CircuitState::MetricsOnly => {
                    return Ok(Ticket { generation, kind: Kind::Counted });
                }
                CircuitState::Disabled => return Ok(Ticket { generation, kind: Kind::Uncounted }),
                CircuitState::ForcedOpen => return Err(Shut { wait: None, wake: None }),
                CircuitState::RampUp => {
                    return match self.ramp(left, world.random()) {
                        0 => Ok(Ticket { generation, kind: Kind::Counted }),
                        wait => Err(Shut { wait: Some(wait), wake: Some(wait) }),
                    };
                }
                // Time is up, or nobody has probed all the while.
                CircuitState::Open | CircuitState::HalfOpen if left == Some(0) => {
                    (standing.half_opened(), Cause::Elapsed)
                }
                CircuitState::Open => return Err(Shut { wait: left.or(Some(0)), wake: left }),
                CircuitState::HalfOpen => {
                    if standing.probes >= self.policy.half_open.concurrent.get() {
                        return Err(Shut { wait: Some(0), wake: left });
                    }
                    let probes = standing.probes + 1;
                    if self.exchange(standing, Standing { probes, ..standing }) {
                        return Ok(Ticket { generation, kind: Kind::Probe });
                    }
                    continue;
                }
            };
            if self.change(standing, next, cause, None, world) {
                return Ok(Ticket { generation: next.generation, kind: Kind::Probe });
            }
        }
    }

    /// Whether a call would be let through now, chance aside. Takes no probe's place.
    pub(crate) fn admits(&self, world: &impl World) -> bool {
        let (standing, left) = self.settle(world);
        match standing.state {
            CircuitState::Open => left == Some(0),
            CircuitState::HalfOpen => {
                left == Some(0) || standing.probes < self.policy.half_open.concurrent.get()
            }
            CircuitState::ForcedOpen => false,
            _ => true,
        }
    }

    /// After how many milliseconds a call may be let through, if that is known.
    pub(crate) fn admits_in(&self, world: &impl World) -> Option<u64> {
        let (standing, left) = self.settle(world);
        match standing.state {
            CircuitState::Open => Some(left.unwrap_or(0)),
            CircuitState::ForcedOpen => None,
            _ => Some(0),
        }
    }

    /// Whether a call with this ticket would still count.
    pub(crate) fn is_current(&self, ticket: Ticket) -> bool {
        self.standing().generation == ticket.generation
    }

    /// Counts what came of a call.
    #[inline]
    pub(crate) fn record(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        slow: bool,
        retry_after: Option<Duration>,
        world: &impl World,
    ) -> Recorded {
        match ticket.kind {
            Kind::Uncounted => return Recorded::Uncounted,
            Kind::Probe => return self.record_probe(ticket, outcome, slow, retry_after, world),
            Kind::Counted => {}
        }
        let standing = self.standing();
        if standing.generation != ticket.generation {
            return Recorded::Stale;
        }
        if outcome == Outcome::Neutral {
            return Recorded::Counted;
        }
        let failed = outcome == Outcome::Failure;
        self.calls.record(Call { failed, slow }, || world.now());
        // A success never opens it, so most calls end here.
        if (failed || slow) && standing.state != CircuitState::ForcedClosed {
            self.judge(ticket.generation, retry_after, world);
        }
        Recorded::Counted
    }

    /// Gives a probe the deadline anew: its response has begun.
    pub(crate) fn extend(&self, ticket: Ticket, world: &impl World) {
        if ticket.kind == Kind::Probe {
            let millis = world.now().saturating_add(millis(self.policy.half_open.deadline));
            self.last_until(Until { generation: ticket.generation, millis });
        }
    }

    /// Changes it by hand, and forgets what was counted.
    pub(crate) fn force(&self, state: CircuitState, world: &impl World) {
        loop {
            let standing = self.standing();
            if self.change(standing, standing.forced(state), Cause::Asked, None, world) {
                return;
            }
        }
    }

    /// Does what is due by time alone, and says how long the state has left, if that is known.
    pub(crate) fn settle(&self, world: &impl World) -> (Standing, Option<u64>) {
        loop {
            let standing = self.standing();
            match standing.state {
                CircuitState::Open | CircuitState::HalfOpen | CircuitState::RampUp => {}
                _ => return (standing, None),
            }
            let until = Until::from_word(self.until.load(Ordering::Acquire));
            if until.generation != standing.generation {
                // Who made the change is about to say how long it lasts.
                return (standing, None);
            }
            let left = until.millis.saturating_sub(world.now());
            let (next, cause) = match standing.state {
                CircuitState::HalfOpen if left == 0 && standing.probes > 0 => {
                    (standing.opened(), Cause::ProbeOverdue)
                }
                CircuitState::RampUp if left == 0 => (standing.ramped_up(), Cause::Elapsed),
                _ => return (standing, Some(left)),
            };
            self.change(standing, next, cause, None, world);
        }
    }

    #[cold]
    fn record_probe(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        slow: bool,
        retry_after: Option<Duration>,
        world: &impl World,
    ) -> Recorded {
        loop {
            let standing = self.standing();
            if standing.generation != ticket.generation {
                return Recorded::Stale;
            }
            let probes = standing.probes.saturating_sub(1);
            let successes = standing.successes.saturating_add(1);
            let done = match outcome {
                Outcome::Failure => {
                    let next = standing.opened();
                    self.change(standing, next, Cause::ProbeFailed, retry_after, world)
                }
                Outcome::Success if slow => {
                    self.change(standing, standing.opened(), Cause::ProbeFailed, None, world)
                }
                Outcome::Success if successes >= self.policy.half_open.successes.get() => {
                    let next = match self.policy.ramp_up {
                        Some(_) => standing.next(CircuitState::RampUp),
                        None => standing.forced(CircuitState::Closed),
                    };
                    self.change(standing, next, Cause::ProbesSucceeded, None, world)
                }
                Outcome::Success => {
                    self.release(standing, Standing { probes, successes, ..standing }, world)
                }
                Outcome::Neutral => self.release(standing, Standing { probes, ..standing }, world),
            };
            if done {
                return Recorded::Counted;
            }
        }
    }

    /// Opens it, if it should be.
    #[cold]
    fn judge(&self, generation: u32, retry_after: Option<Duration>, world: &impl World) {
        if let Some(cause) = self.calls.judge(&self.policy, world.now()) {
            self.trip(generation, cause, retry_after, world);
        }
    }

    /// Opens it, unless it has changed since `generation`.
    fn trip(
        &self,
        generation: u32,
        cause: Cause,
        retry_after: Option<Duration>,
        world: &impl World,
    ) {
        loop {
            let standing = self.standing();
            if standing.generation != generation {
                return;
            }
            if standing.state == CircuitState::MetricsOnly {
                return self.would_trip(standing, cause, world);
            }
            if self.change(standing, standing.opened(), cause, retry_after, world) {
                return;
            }
        }
    }

    /// Tells that it would have opened, once for as long as it would be open.
    fn would_trip(&self, standing: Standing, cause: Cause, world: &impl World) {
        let now = world.now();
        let word = self.until.load(Ordering::Acquire);
        let until = Until::from_word(word);
        if until.generation == standing.generation && now < until.millis {
            return;
        }
        let open = self.policy.open_time.after(1, None, world.random());
        let until =
            Until { generation: standing.generation, millis: now.saturating_add(millis(open)) };
        let told =
            self.until.compare_exchange(word, until.word(), Ordering::AcqRel, Ordering::Relaxed);
        if told.is_ok() {
            world.changed(Change { from: standing.state, to: standing.state, cause });
        }
    }

    fn release(&self, standing: Standing, next: Standing, world: &impl World) -> bool {
        let released = self.exchange(standing, next);
        if released {
            world.freed();
        }
        released
    }

    /// Changes its state and does all that follows from it, unless somebody else was faster.
    fn change(
        &self,
        from: Standing,
        to: Standing,
        cause: Cause,
        retry_after: Option<Duration>,
        world: &impl World,
    ) -> bool {
        if !self.exchange(from, to) {
            return false;
        }
        let lasts = match to.state {
            CircuitState::Open => {
                Some(self.policy.open_time.after(to.trips, retry_after, world.random()))
            }
            CircuitState::HalfOpen => Some(self.policy.half_open.deadline),
            CircuitState::RampUp => self.policy.ramp_up.as_ref().map(RampUp::time),
            _ => None,
        };
        if let Some(lasts) = lasts {
            let millis = world.now().saturating_add(millis(lasts));
            self.last_until(Until { generation: to.generation, millis });
        }
        // Nobody counts while it is open, and those who counted before have had that time to finish.
        if to.state == CircuitState::HalfOpen || cause == Cause::Asked {
            self.calls.clear();
        }
        if from.state != to.state {
            world.changed(Change { from: from.state, to: to.state, cause });
        }
        true
    }

    fn exchange(&self, from: Standing, to: Standing) -> bool {
        let (from, to) = (from.word(), to.word());
        // Released for the next to read it, who then sees whatever was done before.
        self.standing.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Sets how long a state lasts. Who was held up since the change does not overwrite what is said of a later state,
    /// and a state's time gets only longer.
    fn last_until(&self, until: Until) {
        let mut word = self.until.load(Ordering::Relaxed);
        loop {
            let before = Until::from_word(word);
            let longer = before.generation == until.generation && before.millis < until.millis;
            if !longer && !before.is_older_than(until) {
                return;
            }
            let set = self.until.compare_exchange_weak(
                word,
                until.word(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match set {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// How long a call that drew `random` has to wait while it ramps up.
    fn ramp(&self, left: Option<u64>, random: u64) -> u64 {
        let Some(ramp_up) = &self.policy.ramp_up else { return 0 };
        ramp_up.wait(left.unwrap_or_else(|| millis(ramp_up.time())), random)
    }
}

/// Rounded up: nobody waits for less than was said.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
