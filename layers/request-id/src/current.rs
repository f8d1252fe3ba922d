//! The id of the request that this thread is at work on.

use std::cell::RefCell;

use crate::RequestId;

thread_local! {
    static CURRENT: RefCell<Option<RequestId>> = const { RefCell::new(None) };
}

/// Puts what was there before back when it is dropped, in a panic, too.
pub(crate) struct Entered {
    before: Option<RequestId>,
}

/// Sets the id until the guard is dropped.
pub(crate) fn enter(id: &RequestId) -> Entered {
    Entered { before: CURRENT.replace(Some(id.clone())) }
}

pub(crate) fn get() -> Option<RequestId> {
    // It is borrowed by nobody but here, and not for long; on a thread that ends there is none.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}
