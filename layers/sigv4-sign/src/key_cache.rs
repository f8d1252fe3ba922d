use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use aws_credential_types::Credentials;

use crate::Signing;
use crate::algorithm::Key;
use crate::stamp::Stamp;

/// The signing key of the day, for the credentials last used.
///
/// It saves four of the five HMACs of a signature. Readers share the lock; it is written once a day and after each
/// rotation, and two threads that find it stale both derive the same key.
#[derive(Default)]
pub(crate) struct KeyCache(RwLock<Option<Entry>>);

/// Keeps the credentials and not a copy of the secret: they wipe it when the last of them is dropped.
struct Entry {
    date: [u8; 8],
    credentials: Credentials,
    key: Key,
}

impl KeyCache {
    /// The key of `credentials` at `time`, which `stamp` shows.
    pub(crate) fn key(
        &self,
        signing: &Signing,
        credentials: &Credentials,
        time: SystemTime,
        stamp: Stamp,
    ) -> Key {
        let date = stamp.date();
        self.cached(credentials, date).unwrap_or_else(|| {
            let key = signing.algorithm().key(signing, credentials, time);
            let entry = Entry { date, credentials: credentials.clone(), key };
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(entry);
            key
        })
    }

    fn cached(&self, credentials: &Credentials, date: [u8; 8]) -> Option<Key> {
        let entry = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entry.as_ref().filter(|entry| entry.is_of(credentials, date)).map(|entry| entry.key)
    }
}

impl Entry {
    fn is_of(&self, credentials: &Credentials, date: [u8; 8]) -> bool {
        // A secret may be replaced under the same id.
        self.date == date
            && self.credentials.access_key_id() == credentials.access_key_id()
            && self.credentials.secret_access_key() == credentials.secret_access_key()
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{Region, ServiceName};

    #[test]
    fn the_key_follows_the_day_and_the_secret() {
        let signing =
            Signing::new(ServiceName::new("s3").unwrap(), Region::new("eu-west-1").unwrap());
        let keys = KeyCache::default();
        let check = |secret: &str, seconds| {
            let credentials = Credentials::new("id", secret, None, None, "test");
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let key = keys.key(&signing, &credentials, time, Stamp::of(time).unwrap());
            assert_eq!(key, signing.algorithm().key(&signing, &credentials, time));
        };

        check("old", 86_399);
        check("old", 0);
        check("new", 0);
        check("new", 86_400);
        check("old", 86_400);
    }
}
