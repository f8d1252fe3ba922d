use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use aws_sigv4::sign::v4::generate_signing_key;

use super::SecretKey;

/// The signing keys of the day, of access keys that signed something.
///
/// They save four of the five HMACs of a signature. Only a valid signature puts one here, so that strangers neither fill
/// the memory nor drive others out; one for each id, and no more than [`MOST`].
#[derive(Default)]
pub(super) struct DayKeys(RwLock<HashMap<Box<str>, DayKey>>);

pub(super) type Key = [u8; 32];

struct DayKey {
    secret: SecretKey,
    date_and_region: Box<str>,
    key: Key,
}

impl DayKeys {
    /// The key of `id` for a scope that begins with `date_and_region`, if it is here.
    pub(super) fn get(&self, id: &str, secret: &SecretKey, date_and_region: &str) -> Option<Key> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // A secret may be replaced under the same id.
        let found = keys.get(id).filter(|found| {
            *found.date_and_region == *date_and_region && found.secret.secret() == secret.secret()
        });
        found.map(|found| found.key)
    }

    pub(super) fn put(&self, id: &str, secret: &SecretKey, date_and_region: &str, key: Key) {
        let entry = DayKey { secret: secret.clone(), date_and_region: date_and_region.into(), key };
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MOST && !keys.contains_key(id) {
            keys.clear();
        }
        keys.insert(id.into(), entry);
    }
}

impl fmt::Debug for DayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DayKeys").finish_non_exhaustive()
    }
}

pub(super) fn derive(secret: &SecretKey, day: SystemTime, region: &str, service: &str) -> Key {
    let key = generate_signing_key(secret.secret(), day, region, service);
    #[expect(clippy::expect_used, reason = "an HMAC-SHA-256 is 32 bytes long")]
    key.as_ref().try_into().expect("a key of 32 bytes")
}

const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_that_of_its_id_its_secret_and_its_day() {
        let keys = DayKeys::default();
        let (secret, other) = (SecretKey::new("secret"), SecretKey::new("other"));
        keys.put("id", &secret, "20130524/eu", [7; 32]);

        assert_eq!(keys.get("id", &secret, "20130524/eu"), Some([7; 32]));
        assert_eq!(keys.get("other", &secret, "20130524/eu"), None);
        assert_eq!(keys.get("id", &other, "20130524/eu"), None);
        assert_eq!(keys.get("id", &secret, "20130525/eu"), None);
    }

    #[test]
    fn there_are_never_more_than_the_most() {
        let keys = DayKeys::default();
        for id in 0..=MOST {
            keys.put(&id.to_string(), &SecretKey::new("secret"), "20130524/eu", [0; 32]);
        }

        assert_eq!(keys.0.read().unwrap().len(), 1);
    }
}
