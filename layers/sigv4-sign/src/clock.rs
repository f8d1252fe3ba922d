use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The time by which a layer signs: that of this machine, corrected by what services have shown.
#[derive(Debug)]
pub(crate) struct Clock {
    own: fn() -> SystemTime,
    /// Seconds to add. Alone in its word, and nothing else is read by it: the last who writes is right.
    correction: AtomicI64,
}

/// How far the clock of this machine was found to be from that of the service.
///
/// It is learned from a `400` or `403` without `Age` whose `Date` is off by four minutes or more, and by a day at most: AWS
/// refuses so what is signed five minutes (S3: fifteen) before or after its own time. The request that brought it to light
/// was refused; those after it are signed at the corrected time. A service is believed without proof, and over plain `http`
/// so is whoever is on the way: it may have requests signed that are valid up to a day later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClockSkew {
    /// No response has shown a difference that matters.
    Unnoticed,
    /// This machine is behind; requests are signed with a later time than it shows.
    Behind(Duration),
    /// This machine is ahead; requests are signed with an earlier time than it shows.
    Ahead(Duration),
}

impl Clock {
    pub(crate) const fn new(own: fn() -> SystemTime) -> Self {
        Self { own, correction: AtomicI64::new(0) }
    }

    /// The corrected time.
    pub(crate) fn now(&self) -> SystemTime {
        let own = (self.own)();
        let correction = self.correction.load(Ordering::Relaxed);
        moved(own, correction).unwrap_or(own)
    }

    /// Learns that a service has refused a request at this time of its own. Says by how many seconds its own time is
    /// corrected from now on, if that explains it.
    pub(crate) fn learn(&self, service: SystemTime) -> Option<i64> {
        let ahead_of_own = seconds_between((self.own)(), service)?;
        let off = ahead_of_own.saturating_sub(self.correction.load(Ordering::Relaxed));
        if off.abs() < TOLERATED || ahead_of_own.abs() > BELIEVED {
            return None;
        }
        let correction = if ahead_of_own.abs() < TOLERATED { 0 } else { ahead_of_own };
        self.correction.store(correction, Ordering::Relaxed);
        Some(correction)
    }

    pub(crate) fn skew(&self) -> ClockSkew {
        ClockSkew::of(self.correction.load(Ordering::Relaxed))
    }
}

impl ClockSkew {
    const fn of(correction: i64) -> Self {
        let distance = Duration::from_secs(correction.unsigned_abs());
        match correction {
            0 => Self::Unnoticed,
            1.. => Self::Behind(distance),
            _ => Self::Ahead(distance),
        }
    }
}

fn moved(time: SystemTime, seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time.checked_sub(distance) } else { time.checked_add(distance) }
}

/// None beyond what fits.
fn seconds_between(from: SystemTime, to: SystemTime) -> Option<i64> {
    match to.duration_since(from) {
        Ok(later) => i64::try_from(later.as_secs()).ok(),
        Err(earlier) => i64::try_from(earlier.duration().as_secs()).ok().map(|seconds| -seconds),
    }
}

/// Seconds below which no service refuses: the strictest allow for five minutes.
const TOLERATED: i64 = 4 * 60;

/// Seconds beyond which the response is the one to be wrong. A clock in the wrong time zone is off by less.
const BELIEVED: i64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const NOON: u64 = 1_369_396_800;

    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOON)
    }

    fn at(offset: i64) -> SystemTime {
        moved(noon(), offset).unwrap()
    }

    #[test]
    fn a_difference_that_matters_moves_the_time_of_signing() {
        for (offset, skew) in [
            (240, ClockSkew::Behind(Duration::from_secs(240))),
            (-3600, ClockSkew::Ahead(Duration::from_secs(3600))),
            (86_400, ClockSkew::Behind(Duration::from_secs(86_400))),
        ] {
            let clock = Clock::new(noon);
            assert_eq!(clock.learn(at(offset)), Some(offset));
            assert_eq!((clock.skew(), clock.now()), (skew, at(offset)));
            assert_eq!(clock.learn(at(offset + 239)), None, "in time now");
        }
    }

    #[test]
    fn other_differences_change_nothing() {
        for offset in [0, 239, -239, 86_401, -86_401] {
            let clock = Clock::new(noon);
            assert_eq!(clock.learn(at(offset)), None);
            assert_eq!((clock.skew(), clock.now()), (ClockSkew::Unnoticed, noon()));
        }
    }

    #[test]
    fn a_clock_that_was_set_right_is_believed_again() {
        let clock = Clock::new(noon);
        clock.learn(at(7200));

        assert_eq!(clock.learn(at(3)), Some(0));
        assert_eq!((clock.skew(), clock.now()), (ClockSkew::Unnoticed, noon()));
    }
}
