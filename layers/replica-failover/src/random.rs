use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

use crate::candidates::mix;

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0_u8));
}

/// A random number, good enough to share out load. Threads have nothing in common.
pub(crate) fn random() -> u64 {
    STATE.with(|state| {
        state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        mix(state.get())
    })
}
