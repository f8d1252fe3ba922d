use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Tells the future of a response that the body of its request is too large.
///
/// The body may be read by another task: raising the alarm wakes the one that awaits the response.
#[derive(Clone, Debug)]
pub(crate) struct Alarm(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Quiet(Option<Waker>),
    Raised,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Quiet(None))))
    }

    pub(crate) fn raise(&self) {
        let before = mem::replace(&mut *self.state(), State::Raised);
        // Out of the lock: whoever wakes may poll at once.
        if let State::Quiet(Some(waker)) = before {
            waker.wake();
        }
    }

    pub(crate) fn is_raised(&self) -> bool {
        matches!(*self.state(), State::Raised)
    }

    /// Whether the alarm is raised; if it is not, `waker` is woken when it is.
    ///
    /// Looking and leaving the waker are one step, so that no alarm is missed between them.
    pub(crate) fn is_raised_or_wakes(&self, waker: &Waker) -> bool {
        match &mut *self.state() {
            State::Raised => true,
            State::Quiet(Some(known)) => {
                known.clone_from(waker);
                false
            }
            State::Quiet(none) => {
                *none = Some(waker.clone());
                false
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is replaced as a whole, so that a panic of a waker's leaves a valid one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
