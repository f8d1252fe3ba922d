use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::SlowStart;
use crate::condition::Condition;
use crate::moment::Moment;
use crate::replica::Place;
use crate::state::ReplicaState;

/// A replica's place in a list, and what is known of it.
pub(crate) struct Member {
    pub(crate) place: Place,
    pub(crate) state: Arc<ReplicaState>,
    /// Whether it is in the list no more. A hint, as all of its state.
    gone: AtomicBool,
}

impl Member {
    pub(crate) const fn new(state: Arc<ReplicaState>, place: Place) -> Self {
        Self { place, state, gone: AtomicBool::new(false) }
    }

    /// It is sent nothing any more.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.state.is_enabled() && !self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn is_healthy(&self) -> bool {
        !self.state.condition.is_shunned()
    }

    fn is_available(&self) -> bool {
        self.is_enabled() && self.place.admits()
    }
}

/// Which replicas are left out.
#[derive(Clone, Copy)]
pub(crate) struct Filter<'a> {
    /// Those at these places.
    pub(crate) without: &'a [usize],
    /// Those that stand back until they have been quiet for so long.
    pub(crate) quiet: Option<Duration>,
    /// Those that failed within this time.
    pub(crate) clean: Option<Duration>,
    pub(crate) heed: Heed,
}

impl Filter<'_> {
    /// Whether the replica at this place can be asked; of most, neither the time nor the lot have to be known for that.
    pub(crate) fn passes(
        &self,
        index: usize,
        member: &Member,
        now: impl Fn() -> Moment,
        lot: impl Fn() -> u64,
    ) -> bool {
        let Member { state, .. } = member;
        let stands_back = |quiet| state.has_stood_back() && state.stands_back(quiet, now());
        let failed = |window| state.last_failure().is_some() && state.failed_within(window, now());
        !self.without.contains(&index)
            && !self.quiet.is_some_and(stands_back)
            && !self.clean.is_some_and(failed)
            && (self.heed.nothing || !self.heed.shuns(index, &state.condition, &now, lot))
            && member.is_available()
    }
}

/// What the replicas' health means to a request.
#[derive(Clone, Copy, Default)]
pub(crate) struct Heed {
    /// Unhealthy replicas are asked, too.
    pub(crate) nothing: bool,
    /// Those that have only just recovered are asked less.
    pub(crate) slow_start: Option<SlowStart>,
}

impl Heed {
    fn shuns(
        self,
        index: usize,
        condition: &Condition,
        now: impl Fn() -> Moment,
        lot: impl Fn() -> u64,
    ) -> bool {
        // The same for one replica and request, however often it is asked.
        let lot = || mix(lot() ^ mix(u64::try_from(index).unwrap_or(u64::MAX)));
        condition.is_shunned()
            || self.slow_start.is_some_and(|slow| condition.holds_back(slow, now(), lot()))
    }
}

/// The replicas that a request can go to: the best tier of them.
///
/// What they are is asked anew each time, so that an iteration may end early, or be empty, when a breaker opens meanwhile.
pub struct Candidates<'a> {
    members: &'a [Member],
    /// The place of the first of them.
    first: usize,
    priority: u8,
    filter: Filter<'a>,
    now: Moment,
    again: bool,
    /// Decides, for each replica that comes back slowly, whether it has this request.
    lot: u64,
    random: Cell<u64>,
}

/// One of the [`Candidates`].
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    member: &'a Member,
    index: usize,
    now: Moment,
}

impl<'a> Candidates<'a> {
    /// Of `members`, sorted by priority, those that `filter` lets pass; none, if there are none.
    pub(crate) fn new(
        members: &'a [Member],
        filter: Filter<'a>,
        now: Moment,
        again: bool,
        random: u64,
    ) -> Option<Self> {
        let all = Self {
            members,
            first: 0,
            priority: 0,
            filter,
            now,
            again,
            lot: random,
            random: Cell::new(random),
        };
        let best = (0..members.len()).find_map(|index| all.at(index))?;
        Some(Self { first: best.index, priority: best.priority(), ..all })
    }

    /// Those that can be asked, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> {
        let candidates = (0..self.members.len()).filter_map(|index| self.at(index));
        candidates.filter(|candidate| candidate.priority() == self.priority)
    }

    /// Whether the request has been sent to another replica before.
    #[must_use]
    pub const fn is_retry(&self) -> bool {
        self.again
    }

    /// A random number below `bound`; zero, if that is zero.
    #[must_use]
    pub fn draw(&self, bound: usize) -> usize {
        // The SplitMix64 generator: an odd step, then a finalizer that mixes all bits.
        self.random.set(self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let high = u128::from(mix(self.random.get())) * u128::try_from(bound).unwrap_or(0);
        usize::try_from(high >> 64).unwrap_or(0)
    }

    /// The one at this place of the list, if it is among them.
    pub(crate) fn get(&self, index: usize) -> Option<Candidate<'a>> {
        self.at(index).filter(|candidate| candidate.priority() == self.priority)
    }

    /// The place of the first of them, as it was found.
    pub(crate) const fn first(&self) -> usize {
        self.first
    }

    /// All of the tier, those that cannot be asked included.
    pub(crate) const fn members(&self) -> &'a [Member] {
        self.members
    }

    /// The one at this place of the list, in whichever tier, if it can be asked.
    fn at(&self, index: usize) -> Option<Candidate<'a>> {
        let member = self.members.get(index)?;
        let passes = self.filter.passes(index, member, || self.now, || self.lot);
        passes.then_some(Candidate { member, index, now: self.now })
    }
}

impl<'a> Candidate<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.member.place.name
    }

    /// Its priority.
    #[must_use]
    pub const fn priority(&self) -> u8 {
        self.member.place.priority
    }

    /// Its weight.
    #[must_use]
    pub const fn weight(&self) -> NonZeroU32 {
        self.member.place.weight
    }

    /// How many requests it has in hand, to the last byte of their responses.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.member.state.in_flight()
    }

    /// How long it takes to answer with headers: a moving average that follows a rise at once, in which a failure counts for
    /// five seconds. It decays while the replica is not asked. Of one never asked it is zero, so that it is, and 30 ms while
    /// its first requests are in hand.
    #[must_use]
    pub fn latency(&self) -> Duration {
        let latency = self.member.state.latency();
        let micros = match latency.known(self.now) {
            None if self.in_flight() == 0 => 0.0,
            _ => latency.average(self.now),
        };
        Duration::from_secs_f32(micros / 1e6)
    }

    pub(crate) const fn index(&self) -> usize {
        self.index
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Candidate").field(&self.name()).finish()
    }
}

/// Spreads every bit of `bits` over all of them.
pub(crate) const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
