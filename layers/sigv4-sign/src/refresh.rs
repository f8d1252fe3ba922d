//! Decides when a provider is asked for credentials. It knows no clock, no dice and no credentials: they are told.

use std::time::Duration;

use tokio::time::Instant;

use crate::RefreshPolicy;

/// What is known of the asking.
#[derive(Debug)]
pub(crate) struct Refresh {
    policy: RefreshPolicy,
    in_flight: bool,
    failures: u32,
    /// When it is due; at once if `None`.
    due: Option<Instant>,
}

/// Why credentials are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    /// It may be time.
    Due,
    /// An operator wants it.
    Now,
    /// There are none to sign with.
    Credentials,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Advice {
    /// Ask now, and then call `landed` or `failed`.
    Ask,
    /// Somebody is asking: wait.
    Wait,
    /// It is not time.
    Settled,
    /// There are none, and asking makes no sense before this has passed.
    Unavailable(Duration),
}

impl Refresh {
    pub(crate) const fn new(policy: RefreshPolicy) -> Self {
        Self { policy, in_flight: false, failures: 0, due: None }
    }

    pub(crate) const fn policy(&self) -> &RefreshPolicy {
        &self.policy
    }

    pub(crate) const fn failing(&self) -> bool {
        self.failures > 0
    }

    /// When it is due. While somebody is at it, that is when they must have come to an end.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        if self.in_flight {
            after(now, self.policy.time_limit.saturating_add(SECOND))
        } else {
            self.due.unwrap_or(now)
        }
    }

    pub(crate) fn advise(&mut self, need: Need, now: Instant) -> Advice {
        if self.in_flight {
            return Advice::Wait;
        }
        let wait = self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
        let ask = match need {
            Need::Now => true,
            // Where nothing has failed, they have expired before their time, or were forgotten.
            Need::Credentials => wait.is_zero() || !self.failing(),
            Need::Due => wait.is_zero(),
        };
        if ask {
            self.in_flight = true;
            return Advice::Ask;
        }
        match need {
            Need::Credentials => Advice::Unavailable(wait),
            Need::Due | Need::Now => Advice::Settled,
        }
    }

    /// Good credentials have come, with so much time left, if it is limited; `random` is in `0.0..1.0`.
    pub(crate) fn landed(&mut self, left: Option<Duration>, now: Instant, random: f64) {
        let random = random.clamp(0.0, 1.0);
        let wait = match left {
            Some(left) => {
                let ahead = self.policy.ahead.min(FOR_EVER).mul_f64(1.0 + random);
                left.saturating_sub(ahead).max(left / 2)
            }
            None => self.policy.interval.min(FOR_EVER).mul_f64(1.0 + 0.1 * random),
        };
        self.in_flight = false;
        self.failures = 0;
        self.due = Some(after(now, wait.max(SECOND)));
    }

    /// No good credentials have come; `random` is in `0.0..1.0`.
    pub(crate) fn failed(&mut self, now: Instant, random: f64) {
        let doubled = 2_u32.saturating_pow(self.failures);
        let policy = &self.policy;
        let backoff = policy.first_backoff.saturating_mul(doubled).min(policy.longest_backoff);
        let backoff = backoff.min(FOR_EVER).mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0));
        self.in_flight = false;
        self.failures = self.failures.saturating_add(1);
        self.due = Some(after(now, backoff));
    }
}

/// Whatever a policy says, no clock is overrun.
fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FOR_EVER)
}

