//! The keys of an issuer that is asked for them.

use std::fmt;
use std::future::{Future, ready};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::desk::{Desk, Found, Landings};
use crate::fetch::Fetch;
use crate::keys::Keys;
use crate::location::{Location, discovered};
use crate::meters::Meters;
use crate::refresh::{Advice, Need};
use crate::snapshot::Snapshot;
use crate::token::Token;
use crate::valid::Signer;
use crate::{ConfigError, Key, RefreshError, RefreshPolicy, Unauthorized};

/// The keys of an issuer that is asked for them, and the asking.
pub(crate) struct Store {
    location: Location,
    client: Arc<dyn Fetch>,
    policy: RefreshPolicy,
    desk: Desk,
    /// Who asks on behalf of a request.
    task: Mutex<Option<AbortHandle>>,
    hasher: RandomState,
    meters: Meters,
}

/// Why a token could not be told to be signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing {
    /// None of the keys is the token's, for which it would be refused like this; or there are none that may be used.
    reason: Option<Unauthorized>,
    /// How often somebody had asked for the keys that were looked at.
    landings: u64,
}

impl Missing {
    /// In keys that never change.
    pub(crate) const fn for_ever(reason: Unauthorized) -> Self {
        Self { reason: Some(reason), landings: 0 }
    }

    /// How a token is refused of which nobody can be asked.
    pub(crate) fn reason(self) -> Unauthorized {
        self.reason.unwrap_or(Unauthorized::KeysUnavailable { retry_after: Duration::ZERO })
    }
}

