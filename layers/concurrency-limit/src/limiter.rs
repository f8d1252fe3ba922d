//! A number of places, and those who wait for one.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::Order;
use crate::adaptive::Trend;
use crate::policy::Limit;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock};
use crate::terms::Terms;

/// Who has a place and how many wait is one word. The queue itself is under a lock, which nobody takes who finds a place.
pub(crate) struct Limiter {
    state: AtomicU64,
    limit: AtomicU32,
    most_waiting: u32,
    order: Order,
    queue: Mutex<Waiting>,
    /// What an adaptive limit goes by.
    trend: Trend,
    pub(crate) terms: Arc<Terms>,
}

struct Waiting {
    entries: VecDeque<(u64, oneshot::Sender<Place>)>,
    next: u64,
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct State {
    taken: u32,
    waiting: u32,
}

/// One of the places; dropped, it is free again, or the next one's.
pub(crate) struct Place(Option<Arc<Limiter>>);

/// One who waits; dropped, it does no longer.
pub(crate) struct Ticket {
    limiter: Arc<Limiter>,
    number: u64,
    turn: oneshot::Receiver<Place>,
}

/// What comes of asking for a place, of which none is free at once.
pub(crate) enum Asked {
    Place(Place),
    Ticket(Ticket),
    Full,
}

impl Limiter {
    pub(crate) fn new(terms: Arc<Terms>) -> Self {
        let (most_waiting, order) = match &terms.policy.queue {
            Some(queue) => (queue.most.get(), queue.order),
            None => (0, Order::Fifo),
        };
        Self {
            state: AtomicU64::new(0),
            limit: AtomicU32::new(terms.first().get()),
            most_waiting,
            order,
            queue: Mutex::new(Waiting { entries: VecDeque::new(), next: 0 }),
            trend: Trend::new(),
            terms,
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn taken(&self) -> u32 {
        self.load().taken
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.load().waiting
    }

    /// Whether whoever comes now finds no place.
    pub(crate) fn is_full(&self) -> bool {
        !self.has_room(self.load())
    }

    /// A place, if there is one that nobody waits for.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.load();
        while self.has_room(state) {
            match self.exchange(state, State { taken: state.taken + 1, ..state }) {
                Ok(()) => return Some(Place(Some(self.clone()))),
                Err(other) => state = other,
            }
        }
        None
    }

    /// A place, or one in the queue.
    pub(crate) fn ask(self: &Arc<Self>) -> Asked {
        let mut queue = lock(&self.queue);
        // Under the lock nobody else starts or stops to wait, so that who frees a place sees either this one in the
        // queue or none, and this one sees the place.
        let mut state = self.load();
        loop {
            let room = self.has_room(state);
            let next = if room {
                State { taken: state.taken + 1, ..state }
            } else if state.waiting < self.most_waiting {
                State { waiting: state.waiting + 1, ..state }
            } else {
                return Asked::Full;
            };
            match self.exchange(state, next) {
                Ok(()) if room => return Asked::Place(Place(Some(self.clone()))),
                Ok(()) => break,
                Err(other) => state = other,
            }
        }
        let (sender, turn) = oneshot::channel();
        let number = queue.next;
        queue.next += 1;
        queue.entries.push_back((number, sender));
        Asked::Ticket(Ticket { limiter: self.clone(), number, turn })
    }

    /// Adapts the limit to an answer that took its time since then.
    pub(crate) fn learn(self: &Arc<Self>, since: Instant, well: bool) {
        let Limit::Adaptive(adaptive) = &self.terms.policy.limit else { return };
        let now = Instant::now();
        let before = self.limit();
        let after = if well && now.saturating_duration_since(since) <= adaptive.latency() {
            self.trend.in_time(adaptive, before, self.taken())
        } else {
            let age = now.saturating_duration_since(self.terms.born).as_millis();
            self.trend.late(adaptive, before, u64::try_from(age).unwrap_or(u64::MAX))
        };
        if after != before {
            self.set_limit(after);
            self.terms.meters.limit(after);
        }
    }

    /// Sets another limit. Places that are taken stay so; of new ones those who wait are told.
    pub(crate) fn set_limit(self: &Arc<Self>, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
        let mut state = self.load();
        while state.waiting > 0 && state.taken < limit {
            match self.exchange(state, State { taken: state.taken + 1, ..state }) {
                Ok(()) => {
                    self.pass_on();
                    state = self.load();
                }
                Err(other) => state = other,
            }
        }
    }

    /// Gives a place that is taken to the next, or else frees it.
    fn pass_on(self: &Arc<Self>) {
        let mut state = self.load();
        loop {
            if state.waiting == 0 || state.taken > self.limit() {
                match self.exchange(state, State { taken: state.taken - 1, ..state }) {
                    Ok(()) => return,
                    Err(other) => state = other,
                }
                continue;
            }
            if let Some(next) = self.next() {
                // Out of the lock: whoever wakes may poll at once. One that has left in this moment leaves the place here.
                match next.send(Place(Some(self.clone()))) {
                    Ok(()) => return,
                    Err(mut place) => place.0 = None,
                }
            }
            state = self.load();
        }
    }

    fn next(&self) -> Option<oneshot::Sender<Place>> {
        let mut queue = lock(&self.queue);
        let (_, next) = match self.order {
            Order::Fifo => queue.entries.pop_front(),
            Order::Lifo => queue.entries.pop_back(),
        }?;
        self.one_less_waits();
        Some(next)
    }

    fn leave(&self, number: u64) {
        let mut queue = lock(&self.queue);
        // Their numbers rise from front to back.
        if let Ok(index) = queue.entries.binary_search_by_key(&number, |(number, _)| *number) {
            queue.entries.remove(index);
            self.one_less_waits();
        }
    }

    /// Only under the lock.
    fn one_less_waits(&self) {
        self.state.fetch_sub(State { taken: 0, waiting: 1 }.word(), Ordering::AcqRel);
    }

    fn has_room(&self, state: State) -> bool {
        state.waiting == 0 && state.taken < self.limit()
    }

    fn load(&self) -> State {
        State::from_word(self.state.load(Ordering::Acquire))
    }

    /// The error is what is there instead.
    fn exchange(&self, before: State, after: State) -> Result<(), State> {
        // What was done by who had the place before is done for who has it now.
        self.state
            .compare_exchange(before.word(), after.word(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(State::from_word)
    }
}

impl State {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
    const fn from_word(word: u64) -> Self {
        Self { taken: word as u32, waiting: (word >> 32) as u32 }
    }

    const fn word(self) -> u64 {
        (self.waiting as u64) << 32 | self.taken as u64
    }
}

impl Place {
    pub(crate) fn limiter(&self) -> Option<&Arc<Limiter>> {
        self.0.as_ref()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(limiter) = self.0.take() {
            limiter.pass_on();
        }
    }
}

impl Ticket {
    /// Completes with a place when it is this one's turn.
    pub(crate) const fn turn(&mut self) -> &mut oneshot::Receiver<Place> {
        &mut self.turn
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // A place that was sent already goes on with the channel that it is in.
        self.limiter.leave(self.number);
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { taken, waiting } = self.load();
        f.debug_struct("Limiter")
            .field("limit", &self.limit())
            .field("taken", &taken)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}