const SECOND: Duration = Duration::from_secs(1);
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Event {
        Pass(u64),
        Need(Need),
        Land { left: Option<u64>, random: f64 },
        Fail { random: f64 },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0..200_000_u64).prop_map(Event::Pass),
            prop_oneof![Just(Need::Due), Just(Need::Credentials), Just(Need::Now)]
                .prop_map(Event::Need),
            (proptest::option::of(0..100_000_u64), 0.0..1.0_f64)
                .prop_map(|(left, random)| Event::Land { left, random }),
            (0.0..1.0_f64).prop_map(|random| Event::Fail { random }),
        ]
    }

    proptest! {
        #[test]
        fn no_course_of_events_breaks_a_promise(events in vec(event(), 0..400)) {
            let policy = RefreshPolicy::new();
            let mut refresh = Refresh::new(policy.clone());
            let mut now = Instant::now();
            let (mut in_flight, mut earliest) = (false, None);
            for event in events {
                match event {
                    Event::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                    Event::Need(need) => {
                        let advice = refresh.advise(need, now);
                        if advice == Advice::Ask {
                            prop_assert!(!in_flight, "one at a time");
                            prop_assert!(need == Need::Now || earliest.is_none_or(|at| now >= at));
                            in_flight = true;
                        }
                        if need == Need::Credentials {
                            prop_assert_ne!(advice, Advice::Settled);
                        }
                        if let Advice::Unavailable(wait) = advice {
                            prop_assert!(refresh.failing() && wait <= policy.longest_backoff);
                        }
                    }
                    Event::Land { left, random } if in_flight => {
                        refresh.landed(left.map(Duration::from_secs), now, random);
                        (in_flight, earliest) = (false, None);
                        let wait = refresh.due(now) - now;
                        prop_assert!(wait >= SECOND, "not all the time");
                        match left.map(Duration::from_secs) {
                            Some(left) if left >= policy.ahead * 4 => {
                                prop_assert!(wait <= left - policy.ahead, "ahead of the end");
                                prop_assert!(wait >= left - policy.ahead * 2);
                            }
                            Some(left) => prop_assert!(wait <= (left / 2).max(SECOND).max(left.saturating_sub(policy.ahead))),
                            None => prop_assert!(wait >= policy.interval && wait <= policy.interval * 2),
                        }
                    }
                    Event::Fail { random } if in_flight => {
                        refresh.failed(now, random);
                        in_flight = false;
                        let due = refresh.due(now);
                        prop_assert!(due >= now + policy.first_backoff / 2);
                        prop_assert!(due <= now + policy.longest_backoff);
                        earliest = Some(due);
                    }
                    Event::Land { .. } | Event::Fail { .. } => {}
                }
            }
        }
    }

    #[test]
    fn the_first_need_of_any_kind_asks() {
        let now = Instant::now();
        for need in [Need::Due, Need::Now, Need::Credentials] {
            let mut refresh = Refresh::new(RefreshPolicy::new());
            assert_eq!(refresh.advise(need, now), Advice::Ask, "{need:?}");
            assert_eq!(refresh.advise(need, now), Advice::Wait, "{need:?}");
        }
    }

    #[test]
    fn failures_come_slower_and_slower() {
        let now = Instant::now();
        let mut refresh = Refresh::new(RefreshPolicy::new());
        let waits: Vec<_> = (0..8)
            .map(|_| {
                refresh.failed(now, 1.0);
                refresh.due(now) - now
            })
            .collect();

        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60].map(|seconds| SECOND * seconds));
        assert_eq!(refresh.advise(Need::Credentials, now), Advice::Unavailable(SECOND * 60));
        assert_eq!(refresh.advise(Need::Credentials, now + SECOND * 60), Advice::Ask);
    }

    #[test]
    fn no_policy_overruns_a_clock() {
        let (now, long) = (Instant::now(), Duration::MAX);
        let policy = RefreshPolicy::new().ahead(long).interval(long).time_limit(long);
        let mut refresh = Refresh::new(policy.backoff(long, long));

        for left in [None, Some(Duration::ZERO), Some(long)] {
            assert_eq!(refresh.advise(Need::Now, now), Advice::Ask);
            assert!(refresh.due(now) > now);
            refresh.landed(left, now, 1.0);
            refresh.failed(now, 1.0);
        }
    }
}
