//! Limits by their names, and who is under them.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use metrics::with_local_recorder;
use portcullis_concurrency_limit::{
    ConcurrencyLimitHandle, ConcurrencyLimitLayer, ConcurrencyPolicy,
};
use portcullis_rate_limit::{
    InvalidLimits, Limit, LimitPolicy, RateLimitHandle, RateLimitLayer, Redis,
};

use crate::config::{self, Config, Cost, Files, Problem, Spanned};
use crate::limit::RateLimits;
use crate::telemetry::Recorder;

use super::limit_key::{KeyOf, Place, is_exempt};
use super::origin::Origin;
use super::routes::bad_path;
use super::{Plan, named, problem, read_secret};

/// The limits of a configuration, by name, and where they are kept.
#[derive(Debug, Default)]
pub struct LimitPlans {
    rates: BTreeMap<String, Arc<RatePlan>>,
    concurrency: BTreeMap<String, Arc<ConcurrencyPlan>>,
    stores: BTreeMap<String, StorePlan>,
}

/// How much is allowed in a time.
#[derive(Debug)]
struct RatePlan {
    section: config::Limit,
    policy: LimitPolicy,
    key: KeyOf,
    limit: Limit,
}

/// How many may be under way at once.
#[derive(Debug)]
struct ConcurrencyPlan {
    section: config::Limit,
    key: KeyOf,
    layer: ConcurrencyLimitLayer,
}

/// Where machines share limits.
#[derive(Debug)]
struct StorePlan {
    origin: Origin<config::Store>,
    redis: Arc<Redis>,
}

impl LimitPlans {
    pub(super) fn of(
        config: &Config,
        before: Option<&Plan>,
        recorder: &Recorder,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let before = before.map(|before| &before.limits);
        let mut plans = Self { stores: stores(config, before, problems), ..Self::default() };
        for (name, section) in &config.limit {
            let key = format!("limit.{name}");
            let sources = section.get_ref().key.as_ref();
            let key_of = KeyOf::new(sources.map_or(&[], |sources| &sources.get_ref().0));
            let Ok(key_of) = key_of.map_err(|message| {
                let span = sources.map(Spanned::span);
                problems.push(Problem::new(format!("{key}.key"), span, message));
            }) else {
                continue;
            };
            check(config, section, &key, problems);
            let limit = section.get_ref();
            match (&limit.rate, &limit.concurrency) {
                (Some(policy), None) => {
                    let before = before.and_then(|before| before.rates.get(name));
                    let make = || rate(name, limit, policy.get_ref(), key_of, before);
                    let plan = with_local_recorder(recorder, make);
                    plans.rates.insert(name.clone(), plan);
                }
                (None, Some(policy)) => {
                    let before = before.and_then(|before| before.concurrency.get(name));
                    let make = || concurrency(name, limit, policy.get_ref(), key_of, before);
                    let plan = with_local_recorder(recorder, make);
                    plans.concurrency.insert(name.clone(), plan);
                }
                _ => {
                    let message = "exactly one of `rate` and `concurrency` is needed";
                    problems.push(problem(&key, section, message));
                }
            }
        }
        plans
    }

    /// Those that are applied together at a place, if there are any.
    pub(super) fn rate_limits(
        &self,
        config: &Config,
        names: &[Spanned<String>],
        key: &str,
        place: Place<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<RateLimits> {
        let first = names.first()?;
        let mut plans = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let key = format!("{key}[{index}]");
            let found = find(config, name, "rate", &self.rates, &key, problems);
            if let Some(message) = found.and_then(|plan| plan.key.never_at(place, config)) {
                problems.push(problem(&key, name, format!("`{}`: {message}", name.get_ref())));
            }
            plans.extend(found);
        }
        let store = |plan: &&Arc<RatePlan>| plan.section.store.clone();
        if plans.iter().any(|plan| store(plan) != plans.first().and_then(store)) {
            let message = "limits that are applied together are kept in one `store`: a request takes of all of them, or of none";
            problems.push(problem(key, first, message));
        }
        if plans.len() < names.len() {
            return None; // which has been said
        }
        let layer = RateLimitLayer::new(plans.iter().map(|plan| plan.limit.clone()));
        let failed = |invalid: InvalidLimits| {
            problems.push(problem(key, first, invalid.to_string()));
        };
        let store = plans.first().and_then(store);
        let store = store.and_then(|name| self.stores.get(name.get_ref()));
        let layer = layer.map_err(failed).ok()?;
        Some(RateLimits::new(layer, store.map(|store| store.redis.clone())))
    }

