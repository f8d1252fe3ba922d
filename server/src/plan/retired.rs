//! Keys that others have replaced, and that are still accepted for a while.

use std::time::{Duration, SystemTime};

/// A key that is accepted until a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Retired<T> {
    pub(super) key: T,
    pub(super) until: SystemTime,
}

/// When keys are exchanged, and for how long those of before are accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    now: SystemTime,
    grace: Duration,
}

impl Exchange {
    pub(super) fn new(grace: Duration) -> Self {
        Self { now: SystemTime::now(), grace }
    }

    /// Whether these may stay as they are: none is accepted for longer than keys are that are replaced now.
    pub(super) fn leaves<T>(&self, retired: &[Retired<T>]) -> bool {
        retired.iter().all(|known| known.until <= self.now + self.grace)
    }

    /// What is still accepted besides `current`, the longest first: what was `before`, and what was `retired` then.
    pub(super) fn retire<T: Clone + PartialEq>(
        &self,
        current: &[T],
        before: &[T],
        retired: &[Retired<T>],
    ) -> Vec<Retired<T>> {
        let last = self.now + self.grace;
        let gone = |key: &T| !current.contains(key);
        let now = before.iter().map(|key| Retired { key: key.clone(), until: last });
        let then = retired.iter().filter(|known| !before.contains(&known.key));
        let then =
            then.map(|known| Retired { key: known.key.clone(), until: known.until.min(last) });
        let all = now.chain(then);
        all.filter(|known| known.until > self.now && gone(&known.key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u32, grace: Duration) -> Exchange {
        Exchange { now: SystemTime::UNIX_EPOCH + minutes * MINUTE, grace }
    }

    fn until(key: char, minutes: u32) -> Retired<char> {
        Retired { key, until: SystemTime::UNIX_EPOCH + minutes * MINUTE }
    }

    #[test]
    fn what_is_replaced_is_accepted_for_the_grace_and_what_stays_is_not_retired() {
        let retired = at(10, 5 * MINUTE).retire(&['b', 'c'], &['a', 'b'], &[]);
        assert_eq!(retired, [until('a', 15)]);
    }

    #[test]
    fn another_exchange_prolongs_nothing() {
        let retired = at(12, 5 * MINUTE).retire(&['d'], &['c'], &[until('a', 15), until('b', 12)]);
        assert_eq!(retired, [until('c', 17), until('a', 15)]);
    }

    #[test]
    fn without_grace_nothing_is_accepted_any_more() {
        let now = at(12, Duration::ZERO);
        assert_eq!(now.retire(&['d'], &['c'], &[until('a', 15)]), []);
        assert!(!now.leaves(&[until('a', 15)]), "so that those of before are taken away, too");
        assert!(now.leaves(&[until('a', 12)]) && now.leaves::<char>(&[]));
    }

    #[test]
    fn what_comes_back_is_not_retired() {
        let retired = at(12, 5 * MINUTE).retire(&['a'], &['b'], &[until('a', 15)]);
        assert_eq!(retired, [until('b', 17)]);
    }
}
