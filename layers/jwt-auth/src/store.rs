//! The keys of an issuer that is asked for them.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::fetch::{Document, Fetch};
use crate::keys::Keys;
use crate::location::{Location, discovered};
use crate::meters::Meters;
use crate::refresh::{Advice, Good, Need, Refresh};
use crate::token::Token;
use crate::{ConfigError, Key, RefreshError, RefreshPolicy, Unauthorized};

/// The keys of an issuer that is asked for them, and the asking.
///
/// Requests read a snapshot, without a lock. The lock is for who asks, and for what a snapshot cannot answer.
pub(crate) struct Store {
    location: Location,
    client: Arc<dyn Fetch>,
    policy: RefreshPolicy,
    snapshot: ArcSwap<Snapshot>,
    asking: Mutex<Asking>,
    /// Changes whenever somebody has asked, with or without success. It closes with the store.
    landings: watch::Sender<u64>,
    hasher: RandomState,
    meters: Meters,
}

struct Asking {
    refresh: Refresh,
    /// Who asks on behalf of a request.
    task: Option<AbortHandle>,
}

/// What requests need to know. It is replaced, never changed.
#[derive(Clone, Default)]
pub(crate) struct Snapshot {
    set: Option<Arc<Set>>,
    good: Option<Good>,
    due: Option<Instant>,
    failure: Option<RefreshError>,
}

/// A set of keys as it came.
pub(crate) struct Set {
    keys: Keys,
    skipped: usize,
    generation: u64,
    document: Vec<u8>,
}

/// Why a token could not be told to be signed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Missing {
    /// There are no keys that may be used.
    Keys,
    /// None of the keys is the token's, for which it would be refused like this.
    Key(Unauthorized),
}

impl Missing {
    /// How a token is refused of which nobody can be asked.
    pub(crate) const fn reason(self) -> Unauthorized {
        match self {
            Self::Keys => Unauthorized::KeysUnavailable { retry_after: Duration::ZERO },
            Self::Key(reason) => reason,
        }
    }
}

/// The end of the asking that is under way.
pub(crate) type Landing = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl Store {
    pub(crate) fn new(location: Location, client: Arc<dyn Fetch>, policy: RefreshPolicy) -> Self {
        Self {
            location,
            client,
            snapshot: ArcSwap::default(),
            asking: Mutex::new(Asking { refresh: Refresh::new(policy.clone()), task: None }),
            policy,
            landings: watch::Sender::new(0),
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
        let snapshot = self.snapshot.load();
        let Some(set) = snapshot.usable(now) else {
            return false;
        };
        if snapshot.is_due(now) {
            self.start(Need::Due, now);
        }
        set.generation == generation
    }

    /// The number of the set that is at hand, if the token is signed by a key of it.
    pub(crate) fn verify(self: &Arc<Self>, token: &Token<'_>) -> Result<u64, Missing> {
        let now = Instant::now();
        let snapshot = self.snapshot.load();
        let Some(set) = snapshot.usable(now) else {
            return Err(Missing::Keys);
        };
        if snapshot.is_due(now) {
            self.start(Need::Due, now);
        }
        set.keys.verify(token).map(|()| set.generation).map_err(Missing::Key)
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
        let need = match missing {
            Missing::Keys => Need::Keys,
            Missing::Key(reason @ Unauthorized::InvalidSignature) if name.is_some() => {
                return Err(reason);
            }
            Missing::Key(_) => Need::Key(name),
        };
        // Before anything is asked, so that no landing is missed.
        let mut landings = self.landings.subscribe();
        if !patience {
            return Err(self.give_up(missing, name, now));
        }
        match self.start(need, now) {
            Advice::Ask | Advice::Wait => Ok(Box::pin(async move {
                // The store outlives its requests, and with it the sender.
                let _ = landings.changed().await;
            })),
            Advice::Unavailable(retry_after) => Err(Unauthorized::KeysUnavailable { retry_after }),
            Advice::Settled => {
                self.meters.unknown_key();
                Err(missing.reason())
            }
        }
    }

    /// The end for a token that has waited.
    fn give_up(&self, missing: Missing, name: Option<u64>, now: Instant) -> Unauthorized {
        let mut asking = self.lock();
        match missing {
            Missing::Key(reason) if !asking.refresh.failing() => {
                self.meters.unknown_key();
                if let Some(name) = name {
                    asking.refresh.absent(name, now);
                }
                reason
            }
            _ => {
                let due = asking.refresh.due(now);
                let retry_after = due.map(|due| due.saturating_duration_since(now));
                Unauthorized::KeysUnavailable { retry_after: retry_after.unwrap_or_default() }
            }
        }
    }

    /// Asks if that makes sense, in a task of its own: the client that made it necessary may go away, and must not be
    /// able to end it. The task belongs to the store, and ends with it.
    fn start(self: &Arc<Self>, need: Need, now: Instant) -> Advice {
        let (advice, flight) = self.advise(need, now);
        if let Some(flight) = flight {
            // Without a runtime the flight is dropped, which is a failure, and takes the lock.
            let task = Handle::try_current().map(|runtime| runtime.spawn(flight).abort_handle());
            self.lock().task = task.ok();
        }
        advice
    }

    /// Asks if that makes sense, as far as it is polled, or waits for who is at it. It holds no store.
    pub(crate) fn refresh(self: &Arc<Self>, need: Need) -> impl Future<Output = ()> + Send + use<> {
        let mut landings = self.landings.subscribe();
        let (advice, flight) = self.advise(need, Instant::now());
        async move {
            match flight {
                Some(flight) => flight.await,
                None if advice == Advice::Wait => drop(landings.changed().await),
                None => {}
            }
        }
    }

    /// What to do, and what does it if that is to ask.
    fn advise(
        self: &Arc<Self>,
        need: Need,
        now: Instant,
    ) -> (Advice, Option<impl Future<Output = ()> + Send + use<>>) {
        let mut asking = self.lock();
        let advice = asking.refresh.advise(need, now);
        let flight = (advice == Advice::Ask).then(|| self.take_off(&asking, now));
        (advice, flight)
    }

    /// What asks, once it has been decided that somebody should.
    fn take_off(
        self: &Arc<Self>,
        asking: &Asking,
        now: Instant,
    ) -> impl Future<Output = ()> + Send + use<> {
        // Nobody else finds it due meanwhile.
        let due = asking.refresh.due(now);
        self.publish(|snapshot| snapshot.due = due);

        let flight = Flight(Some(Arc::downgrade(self)));
        let (client, location) = (self.client.clone(), self.location.clone());
        let (limit, max_bytes) = (self.policy.time_limit, self.policy.max_bytes);
        async move {
            let asked = timeout(limit, ask(&*client, &location, max_bytes)).await;
            flight.land(asked.unwrap_or(Err(RefreshError::TimedOut)));
        }
    }

    fn land(&self, result: Result<(Jwks, Document), RefreshError>) {
        let random = random();
        let now = Instant::now();
        let mut asking = self.lock();
        let before = self.snapshot.load_full();
        let outcome = result.as_ref().map_or_else(RefreshError::reason, |_| "ok");
        match result {
            Ok((jwks, document)) => {
                let known = before.set.as_ref().filter(|set| set.document == document.bytes);
                let set = known.cloned().unwrap_or_else(|| {
                    let generation = before.generation() + 1;
                    Arc::new(Set {
                        keys: jwks.keys,
                        skipped: jwks.skipped,
                        generation,
                        document: document.bytes,
                    })
                });
                let changed = set.generation != before.generation();
                asking.refresh.landed(changed, document.lifetime, now, random);
                self.tell_good(&before, &set, changed);
                self.publish(|snapshot| {
                    *snapshot = Snapshot {
                        set: Some(set),
                        good: asking.refresh.good(),
                        due: asking.refresh.due(now),
                        failure: None,
                    };
                });
            }
            Err(error) => {
                asking.refresh.failed(now, random);
                self.tell_bad(&before, &error, now);
                self.publish(|snapshot| {
                    snapshot.failure = Some(error);
                    snapshot.due = asking.refresh.due(now);
                });
            }
        }
        drop(asking);
        self.meters.asked(outcome);
        // Last: who waits then finds what has come.
        self.landings.send_modify(|landings| *landings = landings.wrapping_add(1));
    }

    /// Replaces the snapshot. Only who holds the lock does.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        change(&mut snapshot);
        self.snapshot.store(Arc::new(snapshot));
    }

    fn tell_good(&self, before: &Snapshot, set: &Set, changed: bool) {
        self.meters.keys(set.keys.len(), set.skipped);
        let (keys, skipped, generation) = (set.keys.len(), set.skipped, set.generation);
        if changed {
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
        self.snapshot.load_full()
    }

    /// Changes when somebody has asked. An error says that the store is gone.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.landings.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Asking> {
        // Nothing panics halfway through a change here, so a poisoned lock guards nothing broken.
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let task = self.lock().task.take();
        task.iter().for_each(AbortHandle::abort);
    }
}

