//! Who is refused most.

use std::sync::{Mutex, PoisonError};

use crate::Key;

/// A key, and how often it was refused; see [`RateLimitHandle::top`](crate::RateLimitHandle::top).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// What the key is made of, in words. It comes from clients.
    pub key: String,
    /// How often at the most.
    pub times: u64,
    /// And by how much that may be too many, since others had its place in the list before.
    pub too_many: u64,
}

/// The keys that were refused most, among any number of them, in memory of a fixed size.
///
/// By the algorithm of Metwally, Agrawal and El Abbadi (Space-Saving): a new key takes the place of the one with the fewest
/// refusals, and its count with it. Whoever has more than its share of all refusals is in the list.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    key: Key,
    times: u64,
    too_many: u64,
}

impl Refusals {
    /// One more; not counted while somebody else counts, for which no request waits.
    pub(crate) fn note(&self, key: &Key) {
        let Ok(mut entries) = self.0.try_lock() else { return };
        if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
            entry.times = entry.times.saturating_add(1);
        } else if entries.len() < MOST {
            entries.push(Entry { key: key.clone(), times: 1, too_many: 0 });
        } else if let Some(least) = entries.iter_mut().min_by_key(|entry| entry.times) {
            let too_many = least.times;
            *least = Entry { key: key.clone(), times: too_many.saturating_add(1), too_many };
        }
    }

    pub(crate) fn top(&self, most: usize) -> Vec<Refused> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = entries.iter().map(|entry| Refused {
            key: entry.key.in_words(),
            times: entry.times,
            too_many: entry.too_many,
        });
        let mut all: Vec<_> = refused.collect();
        drop(entries);
        all.sort_by_key(|refused| std::cmp::Reverse(refused.times));
        all.truncate(most);
        all
    }
}

/// How many are remembered.
pub(crate) const MOST: usize = 64;

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_most_is_found_in_a_flood_of_others() {
        let refusals = Refusals::default();
        for number in 0..100_000_u32 {
            refusals.note(&Key::new(number.to_be_bytes()));
            if number % 10 == 0 {
                refusals.note(&Key::new("loud"));
            }
        }

        let top = refusals.top(1);

        assert_eq!(top.len(), 1);
        assert_eq!(top[0].key, "loud");
        assert!(top[0].times >= 10_000 && top[0].times - top[0].too_many <= 10_000, "{top:?}");
        assert_eq!(refusals.top(1000).len(), MOST);
    }
}
