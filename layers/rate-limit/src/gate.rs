//! What all services of a layer share, and the steps of a request through it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::request::Parts;

use crate::fields::Fields;
use crate::limit::Limit;
use crate::meters::Meters;
use crate::store::{Asked, Ruling, Standing};
use crate::wait::{Waiter, Waiters};
use crate::{Answer, Cause, Demands, Key, Memory, MissingKey, Store, Throttled, Verdict, Wait};

/// The limits, and what is known of the requests so far.
pub(crate) struct Limits {
    pub(crate) limits: Arc<[Limit]>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) fields: Fields,
    pub(crate) waiters: Waiters,
    meters: Meters,
    /// That a request had no key has been said.
    warned: AtomicBool,
}

pub(crate) struct Gate<St> {
    pub(crate) limits: Arc<Limits>,
    pub(crate) store: St,
    pub(crate) wait: Option<Wait>,
    pub(crate) exempt: Option<Arc<dyn Exempt>>,
    pub(crate) announced: bool,
}

/// Says which requests are none of the limits' business.
pub(crate) trait Exempt: Send + Sync {
    fn is_exempt(&self, parts: &Parts) -> bool;
}

impl<F: Fn(&Parts) -> bool + Send + Sync> Exempt for F {
    fn is_exempt(&self, parts: &Parts) -> bool {
        self(parts)
    }
}

/// What to do with a request next.
pub(crate) enum Step<F> {
    Pass(Option<Standing>),
    /// After some time.
    Wait(Duration, Waiter, Option<Standing>),
    Refuse(Throttled, Option<Standing>),
    /// When the store has answered.
    Ask(F, Option<Waiter>),
}

impl Limits {
    pub(crate) fn new(limits: Arc<[Limit]>) -> Self {
        Self {
            memory: Arc::new(Memory::new(&limits)),
            fields: Fields::new(&limits),
            meters: Meters::new(&limits),
            waiters: Waiters::default(),
            warned: AtomicBool::new(false),
            limits,
        }
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.limits.iter().position(|limit| &*limit.name == name)
    }

    /// Finds the key and the cost for each limit; the error is the refusal, if one asks for a key that is not there.
    fn find(&self, parts: &Parts, asked: &mut Asked) -> Result<(), Throttled> {
        for (limit, slot) in self.limits.iter().zip(asked) {
            let key = match limit.key.key(parts) {
                Some(key) => Some(key),
                None => self.missing_key(limit)?,
            };
            let cost = limit.cost.as_ref().map_or(NonZeroU32::MIN, |cost| cost.cost(parts));
            *slot = key.map(|key| (key, cost));
        }
        Ok(())
    }

    fn missing_key(&self, limit: &Limit) -> Result<Option<Key>, Throttled> {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(limit = &*limit.name, "a request has no key, and others may have none");
        }
        self.meters.missing_key(&limit.name);
        match limit.policy.missing_key {
            MissingKey::Share => Ok(Some(Key::nobody())),
            MissingKey::Allow => Ok(None),
            MissingKey::Refuse => Err(Throttled::new(limit.name.clone(), Cause::MissingKey, None)),
        }
    }
}

impl<St: Store> Gate<St> {
    /// The first step of a request, and what it asks for, which is found in its place: it is large.
    pub(crate) fn enter(&self, parts: &Parts, asked: &mut Asked) -> Step<St::Future> {
        if self.exempt.as_ref().is_some_and(|exempt| exempt.is_exempt(parts)) {
            self.limits.meters.exempt();
            return Step::Pass(None);
        }
        match self.limits.find(parts, asked) {
            Ok(()) => self.ask(asked, None, Duration::ZERO),
            Err(throttled) => Step::Refuse(throttled, None),
        }
    }

    fn ask(&self, asked: &Asked, waiter: Option<Waiter>, patience: Duration) -> Step<St::Future> {
        let demands = Demands::new(&self.limits.limits, asked);
        match self.store.take(demands, patience, &self.limits.memory) {
            Answer::Now(verdict) => self.settle(asked, waiter, verdict),
            Answer::Later(future) => Step::Ask(future, waiter),
        }
    }

    /// The step after the store has answered.
    pub(crate) fn settle(
        &self,
        asked: &Asked,
        waiter: Option<Waiter>,
        verdict: Verdict,
    ) -> Step<St::Future> {
        let limits = &*self.limits;
        if waiter.is_none() {
            // Refused, but for a wait: asked once more, by one who has a place to wait.
            let wait = self.wait.as_ref();
            let wait =
                wait.filter(|wait| verdict.retry_after().is_some_and(|it| it <= wait.longest()));
            if let Some((wait, waiter)) =
                wait.and_then(|wait| Some((wait, limits.waiters.enter(wait)?)))
            {
                return self.ask(asked, Some(waiter), wait.longest());
            }
        }
        limits.meters.count(Demands::new(&limits.limits, asked), &verdict, &limits.memory);
        match verdict.ruling {
            Ruling::Admitted { tightest, wait } => match waiter {
                Some(waiter) if !wait.is_zero() => Step::Wait(wait, waiter, tightest),
                _ => Step::Pass(tightest),
            },
            Ruling::Refused { mut standing, retry_after } => {
                standing.whole_in = retry_after.unwrap_or(standing.whole_in);
                let limit = limits.limits.get(usize::from(standing.limit));
                let name = limit.map_or_else(|| Arc::from(""), |limit| limit.name.clone());
                Step::Refuse(Throttled::new(name, Cause::Exceeded, retry_after), Some(standing))
            }
            Ruling::Unavailable => {
                let name =
                    limits.limits.first().map_or_else(|| Arc::from(""), |it| it.name.clone());
                let again = Some(Duration::from_secs(1));
                Step::Refuse(Throttled::new(name, Cause::StoreAway, again), None)
            }
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("limits", &self.limits)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

impl<St> fmt::Debug for Gate<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("limits", &self.limits)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