    /// The one that is applied to a route, if there is one.
    pub(super) fn concurrency_limit(
        &self,
        config: &Config,
        name: Option<&Spanned<String>>,
        key: &str,
        place: Place<'_>,
        problems: &mut Vec<Problem>,
    ) -> Option<ConcurrencyLimitLayer> {
        let name = name?;
        let plan = find(config, name, "concurrency", &self.concurrency, key, problems)?;
        if let Some(message) = plan.key.never_at(place, config) {
            problems.push(problem(key, name, format!("`{}`: {message}", name.get_ref())));
        }
        Some(plan.layer.clone())
    }

    /// Allows what the configuration says from now on: limits that go on have had the quotas of before until now.
    pub(crate) fn adopt(&self) {
        for plan in self.rates.values() {
            plan.limit.handle().change_quota(plan.policy.quota());
        }
    }

    /// What is known of each limit of a rate, by its name.
    pub fn rates(&self) -> impl Iterator<Item = RateLimitHandle> {
        self.rates.values().map(|plan| plan.limit.handle())
    }

    /// What is known of each limit of requests at once, with its name.
    pub fn concurrency(&self) -> impl Iterator<Item = (&str, ConcurrencyLimitHandle)> {
        self.concurrency.iter().map(|(name, plan)| (&**name, plan.layer.handle()))
    }

