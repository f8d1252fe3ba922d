use std::time::Duration;

use tokio::time::Instant;

/// Says a thing once in a while, however often it happens.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    said: Option<Instant>,
    kept: u64,
}

impl Quiet {
    /// Whether to speak now, and of how many times before that nothing was said.
    pub(super) fn speak(&mut self, now: Instant) -> Option<u64> {
        let soon = self.said.is_some_and(|said| now.duration_since(said) < PAUSE);
        if soon {
            self.kept = self.kept.saturating_add(1);
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.kept))
    }
}

const PAUSE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_and_the_next_says_how_large_it_was() {
        let mut quiet = Quiet::default();
        let start = Instant::now();

        assert_eq!(quiet.speak(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(quiet.speak(start + PAUSE / 2), None);
        }
        assert_eq!(quiet.speak(start + PAUSE), Some(1000));
        assert_eq!(quiet.speak(start + 3 * PAUSE), Some(0));
    }
}
