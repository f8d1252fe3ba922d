//! Tokens whose signatures were checked a moment ago.
//!
//! A signature costs up to a thousand times what finding a token here costs. Nothing is admitted for a hash: the whole
//! token is compared, and what can change without the token (time, keys) is looked at again.
//!
//! Each of up to 64 shards has a lock of its own, held for a look into a table and a comparison. A read without a lock
//! would still write to the counter of references that all readers of one token share, which is what two threads that
//! bring the same token contend for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::valid::{Seal, Valid};
use crate::{CacheLimits, CacheStatus};

pub(crate) struct TokenCache {
    /// None, when it is off.
    shards: Box<[Mutex<Shard>]>,
    keys: RandomState,
    max_ttl: Duration,
}

impl TokenCache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        // Tables take memory, too: they get room for what is a kilobyte or more.
        let entries = limits.entries().min(limits.bytes() / 1024);
        let off = entries == 0 || limits.ttl().is_zero();
        let most = (entries / 64).min(limits.bytes() / (64 * 1024)).clamp(1, 64);
        let shards = if off { 0 } else { 1 << most.ilog2() };
        let bytes = limits.bytes() - entries * TABLE - shards * size_of::<Mutex<Shard>>();
        let shard = || Mutex::new(Shard::new(entries / shards, bytes / shards));
        Self {
            shards: (0..shards).map(|_| shard()).collect(),
            keys: RandomState::new(),
            max_ttl: limits.ttl(),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        !self.shards.is_empty()
    }

    /// What is known of the token, unless it has expired, or its keys are `current` no more.
    pub(crate) fn get(
        &self,
        token: &[u8],
        now: Duration,
        current: impl Fn(Seal) -> bool,
    ) -> Option<Valid> {
        let key = self.key(token);
        self.shard(key)?.get(key, token, |entry| {
            // Before it was checked there is nothing to go by: the clock was set back.
            let young = now.checked_sub(entry.since).is_some_and(|age| age < self.max_ttl);
            young && !entry.valid.times.expired(now) && current(entry.valid.seal)
        })
    }

    /// Remembers a token that was found valid just now. Says how many others go, where there is no room.
    pub(crate) fn put(&self, token: &[u8], valid: &Valid, now: Duration) -> usize {
        let key = self.key(token);
        let Some(shard) = self.shards.get(self.place(key)) else { return 0 };
        let entry = Entry {
            token: token.into(),
            weight: weight(token, valid),
            valid: valid.clone(),
            since: now,
            used: false,
        };
        let mut shard = lock(shard);
        let evicted = shard.put(key, Box::new(entry));
        drop(shard); // what goes, goes without the lock, since claims may be large
        evicted.len()
    }

    /// Forgets all tokens, and counts on.
    pub(crate) fn flush(&self) {
        for shard in &self.shards {
            let forgotten = lock(shard).flush();
            drop(forgotten);
        }
    }

    pub(crate) fn status(&self) -> CacheStatus {
        self.shards.iter().map(|shard| lock(shard).status()).sum()
    }

    /// The end of a token is part of its signature. Two valid tokens hardly share it, and nothing but a full comparison
    /// tells whether one is the other, so the rest need not be hashed.
    fn key(&self, token: &[u8]) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write(token.last_chunk::<32>().map_or(token, <[u8; 32]>::as_slice));
        hasher.finish()
    }

    fn shard(&self, key: u64) -> Option<MutexGuard<'_, Shard>> {
        self.shards.get(self.place(key)).map(lock)
    }

    /// By bits that the table of a shard uses least.
    fn place(&self, key: u64) -> usize {
        usize::try_from(key >> 32).unwrap_or_default() & self.shards.len().wrapping_sub(1)
    }
}

/// Shows how much there is, and nothing of it.
impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenCache").field(&self.status()).finish()
    }
}

/// A share of the tokens: evicted in the order they came, but that one which was used since gets a second chance.
struct Shard {
    entries: Entries,
    /// The keys of all entries.
    queue: VecDeque<u64>,
    bytes: usize,
    hits: u64,
    misses: u64,
    evictions: u64,
    max_entries: usize,
    max_bytes: usize,
}

type Entries = HashMap<u64, Box<Entry>, BuildHasherDefault<AsIs>>;

struct Entry {
    token: Box<[u8]>,
    valid: Valid,
    since: Duration,
    weight: usize,
    used: bool,
}

impl Shard {
    fn new(max_entries: usize, max_bytes: usize) -> Self {
        let (entries, queue) = (Entries::default(), VecDeque::new());
        let (bytes, hits, misses, evictions) = (0, 0, 0, 0);
        Self { entries, queue, bytes, hits, misses, evictions, max_entries, max_bytes }
    }