    /// The stores, as workers are to have them.
    pub(crate) fn stores(&self) -> impl Iterator<Item = Arc<Redis>> {
        self.stores.values().map(|store| store.redis.clone())
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &Files> {
        self.stores.values().map(|store| store.origin.files())
    }
}

/// The limit of this name, and of this kind.
fn find<'p, T>(
    config: &Config,
    name: &Spanned<String>,
    kind: &str,
    known: &'p BTreeMap<String, Arc<T>>,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<&'p Arc<T>> {
    let found = known.get(name.get_ref());
    if found.is_none() && named(name, "limit", config.limit.keys(), key, problems).is_some() {
        let message = format!("`[limit.{}]` has no `{kind}`", name.get_ref());
        let problem = problem(key, name, message);
        problems.push(problem.referring_to(format!("limit.{}", name.get_ref())));
    }
    found
}

fn check(
    config: &Config,
    section: &Spanned<config::Limit>,
    key: &str,
    problems: &mut Vec<Problem>,
) {
    let limit = section.get_ref();
    if let Some(name) = &limit.store {
        named(name, "store", config.store.keys(), &format!("{key}.store"), problems);
    }
    for path in limit.exempt.iter().flat_map(|exempt| &exempt.paths) {
        if let Some(message) = bad_path(path.get_ref()) {
            problems.push(problem(&format!("{key}.exempt.paths"), path, message));
        }
    }
    let charges = !limit.charge.is_empty();
    let says_more = limit.cost.is_some() || limit.exempt.is_some() || charges;
    if limit.rate.is_none() && (says_more || limit.store.is_some()) {
        let message = "`cost`, `exempt`, `charge` and `store` go with `rate`";
        problems.push(problem(key, section, message));
    }
    if charges && limit.store.is_some() {
        let message =
            "what is shared in a `store` is not given back, and so not charged by responses";
        problems.push(problem(&format!("{key}.charge"), section, message));
    }
    let Some((cost, rate)) = limit.cost.as_ref().zip(limit.rate.as_ref()) else { return };
    let key = format!("{key}.cost");
    let most = rate.get_ref().quota().most();
    let (methods, dearest) = match cost.get_ref() {
        Cost::Each(units) => (None, Some(*units)),
        Cost::ByMethod(units) => (Some(units.keys()), units.values().max().copied()),
    };
    if dearest.is_some_and(|units| units > most) {
        let message = format!(
            "there are never more than {most} units, and so such a request is never let through"
        );
        problems.push(problem(&key, cost, message));
    }
    let is_method =
        |name: &&String| name.parse::<Method>().is_ok() && **name == name.to_ascii_uppercase();
    for name in methods.into_iter().flatten().filter(|name| !is_method(name)) {
        problems.push(problem(&key, cost, format!("`{name}` is no method like \"GET\"")));
    }
}

/// The plan of before if the section is the same, and its allowances if they are for the same keys.
fn rate(
    name: &str,
    section: &config::Limit,
    policy: &LimitPolicy,
    key: KeyOf,
    before: Option<&Arc<RatePlan>>,
) -> Arc<RatePlan> {
    if let Some(kept) = before.filter(|before| before.section == *section) {
        return kept.clone();
    }
    let mut limit = match before.filter(|before| before.section.key == section.key) {
        Some(before) => before.limit.renewed(policy.clone()),
        None => Limit::new(name, policy.clone()),
    };
    let key_of = key.clone();
    limit = limit.key(move |parts: &http::request::Parts| key_of.key(parts));
    if let Some(cost) = section.cost.clone() {
        limit = limit.cost(move |parts| cost.get_ref().of(&parts.method));
    }
    if !section.charge.is_empty() {
        let charge = section.charge.clone();
        limit = limit.charge(move |status| charge.contains(&status));
    }
    if let Some(exempt) = section.exempt.clone() {
        limit = limit.exempt(move |parts| is_exempt(&exempt, parts));
    }
    Arc::new(RatePlan { section: section.clone(), policy: policy.clone(), key, limit })
}

fn concurrency(
    name: &str,
    section: &config::Limit,
    policy: &ConcurrencyPolicy,
    key: KeyOf,
    before: Option<&Arc<ConcurrencyPlan>>,
) -> Arc<ConcurrencyPlan> {
    if let Some(kept) = before.filter(|before| before.section == *section) {
        return kept.clone();
    }
    let layer = if section.key.is_some() {
        let key_of = key.clone();
        ConcurrencyLimitLayer::per_key(name, policy.clone(), move |parts| key_of.key(parts))
    } else {
        ConcurrencyLimitLayer::new(name, policy.clone())
    };
    Arc::new(ConcurrencyPlan { section: section.clone(), key, layer })
}

fn stores(
    config: &Config,
    before: Option<&LimitPlans>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, StorePlan> {
    let mut plans = BTreeMap::new();
    for (name, section) in &config.store {
        let before = before.and_then(|before| before.stores.get(name));
        let make = || store(config, section.get_ref(), &format!("store.{name}"), problems);
        let (origin, made) = Origin::of(config, section.get_ref().clone(), make);
        let kept = before.filter(|before| before.origin.is(section.get_ref()));
        let redis = kept.map(|kept| kept.redis.clone());
        if let Some(redis) = redis.or_else(|| made.map(Arc::new)) {
            plans.insert(name.clone(), StorePlan { origin, redis });
        }
    }
    plans
}

fn store(
    config: &Config,
    section: &config::Store,
    key: &str,
    problems: &mut Vec<Problem>,
) -> Option<Redis> {
    let key = format!("{key}.redis");
    let url = read_secret(config, &section.redis, &key, problems)?;
    let invalid = |error: portcullis_rate_limit::InvalidUrl| {
        problems.push(problem(&key, &section.redis, error.to_string()));
    };
    let mut redis = Redis::new(&url).map_err(invalid).ok()?;
    if let Some(prefix) = &section.prefix {
        redis = redis.prefix(prefix.as_str());
    }
    Some(redis.time_limit(section.time_limit).when_away(section.when_away))
}
