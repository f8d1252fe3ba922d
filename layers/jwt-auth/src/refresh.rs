//! Decides when an issuer is asked for its keys. It knows no clock, no dice and no keys: they are told.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::RefreshPolicy;

/// What is known of an issuer's key set, but the keys.
#[derive(Debug)]
pub(crate) struct Refresh {
    policy: RefreshPolicy,
    in_flight: bool,
    failures: u32,
    /// When it is due; at once if `None`.
    due: Option<Instant>,
    good: Option<Good>,
    /// When an unknown key last made us ask.
    missed: Option<Instant>,
    /// Hashes of names that a fresh set did not have, the oldest in front. What is in here cannot use up the one
    /// attempt in an interval: a client with an outdated token does not delay the news of a rotation.
    absent: VecDeque<(u64, Instant)>,
}

/// The times of the last good set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Good {
    pub(crate) since: Instant,
    /// From then on it is used only while the issuer cannot be asked.
    pub(crate) lapses: Instant,
    /// From then on it is not used at all.
    pub(crate) dies: Instant,
}

/// Why keys are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    /// It is time.
    Due,
    /// An operator wants it.
    Now,
    /// There are none that may be used.
    Keys,
    /// A token's key is unknown; here is a hash of its name, if it has one.
    Key(Option<u64>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Advice {
    /// Ask now, and then call `landed` or `failed`.
    Ask,
    /// Somebody is asking: wait.
    Wait,
    /// What is known is what there is.
    Settled,
    /// Nobody can tell, and asking makes no sense before this has passed.
    Unavailable(Duration),
}

impl Refresh {
    /// How many names are remembered as absent, and for how long.
    pub(crate) const ABSENT: usize = 256;
    pub(crate) const ABSENT_FOR: Duration = Duration::from_secs(5 * 60);

    pub(crate) const fn new(policy: RefreshPolicy) -> Self {
        Self {
            policy,
            in_flight: false,
            failures: 0,
            due: None,
            good: None,
            missed: None,
            absent: VecDeque::new(),
        }
    }

    pub(crate) const fn good(&self) -> Option<Good> {
        self.good
    }

    pub(crate) const fn failing(&self) -> bool {
        self.failures > 0
    }

    /// When it is due, unless somebody is at it. The time limit bounds those, and a bit more is for its end.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        if self.in_flight {
            Some(after(now, self.policy.time_limit.saturating_add(Duration::from_secs(1))))
        } else {
            self.due
        }
    }

    pub(crate) fn advise(&mut self, need: Need, now: Instant) -> Advice {
        if let Need::Key(Some(name)) = need
            && self.is_absent(name, now)
        {
            return Advice::Settled;
        }
        if self.in_flight {
            return Advice::Wait;
        }
        let wait = self.due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
        let interval = self.policy.unknown_kid_interval;
        let ask = match need {
            Need::Now => true,
            Need::Due | Need::Keys => wait.is_zero(),
            Need::Key(_) if self.failing() => wait.is_zero(),
            Need::Key(_) => self.missed.is_none_or(|missed| now.duration_since(missed) >= interval),
        };
        match need {
            _ if ask => {
                self.in_flight = true;
                if matches!(need, Need::Key(_)) {
                    self.missed = Some(now);
                }
                Advice::Ask
            }
            Need::Key(_) if !self.failing() => Advice::Settled,
            Need::Due | Need::Now => Advice::Settled,
            Need::Key(_) | Need::Keys => Advice::Unavailable(wait),
        }
    }

    /// A good set has come, good for as long as its issuer says; `random` is in `0.0..1.0`.
    pub(crate) fn landed(
        &mut self,
        changed: bool,
        lifetime: Option<Duration>,
        now: Instant,
        random: f64,
    ) {
        let policy = &self.policy;
        let longest = policy.longest.max(policy.shortest);
        let lifetime = lifetime.unwrap_or(policy.lifetime).clamp(policy.shortest, longest);
        self.in_flight = false;
        self.failures = 0;
        self.due = Some(after(now, lifetime.mul_f64(0.8 + 0.1 * random.clamp(0.0, 1.0))));
        self.good = Some(Good {
            since: now,
            lapses: after(now, lifetime),
            dies: after(now, policy.max_stale.max(lifetime)),
        });
        if changed {
            self.absent.clear();
        }
    }

    /// No good set has come; `random` is in `0.0..1.0`.
    pub(crate) fn failed(&mut self, now: Instant, random: f64) {
        let doubled = 2_u32.saturating_pow(self.failures);
        let policy = &self.policy;
        let backoff = policy.first_backoff.saturating_mul(doubled).min(policy.longest_backoff);
        self.in_flight = false;
        self.failures = self.failures.saturating_add(1);
        let backoff = backoff.min(FOR_EVER);
        self.due = Some(after(now, backoff.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))));
    }

    /// A set that was asked for because of this name does not have it.
    pub(crate) fn absent(&mut self, name: u64, now: Instant) {
        if self.is_absent(name, now) {
            return;
        }
        if self.absent.len() == Self::ABSENT {
            self.absent.pop_front();
        }
        self.absent.push_back((name, now));
    }

    fn is_absent(&self, name: u64, now: Instant) -> bool {
        let fresh = |since: Instant| now.duration_since(since) < Self::ABSENT_FOR;
        self.absent.iter().any(|(absent, since)| *absent == name && fresh(*since))
    }
}