    fn get(&mut self, key: u64, token: &[u8], fresh: impl Fn(&Entry) -> bool) -> Option<Valid> {
        let known = self.entries.get_mut(&key).filter(|entry| same(&entry.token, token));
        match known {
            Some(entry) if fresh(entry) => {
                entry.used = true;
                self.hits += 1;
                return Some(entry.valid.clone());
            }
            Some(_) => drop(self.remove(key)),
            None => {}
        }
        self.misses += 1;
        None
    }

    /// Returns what had to go for it.
    fn put(&mut self, key: u64, entry: Box<Entry>) -> Vec<Entry> {
        let mut evicted = Vec::new();
        self.remove(key);
        if entry.weight > self.max_bytes {
            return evicted;
        }
        while self.entries.len() >= self.max_entries || self.bytes + entry.weight > self.max_bytes {
            let Some(oldest) = self.queue.front().copied() else { break };
            match self.entries.get_mut(&oldest) {
                Some(spared) if spared.used => {
                    spared.used = false;
                    self.queue.rotate_left(1);
                }
                _ => {
                    self.evictions += 1;
                    evicted.extend(self.remove(oldest).map(|entry| *entry));
                }
            }
        }
        self.bytes += entry.weight;
        self.queue.push_back(key);
        self.entries.insert(key, entry);
        evicted
    }

    fn flush(&mut self) -> Entries {
        self.queue = VecDeque::new();
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }

    fn status(&self) -> CacheStatus {
        CacheStatus {
            entries: self.entries.len(),
            bytes: self.bytes,
            hits: self.hits,
            misses: self.misses,
            evictions: self.evictions,
        }
    }

    fn remove(&mut self, key: u64) -> Option<Box<Entry>> {
        let entry = self.entries.remove(&key)?;
        self.bytes -= entry.weight;
        // The oldest is at the front, and others are rarely removed.
        let place = self.queue.iter().position(|other| *other == key);
        place.and_then(|place| self.queue.remove(place));
        Some(entry)
    }
}

/// Compares in a time that does not say where two tokens of one length differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differing = |sum, (one, other): (&u8, &u8)| sum | (one ^ other);
    one.len() == other.len() && black_box(one.iter().zip(other).fold(0, differing)) == 0
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing in a shard can panic half way.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn weight(token: &[u8], valid: &Valid) -> usize {
    // The claims are in a box that counts its owners; their numbers may be kept as text, which the token is longer than.
    let fixed = size_of::<Entry>() + 2 * size_of::<usize>() + size_of::<serde_json::Value>();
    fixed + 2 * token.len() + valid.claims.weight()
}

/// What the tables take for an entry at the most: 17 bytes in up to 3.5 buckets (two of a table just grown, and those of
/// the old one), and three times 8 in the queue.
const TABLE: usize = 128;

/// Keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::Claims;
    use crate::times::Times;
    use crate::valid::Signer;

    const SEAL: Seal = Seal { issuer: 0, signer: Signer { generation: 0, key: 0 } };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn claims(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }

    fn valid(value: Value, seal: Seal) -> Valid {
        let claims = claims(value);
        let times = Times::read(&claims, seconds(10)).unwrap();
        Valid { claims: Claims::new(claims), times, seal }
    }

    fn cache(limits: CacheLimits) -> TokenCache {
        TokenCache::new(limits)
    }

    fn subject(known: Option<Valid>) -> Option<String> {
        known.and_then(|valid| valid.claims.subject().map(str::to_owned))
    }

    fn alice() -> Valid {
        valid(json!({ "sub": "alice", "exp": 1000 }), SEAL)
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let cache = cache(CacheLimits::new());
        let token = "a".repeat(100);
        cache.put(token.as_bytes(), &alice(), seconds(0));

        assert_eq!(subject(cache.get(token.as_bytes(), seconds(1), |_| true)).unwrap(), "alice");
        for at in 0..100 {
            let mut other = token.clone().into_bytes();
            other[at] ^= 1;
            assert!(cache.get(&other, seconds(1), |_| true).is_none(), "{at}");
        }
        for other in ["", "a", &"a".repeat(99), &"a".repeat(101)] {
            assert!(cache.get(other.as_bytes(), seconds(1), |_| true).is_none(), "{other}");
        }
    }

    #[test]
    fn tokens_of_one_hash_are_told_apart() {
        let mut shard = Shard::new(10, 100_000);
        let entry = |token: &[u8], valid: Valid| {
            let weight = weight(token, &valid);
            Box::new(Entry { token: token.into(), weight, valid, since: seconds(0), used: false })
        };
        shard.put(7, entry(b"one", alice()));

        assert!(shard.get(7, b"two", |_| true).is_none());
        assert!(shard.get(7, b"one", |_| true).is_some());
        shard.put(7, entry(b"two", valid(json!({ "sub": "bob" }), SEAL)));
        assert!(shard.get(7, b"one", |_| true).is_none());
        assert_eq!(subject(shard.get(7, b"two", |_| true)).unwrap(), "bob");
        assert_eq!((shard.entries.len(), shard.queue.len()), (1, 1));
    }

    #[test]
    fn a_token_is_known_until_it_expires_and_no_longer_than_the_ttl() {
        let known = |ttl, now| {
            let cache = cache(CacheLimits::new().max_ttl(seconds(ttl)));
            cache.put(b"token", &alice(), seconds(900));
            cache.get(b"token", now, |_| true).is_some()
        };
        let just_before = |time| seconds(time) - Duration::from_nanos(1);

        assert!(known(500, just_before(1010))); // its expiry and the leeway
        assert!(!known(500, seconds(1010)));
        assert!(known(50, just_before(950)));
        assert!(!known(50, seconds(950)));
        assert!(!known(50, seconds(899))); // the clock was set back
    }

    #[test]
    fn a_token_is_known_for_as_long_as_its_keys_are_trusted() {
        let cache = cache(CacheLimits::new());
        let seal = Seal { issuer: 1, signer: Signer { generation: 3, key: 2 } };
        cache.put(b"token", &valid(json!({}), seal), seconds(0));
        let asked = Cell::new(None);
        let known = cache.get(b"token", seconds(1), |seal| {
            asked.set(Some(seal));
            true
        });
        assert!(known.is_some());
        assert_eq!(asked.get(), Some(seal));

        assert!(cache.get(b"token", seconds(1), |seal| seal.signer.generation == 4).is_none());
        // Once refused it is gone.
        assert!(cache.get(b"token", seconds(1), |_| true).is_none());
    }

    #[test]
    fn nothing_is_remembered_at_zero() {
        for limits in [
            CacheLimits::off(),
            CacheLimits::new().max_entries(0),
            CacheLimits::new().max_bytes(0),
            CacheLimits::new().max_bytes(1023),
            CacheLimits::new().max_ttl(Duration::ZERO),
        ] {
            let cache = cache(limits);
            cache.put(b"token", &alice(), seconds(0));
            assert!(cache.get(b"token", seconds(0), |_| true).is_none(), "{limits:?}");
        }
        let one = cache(CacheLimits::new().max_entries(1));
        one.put(b"token", &alice(), seconds(0));
        assert!(one.get(b"token", seconds(0), |_| true).is_some());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let cache = cache(CacheLimits::new());
        cache.put(b"token", &alice(), seconds(0));
        let weight = weight(b"token", &alice());
        assert_eq!(
            format!("{cache:?}"),
            format!(
                "TokenCache(CacheStatus {{ entries: 1, bytes: {weight}, hits: 0, misses: 0, evictions: 0 }})"
            )
        );
    }

    #[test]
    fn what_becomes_of_tokens_is_counted() {
        let cache = cache(CacheLimits::new().max_entries(2));
        let known = |token: &[u8], now| cache.get(token, seconds(now), |_| true).is_some();
        assert!(!known(b"one", 0));
        assert_eq!(cache.put(b"one", &alice(), seconds(0)), 0);
        assert!(known(b"one", 1));
        assert_eq!(cache.put(b"one", &alice(), seconds(1)), 0); // the same again is no eviction
        assert_eq!(cache.put(b"two", &alice(), seconds(1)), 0);
        assert_eq!(cache.put(b"three", &alice(), seconds(1)), 1);
        assert!(!known(b"two", 2000)); // it has expired, which is none either

        let status = cache.status();
        assert_eq!((status.hits(), status.misses(), status.evictions()), (1, 2, 1));
        assert_eq!((status.entries(), status.bytes()), (1, weight(b"three", &alice())));
    }

    #[test]
    fn a_flush_forgets_tokens_and_no_numbers() {
        let cache = cache(CacheLimits::new());
        let before = allocation_counter::measure(|| {
            for n in 0..1000 {
                cache.put(format!("token {n}").as_bytes(), &alice(), seconds(0));
            }
            assert!(cache.get(b"token 7", seconds(0), |_| true).is_some());
            cache.flush();
        });
        assert_eq!(before.bytes_current, 0);

        let status = cache.status();
        assert_eq!((status.entries(), status.bytes(), status.hits()), (0, 0, 1));
        assert!(cache.get(b"token 7", seconds(0), |_| true).is_none());
        cache.put(b"token 7", &alice(), seconds(0));
        assert!(cache.get(b"token 7", seconds(0), |_| true).is_some());
    }

    #[test]
    fn all_that_is_kept_takes_no_more_memory_than_is_allowed() {
        for (entries, bytes) in
            [(10_000, 1 << 20), (100, 1 << 20), (1_000_000, 1 << 18), (5, 1 << 14)]
        {
            let limits = CacheLimits::new().max_entries(entries).max_bytes(bytes);
            let mut kept = None;
            let taken = allocation_counter::measure(|| {
                let cache = cache(limits);
                for n in 0..5000_usize {
                    let token = format!("{n:0width$}", width = 20 + n % 700);
                    let claims = match n % 3 {
                        0 => json!({ "exp": 1000, "sub": token }),
                        1 => json!({ "exp": 1000, "roles": vec![0; n % 500] }),
                        _ => json!({ "exp": 1000, "a": { "b": { "c": vec![json!({ "": n }); n % 7] } } }),
                    };
                    cache.put(token.as_bytes(), &valid(claims, SEAL), seconds(0));
                }
                kept = Some(cache);
            })
            .bytes_current;
            let taken = usize::try_from(taken).unwrap();
            assert!(taken <= bytes, "{taken} of {bytes}");
            assert!(taken > bytes / 4 || entries < 1000, "{taken} of {bytes} for {entries}");

            let kept = kept.unwrap();
            let sum: usize = kept.shards.iter().map(|shard| lock(shard).entries.len()).sum();
            assert!(sum <= entries, "{sum} of {entries}");
        }
    }

    #[test]
    fn tables_take_no_more_than_is_set_aside_for_them() {
        for entries in [1, 2, 3, 4, 5, 7, 8, 14, 15, 28, 29, 56, 57, 100, 1000, 1793, 10_000] {
            let taken = allocation_counter::measure(|| {
                let mut table = HashMap::<u64, usize, BuildHasherDefault<AsIs>>::default();
                let mut queue = VecDeque::new();
                for key in 0..entries {
                    table.insert(key, 0);
                    queue.push_back(key);
                }
            })
            .bytes_max;
            let allowed = entries * u64::try_from(TABLE).unwrap();
            assert!(taken <= allowed, "{taken} of {allowed} for {entries}");
        }
    }

    /// The same, as a list: the oldest first.
    struct Slow(Vec<(u64, Vec<u8>, usize, bool)>, usize, usize);

    impl Slow {
        fn get(&mut self, key: u64, token: &[u8], fresh: bool) -> bool {
            let Some(at) = self.0.iter().position(|it| it.0 == key && it.1 == token) else {
                return false;
            };
            if fresh {
                self.0[at].3 = true;
            } else {
                self.0.remove(at);
            }
            fresh
        }

        fn put(&mut self, key: u64, token: &[u8], weight: usize) {
            self.0.retain(|it| it.0 != key);
            if weight > self.2 {
                return;
            }
            while self.0.len() >= self.1
                || self.0.iter().map(|it| it.2).sum::<usize>() + weight > self.2
            {
                let mut oldest = self.0.remove(0);
                if oldest.3 {
                    oldest.3 = false;
                    self.0.push(oldest);
                }
            }
            self.0.push((key, token.to_vec(), weight, false));
        }
    }

    proptest! {
        #[test]
        fn a_shard_does_what_a_list_does(
            steps in prop::collection::vec((0..3_u8, 0..6_u64, 0..9_u8, 1..40_usize, prop::bool::weighted(0.8)), 0..200),
            max_entries in 1..6_usize,
            max_bytes in 1..100_usize,
        ) {
            let mut shard = Shard::new(max_entries, max_bytes);
            let mut slow = Slow(Vec::new(), max_entries, max_bytes);
            for (step, key, token, weight, fresh) in steps {
                let token = [token];
                if step == 0 {
                    let valid = valid(json!({ "sub": format!("{token:?}") }), SEAL);
                    let entry = Entry { token: token.into(), weight, valid, since: seconds(0), used: false };
                    shard.put(key, Box::new(entry));
                    slow.put(key, &token, weight);
                } else {
                    let known = shard.get(key, &token, |_| fresh);
                    prop_assert_eq!(known.is_some(), slow.get(key, &token, fresh));
                    if known.is_some() {
                        prop_assert_eq!(subject(known).unwrap(), format!("{token:?}"));
                    }
                }
                prop_assert!(shard.entries.len() <= max_entries && shard.bytes <= max_bytes);
                prop_assert_eq!(shard.bytes, shard.entries.values().map(|entry| entry.weight).sum::<usize>());
                let order: Vec<_> = slow.0.iter().map(|it| it.0).collect();
                prop_assert_eq!(Vec::from(shard.queue.clone()), order);
            }
        }
    }
}
