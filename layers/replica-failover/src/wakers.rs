use std::mem;
use std::sync::Arc;
use std::task::{Wake, Waker};

/// Who waits for the next frame.
///
/// One reader costs no allocation. Several may be kept waiting by the one that polled last and never polls again, a stalled
/// upload say; so each poll of the client's body registers all of them.
#[derive(Default)]
pub(crate) struct Wakers {
    first: Option<(u64, Waker)>,
    rest: Vec<(u64, Waker)>,
    /// Those who came while another polled: they are not registered yet.
    turn: Vec<Waker>,
}

struct All(Vec<Waker>);

impl Wake for All {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.iter().for_each(Waker::wake_by_ref);
    }
}

impl Wakers {
    /// What the client's body should wake, if that is more than `mine`.
    pub(crate) fn joint(&self, id: u64, mine: &Waker) -> Option<Waker> {
        let others = self.first.iter().chain(&self.rest).filter(|(other, _)| *other != id);
        let mut all: Vec<_> = others.map(|(_, waker)| waker.clone()).collect();
        if all.is_empty() {
            return None;
        }
        all.push(mine.clone());
        Some(Waker::from(Arc::new(All(all))))
    }

    /// Remembers a reader that is registered, and returns what is to be dropped or woken outside of the lock.
    pub(crate) fn parked(&mut self, id: u64, waker: Waker) -> (Option<Waker>, Vec<Waker>) {
        let mut all = self.first.iter_mut().chain(&mut self.rest);
        let old = if let Some((_, known)) = all.find(|(known, _)| *known == id) {
            Some(mem::replace(known, waker))
        } else if self.first.is_none() {
            self.first = Some((id, waker));
            None
        } else {
            self.rest.push((id, waker));
            None
        };
        (old, mem::take(&mut self.turn))
    }

    /// Remembers a reader that comes while another polls.
    pub(crate) fn wait_for_turn(&mut self, waker: Waker) {
        self.turn.push(waker);
    }

    /// Wakes all. Not to be called under a lock: what wakes may also drop.
    pub(crate) fn wake(self) {
        let registered = self.first.into_iter().chain(self.rest).map(|(_, waker)| waker);
        registered.chain(self.turn).for_each(Waker::wake);
    }
}
