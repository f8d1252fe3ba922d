use std::time::Duration;

/// When a name is looked up again.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Pace {
    /// After an answer that is good for so long; whether the one before failed.
    pub(super) fn answered(&mut self, good_for: Duration) -> (Duration, bool) {
        let failed = std::mem::take(&mut self.failures) > 0;
        (good_for.max(SHORTEST), failed)
    }

    /// After a failure; whether it is the first in a row.
    pub(super) fn failed(&mut self) -> (Duration, bool) {
        let wait = SHORTEST.saturating_mul(1 << self.failures.min(5)).min(LONGEST_RETRY);
        self.failures = self.failures.saturating_add(1);
        (wait, self.failures == 1)
    }
}

/// Whatever a name server says: it is not to be asked in a loop.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_as_long_as_it_says_but_for_a_second_at_least() {
        let mut pace = Pace::default();

        for (ttl, wait) in [(0, 1_000), (999, 1_000), (1_001, 1_001), (86_400_000, 86_400_000)] {
            let answered = pace.answered(Duration::from_millis(ttl));
            assert_eq!(answered, (Duration::from_millis(wait), false));
        }
    }

    #[test]
    fn after_failures_it_is_asked_less_and_less_often_until_it_answers() {
        let mut pace = Pace::default();

        let waits: Vec<_> = (0..7).map(|_| pace.failed()).collect();

        let seconds: Vec<_> = waits.iter().map(|(wait, _)| wait.as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(waits.iter().filter(|(_, is_first)| *is_first).count(), 1);
        assert!(waits[0].1);
        assert_eq!(pace.answered(Duration::ZERO), (SHORTEST, true));
        assert_eq!(pace.failed(), (SHORTEST, true));
    }
}
