use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The time by which a layer signs: that of this machine, corrected by what services have shown.
#[derive(Debug)]
pub(crate) struct Clock {
    own: fn() -> SystemTime,
    /// Seconds to add. Alone in its word, and nothing else is read by it: the last who writes is right.
    correction: AtomicI64,
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
}

fn moved(time: SystemTime, seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time.checked_sub(distance) } else { time.checked_add(distance) }
}
