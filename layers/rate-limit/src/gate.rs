//! What all services of a layer share, and the steps of a request through it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::request::Parts;

use crate::limit::Limit;
use crate::store::{Asked, Ruling, Standing};
use crate::wait::Waiter;
use crate::{Answer, Cause, Demands, Headers, Key, MissingKey, Store, Throttled, Verdict, fields};

pub(crate) struct Gate<St> {
    pub(crate) limits: Arc<[Limit]>,
    /// Whether some of them charge by the response.
    charges: bool,
    store: St,
}

/// What to do with a request next.
pub(crate) enum Step<F> {
    Pass(Due),
    /// After some time.
    Wait(Duration, Waiter, Due),
    Refuse(Throttled, Option<Standing>),
    /// When the store has answered.
    Ask(F, Option<Waiter>),
}

/// What is due when a request that was let through is answered.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// To say where it stands.
    told: Option<Standing>,
    /// To give back what turns out not to count.
    taken: Option<Box<Taken>>,
}

/// What was taken of limits that charge by the response.
#[derive(Debug)]
struct Taken {
    asked: Asked,
    /// Of each limit a bit: nothing was taken.
    not_of: u8,
}

impl Due {
    pub(crate) const fn is_nothing(&self) -> bool {
        self.told.is_none() && self.taken.is_none()
    }

    pub(crate) fn settle<B>(&self, limits: &[Limit], response: &mut Response<B>) {
        if let Some(standing) = &self.told {
            fields::write(limits, response.headers_mut(), standing);
        }
        let Some(taken) = &self.taken else { return };
        for ((limit, asked), bit) in limits.iter().zip(&taken.asked).zip(bits()) {
            let (Some(charge), Some((key, cost))) = (&limit.charge, asked) else { continue };
            if taken.not_of & bit == 0 && !charge.counts(response.status()) {
                limit.ledger.give_back(key, *cost);
            }
        }
    }
}

/// One for each limit, in their order.
fn bits() -> impl Iterator<Item = u8> {
    (0..u8::BITS).map(|index| 1_u8.wrapping_shl(index))
}

impl<St> Gate<St> {
    pub(crate) fn new(limits: Arc<[Limit]>, store: St) -> Self {
        let charges = limits.iter().any(|limit| limit.charge.is_some());
        Self { limits, charges, store }
    }

    /// Finds the key and the cost for each limit; the error is the refusal, if one asks for a key that is not there.
    fn find(&self, parts: &Parts, asked: &mut Asked) -> Result<(), Throttled> {
        for (limit, slot) in self.limits.iter().zip(asked) {
            if limit.exempt.as_ref().is_some_and(|exempt| exempt.is_exempt(parts)) {
                limit.ledger.meter.exempt();
                continue;
            }
            let key = match limit.key.key(parts) {
                Some(key) => key,
                None => match missing_key(limit)? {
                    Some(key) => key,
                    None => continue,
                },
            };
            let cost = limit.cost.as_ref().map_or(NonZeroU32::MIN, |cost| cost.cost(parts));
            *slot = Some((key, cost));
        }
        Ok(())
    }

    fn limit(&self, standing: &Standing) -> Option<&Limit> {
        self.limits.get(usize::from(standing.limit))
    }

    /// Where a request stands, if it is to be told.
    fn told(&self, standing: Standing, is_refused: bool) -> Option<Standing> {
        let is_told = match self.limit(&standing)?.policy.headers {
            Headers::Always => true,
            Headers::Refusals => is_refused,
            Headers::Never => false,
        };
        is_told.then_some(standing)
    }

    fn due(&self, asked: &Asked, verdict: &Verdict, tightest: Option<Standing>) -> Due {
        let taken = || Box::new(Taken { asked: asked.clone(), not_of: verdict.shadowed });
        let told = tightest.and_then(|standing| self.told(standing, false));
        Due { told, taken: self.charges.then(taken) }
    }

    /// A place to wait for the limit that refuses for the longest time, if that is not too long.
    fn may_wait(&self, verdict: &Verdict) -> Option<Waiter> {
        let Ruling::Refused { standing, retry_after: Some(early) } = &verdict.ruling else {
            return None;
        };
        let limit = self.limit(standing)?;
        let wait = limit.policy.wait.as_ref().filter(|wait| *early <= wait.longest())?;
        Waiter::enter(&limit.ledger, wait)
    }
}

impl<St> Gate<St> {
    /// What is due, and for whom; none if nothing is.
    pub(crate) fn with_limits(&self, due: Due) -> Option<(Arc<[Limit]>, Due)> {
        (!due.is_nothing()).then(|| (self.limits.clone(), due))
    }
}

impl<St: Store> Gate<St> {
    /// The first step of a request, and what it asks for, which is found in its place: it is large.
    pub(crate) fn enter(&self, parts: &Parts, asked: &mut Asked) -> Step<St::Future> {
        match self.find(parts, asked) {
            Ok(()) => self.ask(asked, None),
            Err(throttled) => Step::Refuse(throttled, None),
        }
    }

    fn ask(&self, asked: &Asked, waiter: Option<Waiter>) -> Step<St::Future> {
        match self.store.take(Demands::new(&self.limits, asked, waiter.is_some())) {
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
        // Refused, but for a wait: asked once more, by one who has a place to wait.
        let place = if waiter.is_none() { self.may_wait(&verdict) } else { None };
        if place.is_some() {
            return self.ask(asked, place);
        }
        for demand in Demands::new(&self.limits, asked, false).iter() {
            demand.ledger().count(&demand, &verdict);
        }
        match verdict.ruling {
            Ruling::Admitted { tightest, wait } => {
                let due = self.due(asked, &verdict, tightest);
                match waiter {
                    Some(waiter) if !wait.is_zero() => Step::Wait(wait, waiter, due),
                    _ => Step::Pass(due),
                }
            }
            Ruling::Refused { mut standing, retry_after } => {
                standing.whole_in = retry_after.unwrap_or(standing.whole_in);
                let name = name(self.limit(&standing));
                let told = self.told(standing, true);
                Step::Refuse(Throttled::new(name, Cause::Exceeded, retry_after), told)
            }
            Ruling::Unavailable => {
                let again = Some(Duration::from_secs(1));
                Step::Refuse(
                    Throttled::new(name(self.limits.first()), Cause::StoreAway, again),
                    None,
                )
            }
        }
    }
}

fn name(limit: Option<&Limit>) -> Arc<str> {
    limit.map_or_else(|| Arc::from(""), |limit| limit.name().clone())
}

fn missing_key(limit: &Limit) -> Result<Option<Key>, Throttled> {
    limit.ledger.key_is_missing();
    match limit.policy.missing_key {
        MissingKey::Share => Ok(Some(Key::nobody())),
        MissingKey::Allow => Ok(None),
        MissingKey::Refuse => Err(Throttled::new(limit.name().clone(), Cause::MissingKey, None)),
    }
}

impl<St> fmt::Debug for Gate<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("limits", &self.limits).finish_non_exhaustive()
    }
}
