use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::refresh::Need;
use crate::signer::Signer;
use crate::{ClockSkew, NotSigned};

/// Looks at the credentials and the clock of a layer, and has the credentials refreshed.
///
/// A clone costs one reference. Fixed [`Credentials`](aws_credential_types::Credentials) are never refreshed nor
/// forgotten.
#[derive(Clone)]
#[must_use = "a handle does nothing by itself"]
pub struct SigV4Handle {
    signer: Arc<Signer>,
}

impl SigV4Handle {
    pub(crate) const fn new(signer: Arc<Signer>) -> Self {
        Self { signer }
    }

    /// Asks the provider unless there are credentials to sign with: before the first request comes, or to tell whether
    /// the gateway is ready.
    ///
    /// Where somebody is asking already, it waits for that answer. Dropped while it asks itself, it has failed to ask,
    /// and the next attempt is made after a moment.
    ///
    /// # Errors
    ///
    /// [`NotSigned::NoCredentials`], as a request would be refused.
    pub async fn prefetch(&self) -> Result<(), NotSigned> {
        if self.signer.has_credentials_at_hand() {
            return Ok(());
        }
        self.signer.source().refresh(Need::Credentials).await;
        if self.signer.has_credentials_at_hand() {
            Ok(())
        } else {
            Err(self.signer.no_credentials())
        }
    }

    /// Asks the provider now, even if it failed a moment ago, and waits for the answer. Until then, and if there is none,
    /// the credentials at hand are used.
    ///
    /// Dropped while it asks itself, it has failed to ask, as for [`prefetch`](Self::prefetch).
    pub async fn refresh(&self) {
        self.signer.source().refresh(Need::Now).await;
    }

    /// Uses the credentials at hand no more, as they were revoked; the next request has others asked for.
    ///
    /// What the provider is about to answer while this is called is still taken.
    pub fn forget(&self) {
        self.signer.source().forget();
    }

    /// How far the clock of this machine was found to be from that of the service.
    #[must_use]
    pub fn skew(&self) -> ClockSkew {
        self.signer.skew()
    }

    /// When the credentials at hand expire; none if they do not, or if there are none.
    #[must_use]
    pub fn credentials_expiry(&self) -> Option<SystemTime> {
        self.signer.source().expiry()
    }
}

impl fmt::Debug for SigV4Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigV4Handle")
            .field("credentials_expiry", &self.credentials_expiry())
            .field("skew", &self.skew())
            .finish_non_exhaustive()
    }
}