impl Snapshot {
    /// The set, while it may be used: fresh, or the last that could be had.
    pub(crate) fn usable(&self, now: Instant) -> Option<&Set> {
        let good = self.good?;
        let usable = if self.failure.is_some() { now < good.dies } else { now < good.lapses };
        self.set.as_deref().filter(|_| usable)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Zero until there is a set. The next one has the next number.
    pub(crate) fn generation(&self) -> u64 {
        self.set.as_ref().map_or(0, |set| set.generation)
    }

    pub(crate) fn keys(&self) -> usize {
        self.set.as_ref().map_or(0, |set| set.keys.len())
    }

    pub(crate) fn skipped(&self) -> usize {
        self.set.as_ref().map_or(0, |set| set.skipped)
    }

    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.good.map(|good| now.saturating_duration_since(good.since))
    }

    pub(crate) const fn failure(&self) -> Option<&RefreshError> {
        self.failure.as_ref()
    }
}

/// Keys that were found in a document.
struct Jwks {
    keys: Keys,
    skipped: usize,
}

async fn ask(
    client: &dyn Fetch,
    location: &Location,
    max_bytes: usize,
) -> Result<(Jwks, Document), RefreshError> {
    let uri = match location {
        Location::Keys(uri) => uri.clone(),
        Location::Discovery { issuer, document: source } => {
            let document = client.fetch(source.clone(), max_bytes).await?;
            discovered(issuer, source, &document.bytes)?
        }
    };
    let document = client.fetch(uri, max_bytes).await?;
    Ok((jwks(&document.bytes).map_err(RefreshError::KeySet)?, document))
}

fn jwks(document: &[u8]) -> Result<Jwks, ConfigError> {
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
        1..=Keys::LIMIT => Ok(Jwks { keys: keys.into_iter().collect(), skipped }),
        _ => Err(ConfigError::TooManyKeys(None)),
    }
}

/// Somebody who asks. Dropped on the way, by a runtime that ends or a panic, it has failed.
struct Flight(Option<Weak<Store>>);

impl Flight {
    fn land(mut self, result: Result<(Jwks, Document), RefreshError>) {
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
