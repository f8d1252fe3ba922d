use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::gcra::Pace;
use crate::ledger::{Ledger, nanos};
use crate::limit::Limit;
use crate::{Headers, Key, Mode, Quota};

/// Where allowances are kept.
///
/// [`InMemory`](crate::InMemory) is the default, and never waits. With the feature `redis` there is `Redis`, which machines share.
pub trait Store: Send + Sync {
    /// The verdict of a store that has to ask somebody. It must not fail: a store decides what is let through when
    /// whoever it asks is away.
    type Future: Future<Output = Verdict> + Send;

    /// Takes what all demands ask for, or nothing at all.
    ///
    /// A demand that is not [enforced](Demand::is_enforced) never makes it nothing. A request may wait for what it takes, up
    /// to the [patience](Demand::patience) of each demand; the verdict says how long. The memory of this process is there
    /// for who falls back to it: [`Demands::take_in_memory`].
    fn take(&self, demands: Demands<'_>) -> Answer<Self::Future>;
}

/// A verdict, or the promise of one.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "it is known or it is not")]
pub enum Answer<F> {
    /// At once.
    Now(Verdict),
    /// When the future completes. A request whose future is dropped may have been taken for.
    Later(F),
}

/// What one request asks of all its limits.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'a> {
    limits: &'a Arc<[Limit]>,
    asked: &'a Asked,
    may_wait: bool,
}

/// The same, for who has to wait.
#[derive(Clone, Debug)]
#[must_use = "they are nothing by themselves"]
pub struct KeptDemands {
    limits: Arc<[Limit]>,
    asked: Asked,
    may_wait: bool,
}

/// The key and the cost for each limit that has a say.
pub(crate) type Asked = [Option<(Key, NonZeroU32)>; MOST_LIMITS];

/// What one request asks of one limit.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    limit: &'a Limit,
    index: u8,
    key: &'a Key,
    cost: NonZeroU32,
    may_wait: bool,
}

impl<'a> Demands<'a> {
    pub(crate) const fn new(limits: &'a Arc<[Limit]>, asked: &'a Asked, may_wait: bool) -> Self {
        Self { limits, asked, may_wait }
    }

    /// A copy that outlives the call; see [`KeptDemands::demands`].
    pub fn keep(&self) -> KeptDemands {
        let (limits, asked) = (self.limits.clone(), self.asked.clone());
        KeptDemands { limits, asked, may_wait: self.may_wait }
    }

    /// In the order of the limits, without those that have no say.
    pub fn iter(&self) -> impl Iterator<Item = Demand<'a>> + use<'a> {
        let may_wait = self.may_wait;
        let demands = self.limits.iter().zip(self.asked).zip(0_u8..);
        demands.filter_map(move |((limit, asked), index)| {
            let (key, cost) = asked.as_ref()?;
            Some(Demand { limit, index, key, cost: *cost, may_wait })
        })
    }
}

impl KeptDemands {
    /// What they were made of.
    #[must_use]
    pub const fn demands(&self) -> Demands<'_> {
        Demands::new(&self.limits, &self.asked, self.may_wait)
    }
}

