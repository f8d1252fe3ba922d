use std::cell::OnceCell;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tokio::time::Instant;

use crate::candidates::{Candidates, Filter, Heed, Member};
use crate::moment::Moment;
use crate::random::random;
use crate::shared::Shared;
use crate::{Attempt, Attempts, Pick};

/// The way of one request through the replicas.
#[derive(Debug, Default)]
pub(crate) struct Course {
    attempts: u32,
    /// None, as long as nothing has gone wrong.
    met: Option<Box<Met>>,
}

/// What a request has met on its way.
#[derive(Debug, Default)]
struct Met {
    trail: Vec<Attempt>,
    /// Not to be asked in this round.
    without: Vec<usize>,
    /// Never to be asked again.
    out: Vec<usize>,
    /// Not ready when they were asked.
    busy: Vec<usize>,
    failures: Vec<Failure>,
    backs: u32,
}

#[derive(Debug)]
struct Failure {
    index: usize,
    not_before: Instant,
}

/// Where a request goes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Go {
    pub(crate) index: usize,
    /// Not before this.
    pub(crate) at: Option<Instant>,
    /// Waits for the replica to become ready.
    pub(crate) patient: bool,
}

/// What a request's way depends on, apart from what it has met so far.
pub(crate) struct Terrain<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) members: &'a [Member],
    pub(crate) pick: &'a dyn Pick,
    pub(crate) request: &'a Parts,
    /// How many times the request may be sent.
    pub(crate) most: u32,
    pub(crate) deadline: Option<Instant>,
    pub(crate) now: Instant,
    pub(crate) random: OnceCell<u64>,
}

impl Terrain<'_> {
    /// The place of one that `filter` lets pass.
    fn among(&self, filter: &Filter<'_>, again: bool) -> Option<usize> {
        self.within(filter, again).or_else(|| {
            // Nobody else is there to take the rest of who comes back slowly.
            filter.heed.slow_start?;
            let heed = Heed { slow_start: None, ..filter.heed };
            self.within(&Filter { heed, ..*filter }, again)
        })
    }

    fn within(&self, filter: &Filter<'_>, again: bool) -> Option<usize> {
        let Terrain { shared, members, pick, request, .. } = self;
        if shared.fails_back() {
            // In the order of the list it is the first, whatever there is behind it.
            let passes = |(index, member): &(usize, &Member)| {
                filter.passes(*index, member, || self.moment(), || self.random())
            };
            return members.iter().enumerate().find(passes).map(|(index, _)| index);
        }
        let candidates = Candidates::new(members, *filter, self.moment(), again, self.random())?;
        let picked = pick.pick(&candidates, request);
        Some(picked.map_or_else(|| candidates.first(), |picked| picked.index()))
    }

    /// The time, as the replicas' states have it.
    fn moment(&self) -> Moment {
        self.shared.moment(self.now)
    }

    /// The same number each time.
    fn random(&self) -> u64 {
        *self.random.get_or_init(random)
    }

    fn heed(&self) -> Heed {
        let Some(check) = &self.shared.settings.health else { return Heed::default() };
        let enabled = || self.members.iter().filter(|member| member.is_enabled());
        let healthy = || enabled().filter(|member| member.is_healthy()).count();
        let nothing = check.may_panic() && check.panics(healthy(), enabled().count());
        Heed { nothing, slow_start: check.slow_start }
    }
}

impl Course {
    /// How many times the request has been sent.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn trail(&self) -> &[Attempt] {
        self.met.as_ref().map_or(&[], |met| &met.trail)
    }

    /// The request is sent.
    pub(crate) const fn sent(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
    }

    /// The request was sent, but did not reach the replica.
    pub(crate) const fn not_sent(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
    }

    pub(crate) fn note(&mut self, attempt: Attempt) {
        self.met().trail.push(attempt);
    }

    /// The replica is not asked again.
    pub(crate) fn leave_out(&mut self, index: usize) {
        self.met().leave_out(index);
    }

    /// The replica is not ready: others are asked before it is waited for.
    pub(crate) fn busy(&mut self, index: usize) {
        let met = self.met();
        met.busy.push(index);
        met.without.push(index);
    }

    /// The replica failed, and said `Retry-After`, or not.
    pub(crate) fn failed(
        &mut self,
        index: usize,
        retry_after: Option<Duration>,
        most: Duration,
        now: Instant,
    ) {
        let met = self.met();
        let wait = retry_after.unwrap_or_default();
        match now.checked_add(wait) {
            Some(not_before) if wait <= most => {
                met.failures.push(Failure { index, not_before });
                met.without.push(index);
            }
            _ => met.leave_out(index),
        }
    }

    /// Where the request goes next, if anywhere.
    pub(crate) fn choose(&mut self, terrain: &Terrain<'_>) -> Option<Go> {
        if self.attempts >= terrain.most {
            return None;
        }
        match &mut self.met {
            None => first(terrain).map(Go::at_once),
            Some(met) => met.choose(self.attempts, terrain),
        }
    }

    /// Where the request goes beside the replicas at these places, if anywhere: to one that has not failed lately.
    pub(crate) fn beside(&self, asked: &[usize], terrain: &Terrain<'_>) -> Option<usize> {
        let without = [self.met.as_ref().map_or(&[][..], |met| &met.without), asked].concat();
        let clean = Some(terrain.shared.policy().failback_after);
        let heed = terrain.heed();
        terrain.among(&Filter { without: &without, quiet: None, clean, heed }, true)
    }

    /// Whether the request has been anywhere but where its response comes from.
    pub(crate) fn is_long(&self) -> bool {
        self.attempts > 1 || !self.trail().is_empty()
    }

    /// What the response says of the way, and what is not needed any more.
    #[cold]
    pub(crate) fn end(&mut self, served_by: Option<Arc<str>>) -> Attempts {
        // An empty slice takes no allocation this way.
        let trail = match self.met.take().map(|met| met.trail) {
            Some(trail) if !trail.is_empty() => trail.into(),
            _ => Arc::default(),
        };
        Attempts::new(served_by, self.attempts, trail)
    }

    fn met(&mut self) -> &mut Met {
        self.met.get_or_insert_default()
    }
}

