use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

/// The id of a trace. It is not zero.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct TraceId([u8; 16]);

/// The id of a span. It is not zero.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(crate) struct SpanId([u8; 8]);

impl TraceId {
    /// Takes an id, unless it is zero, which is none.
    #[must_use]
    pub(crate) fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    /// An id that no other trace has.
    pub(crate) fn random() -> Self {
        let bytes = u128::from(chance()) << 64 | u128::from(chance());
        Self(bytes.max(1).to_be_bytes())
    }

    /// The id as it is sent to collectors.
    #[must_use]
    pub(crate) const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl SpanId {
    /// Takes an id, unless it is zero, which is none.
    #[must_use]
    pub(crate) fn new(bytes: [u8; 8]) -> Option<Self> {
        (bytes != [0; 8]).then_some(Self(bytes))
    }

    /// An id that no other span has.
    pub(crate) fn random() -> Self {
        Self(chance().max(1).to_be_bytes())
    }

    /// The id as it is sent to collectors.
    #[must_use]
    pub(crate) const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A keyed hash, with 128 bits of key from the system, of a number that is never used twice and of the time, so that a process
/// and its copy do not go on alike: good for ids, and for nothing secret.
fn chance() -> u64 {
    let number = NEXT.get();
    NEXT.set(number.wrapping_add(1));
    KEY.with(|key| key.hash_one((number, SystemTime::now())))
}

thread_local! {
    // Of each thread, so that workers do not write to the same place for each request.
    static KEY: RandomState = RandomState::new();
    static NEXT: Cell<u64> = const { Cell::new(0) };
}
