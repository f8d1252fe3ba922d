//! Credentials that a provider was asked for, and the asking.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::RefreshPolicy;
use crate::clock::Clock;
use crate::meters::Meters;
use crate::refresh::{Advice, Need, Refresh};

/// Keeps what a provider gave, and asks it again in time.
///
/// Requests read what is at hand, without a lock. The lock is for who asks, and for who finds nothing.
pub(crate) struct Store {
    provider: SharedCredentialsProvider,
    clock: Arc<Clock>,
    meters: Arc<Meters>,
    current: ArcSwapOption<Current>,
    asking: Mutex<Asking>,
    /// Changes whenever somebody has asked, with or without success.
    landings: watch::Sender<()>,
}

struct Asking {
    refresh: Refresh,
    /// Who asks on behalf of a request.
    task: Option<AbortHandle>,
}

/// Credentials that were good when they came. They are replaced, never changed.
struct Current {
    credentials: Credentials,
    due: Instant,
}

/// The end of the asking that is under way.
pub(crate) type Landing = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl Store {
    pub(crate) fn new(
        provider: SharedCredentialsProvider,
        policy: RefreshPolicy,
        clock: Arc<Clock>,
        meters: Arc<Meters>,
    ) -> Self {
        Self {
            provider,
            clock,
            meters,
            current: ArcSwapOption::empty(),
            asking: Mutex::new(Asking { refresh: Refresh::new(policy), task: None }),
            landings: watch::Sender::new(()),
        }
    }

    /// The same provider, of which nothing is known.
    pub(crate) fn anew(&self, policy: Option<RefreshPolicy>, clock: Arc<Clock>) -> Self {
        let policy = policy.unwrap_or_else(|| self.lock().refresh.policy().clone());
        Self::new(self.provider.clone(), policy, clock, Arc::clone(&self.meters))
    }

    /// What `act` makes of the credentials at hand, if they have not expired. They are asked for again if it is time.
    pub(crate) fn with<T>(
        self: &Arc<Self>,
        time: SystemTime,
        act: impl FnOnce(&Credentials) -> T,
    ) -> Option<T> {
        let current = self.current.load();
        let current = current.as_ref().filter(|current| is_good(&current.credentials, time))?;
        let now = Instant::now();
        if current.due <= now {
            self.start(Need::Due, now);
        }
        Some(act(&current.credentials))
    }

    /// Asks for credentials where there are none: what to wait for, or how long asking makes no sense.
    pub(crate) fn ask(self: &Arc<Self>) -> Result<Landing, Duration> {
        // Before anything is asked, so that no landing is missed.
        let mut landings = self.landings.subscribe();
        match self.start(Need::Credentials, Instant::now()) {
            Advice::Unavailable(wait) => Err(wait),
            Advice::Ask | Advice::Wait | Advice::Settled => Ok(Box::pin(async move {
                // The store outlives its requests, and with it the sender.
                let _ = landings.changed().await;
            })),
        }
    }

    /// Asks if that makes sense, as far as it is polled, or waits for who is at it.
    pub(crate) async fn refresh(self: &Arc<Self>, need: Need) {
        let mut landings = self.landings.subscribe();
        let (advice, flight) = self.advise(need, Instant::now());
        match flight {
            Some(flight) => flight.await,
            None if advice == Advice::Wait => drop(landings.changed().await),
            None => {}
        }
    }

    /// Uses what is at hand no more.
    pub(crate) fn forget(&self) {
        let _asking = self.lock();
        self.current.store(None);
    }

    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        self.current.load().as_ref()?.credentials.expiry()
    }

    pub(crate) fn retry_after(&self) -> Duration {
        let now = Instant::now();
        self.lock().refresh.due(now).saturating_duration_since(now)
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
        self.put_off(asking.refresh.due(now));

        let flight = Flight(Some(Arc::downgrade(self)));
        let (provider, limit) = (self.provider.clone(), asking.refresh.policy().time_limit);
        async move {
            let given = timeout(limit, provider.provide_credentials()).await;
            flight.land(given.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(limit))));
        }
    }

    fn land(&self, given: provider::Result) {
        let (now, time, random) = (Instant::now(), self.clock.now(), random());
        let given = given.and_then(|credentials| match credentials.expiry() {
            None => Ok((credentials, None)),
            Some(expiry) => match expiry.duration_since(time) {
                Ok(left) if !left.is_zero() => Ok((credentials, Some(left))),
                _ => Err(CredentialsError::provider_error("the credentials have expired")),
            },
        });
        self.meters.refreshed(given.as_ref().map_or_else(outcome, |_| "ok"));
        let mut asking = self.lock();
        match given {
            Ok((credentials, left)) => {
                self.meters.expiry(credentials.expiry());
                if asking.refresh.failing() {
                    tracing::info!("credentials are refreshed again");
                }
                asking.refresh.landed(left, now, random);
                let due = asking.refresh.due(now);
                self.current.store(Some(Arc::new(Current { credentials, due })));
            }
            Err(error) => {
                let left = self.expiry().and_then(|expiry| expiry.duration_since(time).ok());
                let seconds_left = left.map(|left| left.as_secs());
                let error: &dyn std::error::Error = &error;
                if asking.refresh.failing() {
                    tracing::debug!(error, seconds_left, "cannot refresh the credentials yet");
                } else {
                    tracing::warn!(error, seconds_left, "cannot refresh the credentials");
                }
                asking.refresh.failed(now, random);
                self.put_off(asking.refresh.due(now));
            }
        }
        drop(asking);
        // Last: who waits then finds what has come.
        self.landings.send_replace(());
    }

    /// Keeps the credentials at hand, to be asked for at `due`. Only who holds the lock does.
    fn put_off(&self, due: Instant) {
        if let Some(current) = &*self.current.load() {
            let credentials = current.credentials.clone();
            self.current.store(Some(Arc::new(Current { credentials, due })));
        }
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

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Somebody who asks. Dropped on the way, by a runtime that ends or a panic, it has failed.
struct Flight(Option<Weak<Store>>);

impl Flight {
    fn land(mut self, given: provider::Result) {
        if let Some(store) = self.0.take().and_then(|store| store.upgrade()) {
            store.land(given);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(store) = self.0.take().and_then(|store| store.upgrade()) {
            store.land(Err(CredentialsError::unhandled("nobody waited for the provider")));
        }
    }
}

/// A word for a failure.
const fn outcome(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => "not_loaded",
        CredentialsError::ProviderTimedOut(_) => "timed_out",
        _ => "failed",
    }
}

fn is_good(credentials: &Credentials, time: SystemTime) -> bool {
    credentials.expiry().is_none_or(|expiry| time < expiry)
}

/// In `0.0..1.0`, good enough to spread load.
fn random() -> f64 {
    // The keys of a hasher are random, and so is what it makes of nothing.
    let bits = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}