impl Met {
    fn leave_out(&mut self, index: usize) {
        self.out.push(index);
        self.without.push(index);
    }

    fn choose(&mut self, attempts: u32, terrain: &Terrain<'_>) -> Option<Go> {
        let index = match self.pick(terrain) {
            Some(index) => index,
            None if !self.busy.is_empty() => {
                let busy = mem::take(&mut self.busy);
                return Some(Go { index: *busy.first()?, at: None, patient: true });
            }
            None if attempts == 0 && self.failures.is_empty() => return None,
            None => {
                self.without.clone_from(&self.out);
                self.pick(terrain)?
            }
        };
        let at = self.not_before(index, terrain);
        if at.is_some_and(|at| terrain.deadline.is_some_and(|deadline| at >= deadline)) {
            return None;
        }
        self.affords(index, terrain).then(|| {
            self.backs += u32::from(at.is_some());
            Go { index, at, patient: false }
        })
    }

    /// When a replica that failed this request may be asked again.
    fn not_before(&self, index: usize, terrain: &Terrain<'_>) -> Option<Instant> {
        let failure = self.failures.iter().rev().find(|failure| failure.index == index)?;
        let wait = terrain.shared.policy().backoff.wait(self.backs + 1, terrain.random());
        // A time that no clock reaches is not waited for here, but cut short by the deadline.
        Some(terrain.now.checked_add(wait).unwrap_or(failure.not_before).max(failure.not_before))
    }

    /// Whether the budget lets a request that failed elsewhere go to a replica that failed lately, too.
    fn affords(&self, index: usize, terrain: &Terrain<'_>) -> bool {
        let Terrain { shared, members, .. } = terrain;
        let window = shared.policy().failback_after;
        let failed = |member: &Member| member.state.failed_within(window, terrain.moment());
        let failed_here = self.failures.iter().any(|failure| failure.index == index);
        if self.failures.is_empty() || !(failed_here || members.get(index).is_some_and(failed)) {
            return true;
        }
        let affords = shared.budget.withdraw(terrain.moment());
        if !affords {
            shared.meters.budget_exhausted();
        }
        affords
    }

    fn pick(&self, terrain: &Terrain<'_>) -> Option<usize> {
        let heed = terrain.heed();
        let all = Filter { without: &self.without, quiet: None, clean: None, heed };
        if self.failures.is_empty() {
            return untried(terrain, &all);
        }
        let clean = Filter { clean: Some(terrain.shared.policy().failback_after), ..all };
        terrain.among(&clean, true).or_else(|| terrain.among(&all, true))
    }
}

impl Go {
    const fn at_once(index: usize) -> Self {
        Self { index, at: None, patient: false }
    }
}

/// The replica for a request that has met nothing yet.
fn first(terrain: &Terrain<'_>) -> Option<usize> {
    let heed = terrain.heed();
    untried(terrain, &Filter { without: &[], quiet: None, clean: None, heed })
}

/// The replica for a request that has failed at none, among those that `all` lets pass.
fn untried(terrain: &Terrain<'_>, all: &Filter<'_>) -> Option<usize> {
    if terrain.shared.fails_back() {
        let quiet = terrain.shared.policy().failback_after;
        let settled = Filter { quiet: Some(quiet), ..*all };
        // Each turn of the loop loses one that another request has just begun to try.
        for _ in terrain.members {
            let Some(index) = terrain.among(&settled, false) else { break };
            if terrain.members.get(index)?.state.may_be_tried(quiet, || terrain.moment()) {
                return Some(index);
            }
        }
    }
    terrain.among(all, false)
}