/// Whatever a policy says, no clock is overrun.
fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FOR_EVER)
}

const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What may happen to a key set.
    #[derive(Clone, Debug)]
    enum Event {
        Pass(u64),
        Need(Need),
        Land { changed: bool, lifetime: Option<u64>, random: f64 },
        Fail { random: f64 },
        Absent(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0..200_000_u64).prop_map(Event::Pass),
            prop_oneof![
                Just(Need::Due),
                Just(Need::Keys),
                Just(Need::Now),
                proptest::option::of(0..600_u64).prop_map(Need::Key),
            ]
            .prop_map(Event::Need),
            (any::<bool>(), proptest::option::of(0..100_000_u64), 0.0..1.0_f64)
                .prop_map(|(changed, lifetime, random)| Event::Land { changed, lifetime, random }),
            (0.0..1.0_f64).prop_map(|random| Event::Fail { random }),
            (0..600_u64).prop_map(Event::Absent),
        ]
    }

    proptest! {
        #[test]
        fn no_course_of_events_breaks_a_promise(events in vec(event(), 0..400)) {
            let policy = RefreshPolicy::new();
            let mut refresh = Refresh::new(policy.clone());
            let mut now = Instant::now();
            let (mut in_flight, mut failures) = (false, 0_u32);
            let mut missed: Option<Instant> = None;
            let mut earliest = now;
            for event in events {
                match event {
                    Event::Pass(milliseconds) => now += Duration::from_millis(milliseconds),
                    Event::Need(need) => {
                        let advice = refresh.advise(need, now);
                        if advice == Advice::Ask {
                            prop_assert!(!in_flight, "one at a time");
                            in_flight = true;
                            if let Need::Key(_) = need {
                                if failures == 0 {
                                    let apart = missed.is_none_or(|missed| {
                                        now - missed >= policy.unknown_kid_interval
                                    });
                                    prop_assert!(apart, "once in an interval");
                                }
                                missed = Some(now);
                            }
                            if failures > 0 && need != Need::Now {
                                prop_assert!(now >= earliest, "not before the backoff is over");
                            }
                        }
                        match need {
                            Need::Keys => prop_assert_ne!(advice, Advice::Settled),
                            Need::Key(_) if failures == 0 => {
                                prop_assert!(!matches!(advice, Advice::Unavailable(_)));
                            }
                            _ => {}
                        }
                        if let Advice::Unavailable(wait) = advice {
                            prop_assert!(wait <= policy.longest_backoff || failures == 0);
                        }
                    }
                    Event::Land { changed, lifetime, random } if in_flight => {
                        refresh.landed(changed, lifetime.map(Duration::from_secs), now, random);
                        (in_flight, failures) = (false, 0);
                        let good = refresh.good().unwrap();
                        let lifetime = good.lapses - good.since;
                        prop_assert!(lifetime >= policy.shortest && lifetime <= policy.longest);
                        let due = refresh.due(now).unwrap();
                        prop_assert!(due >= now + lifetime.mul_f64(0.79), "not all the time");
                        prop_assert!(due <= now + lifetime.mul_f64(0.91), "ahead of the end");
                        prop_assert!(good.dies >= good.lapses);
                    }
                    Event::Fail { random } if in_flight => {
                        let good = refresh.good();
                        refresh.failed(now, random);
                        (in_flight, failures) = (false, failures + 1);
                        earliest = refresh.due(now).unwrap();
                        prop_assert!(earliest >= now + policy.first_backoff / 2);
                        prop_assert!(earliest <= now + policy.longest_backoff);
                        // The last good set is as good as it was.
                        prop_assert_eq!(good.map(|good| good.dies), refresh.good().map(|good| good.dies));
                    }
                    Event::Land { .. } | Event::Fail { .. } => {}
                    Event::Absent(name) => refresh.absent(name, now),
                }
                prop_assert!(refresh.absent.len() <= Refresh::ABSENT);
            }
        }
    }

    /// One with a set that came at `now`.
    fn fresh(now: Instant) -> Refresh {
        let mut refresh = Refresh::new(RefreshPolicy::new());
        assert_eq!(refresh.advise(Need::Keys, now), Advice::Ask);
        refresh.landed(true, None, now, 0.0);
        refresh
    }

    #[test]
    fn the_first_need_of_any_kind_asks() {
        let now = Instant::now();
        for need in [Need::Due, Need::Now, Need::Keys, Need::Key(None), Need::Key(Some(1))] {
            let mut refresh = Refresh::new(RefreshPolicy::new());
            assert_eq!(refresh.advise(need, now), Advice::Ask, "{need:?}");
            assert_eq!(refresh.advise(need, now), Advice::Wait, "{need:?}");
        }
    }

    #[test]
    fn a_name_that_is_known_to_be_absent_leaves_the_attempt_to_others() {
        let now = Instant::now();
        let mut refresh = fresh(now);
        refresh.absent(1, now);

        assert_eq!(refresh.advise(Need::Key(Some(1)), now), Advice::Settled);
        assert_eq!(refresh.advise(Need::Key(Some(2)), now), Advice::Ask);
        assert_eq!(refresh.advise(Need::Key(Some(1)), now), Advice::Settled);

        refresh.landed(false, None, now, 0.0);
        let later = now + Refresh::ABSENT_FOR;
        assert_eq!(refresh.advise(Need::Key(Some(1)), later), Advice::Ask);
    }

    #[test]
    fn only_so_many_names_are_remembered() {
        let now = Instant::now();
        let mut refresh = fresh(now);
        for name in 0..10_000 {
            refresh.absent(name, now);
        }

        assert_eq!(refresh.absent.len(), Refresh::ABSENT);
        assert!(refresh.is_absent(9_999, now), "the newest are kept");
    }

    #[test]
    fn a_new_set_makes_every_name_possible_again() {
        let now = Instant::now();
        let mut refresh = fresh(now);
        refresh.absent(1, now);
        assert_eq!(refresh.advise(Need::Now, now), Advice::Ask);
        refresh.landed(true, None, now, 0.0);

        assert_eq!(refresh.advise(Need::Key(Some(1)), now), Advice::Ask);
    }

    #[test]
    fn failures_come_slower_and_slower() {
        let now = Instant::now();
        let mut refresh = fresh(now);
        let waits: Vec<_> = (0..8)
            .map(|_| {
                refresh.failed(now, 1.0);
                refresh.due(now).unwrap() - now
            })
            .collect();

        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60].map(|seconds| SECOND * seconds));
        assert_eq!(refresh.advise(Need::Key(None), now), Advice::Unavailable(SECOND * 60));
        assert_eq!(refresh.advise(Need::Key(None), now + SECOND * 60), Advice::Ask);
    }
}