impl<'a> Demand<'a> {
    /// The limit's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.limit.name()
    }

    /// Whose allowance it is, in bytes that mean nothing outside of this limit.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        self.key.as_bytes()
    }

    /// How many units.
    #[must_use]
    pub const fn cost(&self) -> NonZeroU32 {
        self.cost
    }

    /// Of what quota, as it is now.
    pub fn quota(&self) -> Quota {
        self.ledger().quota()
    }

    /// How long the request may wait for them. Nothing waits for a limit that is not enforced.
    #[must_use]
    pub fn patience(&self) -> Duration {
        let waits = self.may_wait && self.is_enforced();
        if waits { self.limit.policy.patience() } else { Duration::ZERO }
    }

    /// Whether the request is refused if they are not there.
    #[must_use]
    pub const fn is_enforced(&self) -> bool {
        matches!(self.limit.policy.mode, Mode::Enforce)
    }

    pub(crate) const fn index(&self) -> u8 {
        self.index
    }

    pub(crate) const fn hashed(&self) -> &'a Key {
        self.key
    }

    pub(crate) const fn bit(&self) -> u8 {
        1_u8.wrapping_shl(self.index as u32)
    }

    /// Whether who is let through is told what is left.
    pub(crate) const fn is_announced(&self) -> bool {
        self.is_enforced() && matches!(self.limit.policy.headers, Headers::Always)
    }

    pub(crate) fn ledger(&self) -> &'a Ledger {
        &self.limit.ledger
    }

    pub(crate) fn pace(&self) -> Pace {
        self.ledger().pace(self.cost)
    }

    pub(crate) fn patient_pace(&self) -> Pace {
        self.pace().patient(nanos(self.patience()))
    }
}

/// What a store says of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a verdict does nothing by itself"]
pub struct Verdict {
    pub(crate) ruling: Ruling,
    /// Of each limit a bit: exceeded, and not enforced.
    pub(crate) shadowed: u8,
    /// Of each limit a bit: exceeded, and enforced.
    pub(crate) refused: u8,
    /// Of each limit a bit: the key found no place of its own.
    pub(crate) crowded: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ruling {
    /// Of the limit that has the least left.
    Admitted { tightest: Option<Standing>, wait: Duration },
    /// By the limit that it has to wait longest for; no time if waiting is no use.
    Refused { standing: Standing, retry_after: Option<Duration> },
    /// Nobody knows, and nothing is let through.
    Unavailable,
}

/// How much of a limit is left to a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) limit: u8,
    pub(crate) left: u32,
    pub(crate) whole_in: Duration,
}

impl Verdict {
    /// Lets a request through, and knows nothing of what is left.
    pub const fn admitted() -> Self {
        let ruling = Ruling::Admitted { tightest: None, wait: Duration::ZERO };
        Self { ruling, shadowed: 0, refused: 0, crowded: 0 }
    }

    /// Refuses a request: the store is not there, and nothing is to be let through without it.
    pub const fn unavailable() -> Self {
        Self { ruling: Ruling::Unavailable, shadowed: 0, refused: 0, crowded: 0 }
    }

    /// Refuses a request that exceeds the limit of `demand`, of which so many units are `left`.
    ///
    /// If others are exceeded, too, this is the one to wait longest for, so that who comes back then is let through. With
    /// no time it costs more than there ever is.
    pub fn refused(demand: &Demand<'_>, left: u32, retry_after: Option<Duration>) -> Self {
        let whole_in = retry_after.unwrap_or_default();
        let standing = Standing { limit: demand.index, left, whole_in };
        let ruling = Ruling::Refused { standing, retry_after };
        Self { ruling, shadowed: 0, refused: demand.bit(), crowded: 0 }
    }

    /// Says that a request that is let through has to wait.
    pub const fn wait(mut self, time: Duration) -> Self {
        if let Ruling::Admitted { wait, .. } = &mut self.ruling {
            *wait = time;
        }
        self
    }

    /// Says that so many units are left to a request that is let through, and when all of them will be back.
    ///
    /// This is of the limit of which the least is left.
    pub const fn left(mut self, demand: &Demand<'_>, left: u32, whole_in: Duration) -> Self {
        if let Ruling::Admitted { tightest, .. } = &mut self.ruling {
            *tightest = Some(Standing { limit: demand.index, left, whole_in });
        }
        self
    }

    /// Says that the limit of `demand` is exceeded: enforced, it is why the request is refused.
    pub const fn exceeded(mut self, demand: &Demand<'_>) -> Self {
        if demand.is_enforced() {
            self.refused |= demand.bit();
        } else {
            self.shadowed |= demand.bit();
        }
        self
    }
}

/// As many as a [`Verdict`] has bits for.
pub(crate) const MOST_LIMITS: usize = 8;
