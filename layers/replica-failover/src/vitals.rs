//! Decides what a replica's health is, and when it is asked again. It knows no clock, no dice and no network: they are told.

use std::time::Duration;

use crate::{Health, HealthCheck, InitialHealth};

/// What the checks of a replica have told so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Vitals {
    health: Health,
    /// The last answer, and how many in a row were the same.
    passed: bool,
    in_a_row: u32,
}

impl Vitals {
    pub(crate) const fn health(self) -> Health {
        self.health
    }

    /// A check passed or failed; what the health is now, if that is a change.
    pub(crate) fn checked(&mut self, policy: &HealthCheck, passed: bool) -> Option<Health> {
        self.in_a_row = if self.passed == passed { self.in_a_row.saturating_add(1) } else { 1 };
        self.passed = passed;
        let told = if passed { Health::Healthy } else { Health::Unhealthy };
        let needed = match (self.health, policy.initial, told) {
            // The first check decides, or confirms.
            (Health::Unchecked, InitialHealth::FirstCheck, _)
            | (Health::Unchecked, InitialHealth::Healthy, Health::Healthy)
            | (Health::Unchecked, InitialHealth::Unhealthy, Health::Unhealthy) => 1,
            (_, _, Health::Healthy) => policy.rise.get(),
            _ => policy.fall.get(),
        };
        let changes = told != self.health && self.in_a_row >= needed;
        changes.then(|| {
            self.health = told;
            told
        })
    }

    /// The time from the last check to the next, by a random number.
    pub(crate) fn wait(self, policy: &HealthCheck, random: u64) -> Duration {
        policy.wait(self.is_settled(policy), random)
    }

    fn is_settled(self, policy: &HealthCheck) -> bool {
        let needed = match self.health {
            Health::Healthy if self.passed => policy.rise,
            Health::Unhealthy if !self.passed => policy.fall,
            _ => return false,
        };
        self.in_a_row >= needed.get().saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    const NAMES: [InitialHealth; 3] =
        [InitialHealth::Healthy, InitialHealth::Unhealthy, InitialHealth::FirstCheck];
    const LONG: Duration = Duration::from_secs(10);
    const FAST: Duration = Duration::from_secs(1);

    fn policy(rise: u32, fall: u32, initial: InitialHealth) -> HealthCheck {
        let count = |count| NonZeroU32::new(count).unwrap();
        HealthCheck::default().rise(count(rise)).fall(count(fall)).initial(initial).jitter(0)
    }

    /// The health after each of these answers, and whether the next one is soon.
    fn course(policy: &HealthCheck, answers: &str) -> Vec<(Health, bool)> {
        let mut vitals = Vitals::default();
        let each = answers.chars().map(|answer| {
            vitals.checked(policy, answer == '+');
            (vitals.health(), vitals.wait(policy, 0) == FAST)
        });
        each.collect()
    }

    fn healths(policy: &HealthCheck, answers: &str) -> String {
        let letter = |(health, _): &(Health, bool)| match health {
            Health::Unchecked => '?',
            Health::Healthy => 'h',
            Health::Unhealthy => 'u',
        };
        course(policy, answers).iter().map(letter).collect()
    }

    #[test]
    fn it_rises_and_falls_by_as_many_in_a_row() {
        let policy = policy(2, 3, InitialHealth::FirstCheck);

        assert_eq!(healths(&policy, "+--+---+-++"), "hhhhhhuuuuh");
    }

    #[test]
    fn what_it_is_taken_for_at_first_decides_what_the_first_checks_need() {
        let [healthy, unhealthy, first] = NAMES.map(|initial| policy(2, 3, initial));

        assert_eq!(healths(&healthy, "---"), "??u");
        assert_eq!(healths(&healthy, "+"), "h");
        assert_eq!(healths(&unhealthy, "++"), "?h");
        assert_eq!(healths(&unhealthy, "-"), "u");
        assert_eq!(healths(&first, "+"), "h");
        assert_eq!(healths(&first, "-"), "u");
    }

    #[test]
    fn it_is_asked_soon_until_its_health_is_beyond_doubt() {
        let soon = |answers| -> String {
            let course = course(&policy(2, 3, InitialHealth::FirstCheck), answers);
            course.iter().map(|(_, soon)| if *soon { 's' } else { '.' }).collect()
        };

        assert_eq!(soon("++++++"), "sss...");
        assert_eq!(soon("++++-++++"), "sss.ssss.");
        assert_eq!(soon("-------"), "sssss..");
    }

    fn answers() -> impl Strategy<Value = Vec<bool>> {
        prop::collection::vec(prop::bool::weighted(0.6), 0..60)
    }

    proptest! {
        /// Beside an obvious model, which looks at the whole past each time.
        #[test]
        fn the_health_is_that_of_the_last_run_that_was_long_enough(
            rise in 1_u32..5, fall in 1_u32..5, initial in prop::sample::select(&NAMES[..]),
            answers in answers(),
        ) {
            let policy = policy(rise, fall, initial);
            let mut vitals = Vitals::default();
            let mut health = Health::Unchecked;
            for (index, passed) in answers.iter().enumerate() {
                let past = &answers[..=index];
                let run = past.iter().rev().take_while(|other| *other == passed).count();
                let told = if *passed { Health::Healthy } else { Health::Unhealthy };
                let needed = if *passed { rise } else { fall };
                let counts_at_once = health == Health::Unchecked && match initial {
                    InitialHealth::FirstCheck => true,
                    InitialHealth::Healthy => *passed,
                    InitialHealth::Unhealthy => !passed,
                };
                let long_enough = run >= usize::try_from(needed).unwrap();
                let expected = ((counts_at_once || long_enough) && health != told).then_some(told);

                prop_assert_eq!(vitals.checked(&policy, *passed), expected);
                health = expected.unwrap_or(health);
                prop_assert_eq!(vitals.health(), health);
            }
        }

        #[test]
        fn a_wait_is_one_of_the_intervals_and_at_most_its_jitter(
            answers in answers(), jitter in 0_u8..=100, random: u64,
        ) {
            let policy = policy(2, 3, InitialHealth::Healthy).jitter(jitter);
            let mut vitals = Vitals::default();
            for passed in answers {
                vitals.checked(&policy, passed);
                let wait = vitals.wait(&policy, random);
                let most = |base: Duration| base + base * u32::from(jitter) / 100;

                prop_assert!((wait >= FAST && wait <= most(FAST)) || (wait >= LONG && wait <= most(LONG)));
            }
            prop_assert!(policy.first_wait(random) <= FAST);
        }

        #[test]
        fn no_policy_overruns_the_clock(limit: u64, jitter: u8, random: u64) {
            let longest = HealthCheck::default()
                .timing(Duration::MAX, Duration::MAX, Duration::from_nanos(limit.max(1)))
                .unwrap()
                .jitter(jitter);

            prop_assert!(Vitals::default().wait(&longest, random) == Duration::MAX);
            prop_assert!(longest.first_wait(random) < Duration::MAX);
        }
    }
}