/// The end of the asking that is under way.
pub(crate) type Landing = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl Store {
    pub(crate) fn new(location: Location, client: Arc<dyn Fetch>, policy: RefreshPolicy) -> Self {
        Self {
            location,
            client,
            desk: Desk::new(policy.clone()),
            policy,
            task: Mutex::new(None),
            hasher: RandomState::new(),
            meters: Meters::new(),
        }
    }

    /// The same issuer, asked as `policy` says, of whom nothing is known.
    pub(crate) fn with(&self, policy: RefreshPolicy) -> Self {
        Self::new(self.location.clone(), self.client.clone(), policy)
    }

    /// Makes the meters, under this name, unless they are there.
    pub(crate) fn measure(&self, issuer: Option<&str>) {
        self.meters.start(|| issuer.map_or_else(|| self.location.uri().to_string(), str::to_owned));
    }

    /// Whether the set that is at hand is the one with this number, and may be used. Who remembers it keeps it fresh, too.
    pub(crate) fn stands_by(self: &Arc<Self>, generation: u64) -> bool {
        let now = Instant::now();
        let snapshot = self.desk.look();
        let Some(set) = snapshot.usable(now) else {
            return false;
        };
        if snapshot.is_due(now) {
            self.start(Need::Due, now);
        }
        set.generation == generation
    }

    /// The key of the set at hand that has signed the token; `time` is the one since 1970.
    pub(crate) fn verify(
        self: &Arc<Self>,
        token: &Token<'_>,
        time: Duration,
    ) -> Result<Signer, Missing> {
        let now = Instant::now();
        let snapshot = self.desk.look();
        let landings = snapshot.landings;
        let Some(set) = snapshot.usable(now) else {
            return Err(Missing { reason: None, landings });
        };
        if snapshot.is_due(now) {
            self.start(Need::Due, now);
        }
        match set.keys.verify(token, time) {
            Ok(key) => Ok(Signer { generation: set.generation, key }),
            Err(reason) => Err(Missing { reason: Some(reason), landings }),
        }
    }

    /// Calls `tell` with the name of the key, if it has one and its set is still at hand.
    pub(crate) fn tell_kid(&self, signer: Signer, tell: impl FnOnce(&str)) {
        let snapshot = self.desk.look();
        let set = snapshot.set.as_ref().filter(|set| set.generation == signer.generation);
        if let Some(kid) = set.and_then(|set| set.keys.kid(signer.key)) {
            tell(kid);
        }
    }

    /// What to do about a token that could not be verified: wait, or refuse it. Who has no `patience` is refused.
    pub(crate) fn settle(
        self: &Arc<Self>,
        missing: Missing,
        token: &Token<'_>,
        patience: bool,
    ) -> Result<Landing, Unauthorized> {
        let now = Instant::now();
        let name = token.kid.as_ref().map(|kid| self.hasher.hash_one(kid));
        let need = match missing.reason {
            None => Need::Keys,
            Some(reason @ Unauthorized::InvalidSignature) if name.is_some() => return Err(reason),
            Some(_) => Need::Key(name),
        };
        // Before anything is asked, so that no landing is missed.
        let mut landings = self.desk.watch();
        if !patience {
            let refused = self.desk.give_up(missing.landings, missing.reason, name, now);
            return self.refused(missing, refused);
        }
        match self.desk.advise_after(missing.landings, need, now) {
            Some(advice @ (Advice::Ask | Advice::Wait)) => {
                self.heed(advice);
                Ok(Box::pin(async move {
                    // The store outlives its requests, and with it the sender.
                    let _ = landings.changed().await;
                }))
            }
            Some(Advice::Unavailable(retry_after)) => {
                Err(Unauthorized::KeysUnavailable { retry_after })
            }
            Some(Advice::Settled) => self.refused(missing, Some(missing.reason())),
            None => self.refused(missing, None),
        }
    }

    /// A token is refused for what was missing, or otherwise; if it is not, there are newer keys to look at now.
    fn refused(
        &self,
        missing: Missing,
        refused: Option<Unauthorized>,
    ) -> Result<Landing, Unauthorized> {
        if refused.is_some() && refused == missing.reason {
            self.meters.unknown_key();
        }
        match refused {
            Some(reason) => Err(reason),
            None => Ok(Box::pin(ready(()))),
        }
    }

    /// Asks if that makes sense.
    fn start(self: &Arc<Self>, need: Need, now: Instant) {
        self.heed(self.desk.advise(need, now));
    }

    /// Asks if that is the advice, in a task of its own: the client that made it necessary may go away, and must not be
    /// able to end it. The task belongs to the store, and ends with it.
    fn heed(self: &Arc<Self>, advice: Advice) {
        if advice == Advice::Ask {
            let flight = self.take_off();
            // Without a runtime the flight is dropped, which is a failure.
            let task = Handle::try_current().map(|runtime| runtime.spawn(flight).abort_handle());
            *self.task.lock().unwrap_or_else(PoisonError::into_inner) = task.ok();
        }
    }

    /// Asks if that makes sense, as far as it is polled, or waits for who is at it. It holds no store.
    pub(crate) fn refresh(self: &Arc<Self>, need: Need) -> impl Future<Output = ()> + Send + use<> {
        let mut landings = self.desk.watch();
        let advice = self.desk.advise(need, Instant::now());
        let flight = (advice == Advice::Ask).then(|| self.take_off());
        async move {
            match flight {
                Some(flight) => flight.await,
                None if advice == Advice::Wait => drop(landings.changed().await),
                None => {}
            }
        }
    }

    /// What asks, once it has been decided that somebody should.
    fn take_off(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let flight = Flight(Some(Arc::downgrade(self)));
        let (client, location) = (self.client.clone(), self.location.clone());
        let (limit, max_bytes) = (self.policy.time_limit, self.policy.max_bytes);
        async move {
            let asked = timeout(limit, ask(&*client, &location, max_bytes)).await;
            flight.land(asked.unwrap_or(Err(RefreshError::TimedOut)));
        }
    }

    fn land(&self, result: Result<Found, RefreshError>) {
        let outcome = result.as_ref().map_or_else(RefreshError::reason, |_| "ok");
        let now = Instant::now();
        self.desk.land(result, now, random(), |before, after| {
            match &after.failure {
                None => self.tell_good(before, after),
                Some(error) => self.tell_bad(before, error, now),
            }
            self.meters.asked(outcome);
        });
    }

    fn tell_good(&self, before: &Snapshot, after: &Snapshot) {
        let (keys, skipped, generation) = (after.keys(), after.skipped(), after.generation());
        self.meters.keys(keys, skipped);
        if generation != before.generation() {
            tracing::info!(from = %self.location.uri(), keys, skipped, generation, "key set replaced");
        } else if before.failure.is_some() {
            tracing::info!(from = %self.location.uri(), keys, generation, "key set confirmed again");
        }
    }

    fn tell_bad(&self, before: &Snapshot, error: &RefreshError, now: Instant) {
        let cause = std::error::Error::source(error).map(tracing::field::display);
        let age = before.age(now).map(|age| age.as_secs());
        if before.failure.is_none() {
            tracing::warn!(from = %self.location.uri(), %error, cause, age, "cannot refresh the key set");
        } else {
            tracing::debug!(from = %self.location.uri(), %error, cause, age, "cannot refresh the key set yet");
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.desk.snapshot()
    }

    /// Changes when somebody has asked. An error says that the store is gone.
    pub(crate) fn watch(&self) -> Landings {
        self.desk.watch()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        task.iter().for_each(AbortHandle::abort);
    }
}

async fn ask(
    client: &dyn Fetch,
    location: &Location,
    max_bytes: usize,
) -> Result<Found, RefreshError> {
    let uri = match location {
        Location::Keys(uri) => uri.clone(),
        Location::Discovery { issuer, document: source } => {
            let document = client.fetch(source.clone(), max_bytes).await?;
            discovered(issuer, source, &document.bytes)?
        }
    };
    let document = client.fetch(uri, max_bytes).await?;
    let (keys, skipped) = usable(&document.bytes).map_err(RefreshError::KeySet)?;
    Ok(Found { keys, skipped, document })
}

/// The keys of a set that may be used, and how many may not.
fn usable(document: &[u8]) -> Result<(Keys, usize), ConfigError> {
    let jwks = Key::jwks(document)?;
    let mut skipped = jwks.skipped().len();
    let mut keys = Vec::new();
    for key in jwks {
        // Whoever can read a set could sign with a secret in it.
        if key.is_secret() {
            skipped += 1;
        } else {
            keys.push(key);
        }
    }
    match keys.len() {
        0 => Err(ConfigError::NoUsableKey { skipped }),
        1..=Keys::LIMIT => Ok((keys.into_iter().collect(), skipped)),
        _ => Err(ConfigError::TooManyKeys(None)),
    }
}

/// Somebody who asks. Dropped on the way, by a runtime that ends or a panic, it has failed.
struct Flight(Option<Weak<Store>>);

impl Flight {
    fn land(mut self, result: Result<Found, RefreshError>) {
        if let Some(store) = self.0.take().and_then(|store| store.upgrade()) {
            store.land(result);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(store) = self.0.take().and_then(|store| store.upgrade()) {
            store.land(Err(RefreshError::Aborted));
        }
    }
}

/// In `0.0..1.0`, good enough to spread load.
fn random() -> f64 {
    // The keys of a hasher are random, and so is what it makes of nothing.
    let bits = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("location", &self.location).finish_non_exhaustive()
    }
}
