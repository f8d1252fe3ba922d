use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use crate::RefreshPolicy;
use crate::clock::Clock;
use crate::credential_store::{Landing, Store};
use crate::meters::Meters;
use crate::refresh::Need;

/// Where credentials come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// They are at hand.
    Fixed(Credentials),
    /// They are asked for, and kept.
    Asked(Arc<Store>),
}

impl Source {
    pub(crate) fn new(
        provider: impl ProvideCredentials + 'static,
        clock: Arc<Clock>,
        meters: Arc<Meters>,
    ) -> Self {
        let any: &dyn Any = &provider;
        match any.downcast_ref::<Credentials>() {
            Some(credentials) => Self::Fixed(credentials.clone()),
            None => Self::Asked(Arc::new(Store::new(
                SharedCredentialsProvider::new(provider),
                RefreshPolicy::new(),
                clock,
                meters,
            ))),
        }
    }

    /// The same source, of which nothing is known; `policy` replaces its own.
    pub(crate) fn anew(&self, policy: Option<RefreshPolicy>, clock: Arc<Clock>) -> Self {
        match self {
            Self::Fixed(credentials) => Self::Fixed(credentials.clone()),
            Self::Asked(store) => Self::Asked(Arc::new(store.anew(policy, clock))),
        }
    }

    /// What `act` makes of the credentials at hand, if there are any that may be used at `time`.
    ///
    /// Fixed ones always are at hand: they are refused where they are used.
    pub(crate) fn with<T>(
        &self,
        time: SystemTime,
        act: impl FnOnce(&Credentials) -> T,
    ) -> Option<T> {
        match self {
            Self::Fixed(credentials) => Some(act(credentials)),
            Self::Asked(store) => store.with(time, act),
        }
    }

    /// Has credentials asked for, since there are none: what to wait for, or for how long to give up.
    pub(crate) fn ask(&self) -> Result<Landing, Duration> {
        match self {
            Self::Fixed(_) => Err(self.retry_after()),
            Self::Asked(store) => store.ask(),
        }
    }

    /// Asks the provider, and waits for the answer.
    pub(crate) async fn refresh(&self, need: Need) {
        if let Self::Asked(store) = self {
            store.refresh(need).await;
        }
    }

    pub(crate) fn forget(&self) {
        if let Self::Asked(store) = self {
            store.forget();
        }
    }

    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        match self {
            Self::Fixed(credentials) => credentials.expiry(),
            Self::Asked(store) => store.expiry(),
        }
    }

    /// When there may be credentials, where there are none.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            // Until somebody sets up others.
            Self::Fixed(_) => Duration::from_secs(60),
            Self::Asked(store) => store.retry_after(),
        }
    }
}
