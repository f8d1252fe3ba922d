use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::request::Parts;

use crate::{Format, RequestId};

/// Makes the id of a request that has none.
///
/// Closures over the parts of a request do; what they make is a [`RequestId`] that was parsed.
pub trait MakeRequestId {
    /// An id that no other request has.
    fn make(&self, parts: &Parts) -> RequestId;
}

impl<F: Fn(&Parts) -> RequestId> MakeRequestId for F {
    fn make(&self, parts: &Parts) -> RequestId {
        self(parts)
    }
}

/// Makes ids of a [`Format`].
///
/// Its chance is a keyed hash, with 128 bits of key from the system, of a number that is never used twice and of the time: good
/// for ids, for nothing secret, and it cannot fail.
///
/// A clone has a key and a number of its own: services on different cores do not write to the same place for each request.
#[derive(Debug)]
#[must_use = "a generator does nothing until a layer uses it"]
pub struct Generator {
    format: Format,
    key: RandomState,
    next: AtomicU64,
}

impl Generator {
    /// Makes ids of this format.
    pub fn new(format: Format) -> Self {
        Self { format, key: RandomState::new(), next: AtomicU64::new(0) }
    }
}

impl Clone for Generator {
    fn clone(&self) -> Self {
        Self::new(self.format)
    }
}

impl MakeRequestId for Generator {
    fn make(&self, _: &Parts) -> RequestId {
        let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let (seconds, nanos) = (age.as_secs(), age.subsec_nanos());
        let number = self.next.fetch_add(1, Ordering::Relaxed) << 1;
        // The time, so that a process and its copy do not go on alike.
        let time = u128::from(seconds << 30 | u64::from(nanos));
        let half = |half: u64| self.key.hash_one(u128::from(number | half) << 64 | time);
        let chance = u128::from(half(0)) << 64 | u128::from(half(1));
        let millis = seconds.wrapping_mul(1000) + u64::from(nanos / 1_000_000);
        RequestId::made(self.format.text(millis & LATEST, chance))
    }
}

/// 48 bits, up to the year 10889.
const LATEST: u64 = (1 << 48) - 1;
