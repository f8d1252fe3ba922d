//! Numbered places that are used again.

/// Values under keys that are small and used again, so that coming and going allocates nothing.
///
/// It keeps room for as many values as it ever held at once, and the values themselves for who comes next: what they have
/// allocated is used again, too.
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    /// The first of a chain through the vacant places; the number of all where there is none.
    vacant: usize,
    len: usize,
}

/// On cache lines of its own, as what it is a part of: none is shared with the places of another worker.
#[repr(align(128))]
struct Place<T> {
    value: T,
    /// The vacant place after this one, or that it is taken.
    next: usize,
}

impl<T> Slab<T> {
    /// The bytes of a place.
    #[cfg(all(test, not(loom)))]
    pub(crate) const PLACE: usize = size_of::<Place<T>>();

    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), vacant: 0, len: 0 }
    }

    /// Takes a place, in which there is what was left there, for `fill` to change; or what `new` makes.
    pub(crate) fn insert(&mut self, new: impl FnOnce() -> T, fill: impl FnOnce(&mut T)) -> usize {
        let key = self.vacant;
        if key == self.places.len() {
            self.places.push(Place { value: new(), next: key + 1 });
        }
        if let Some(place) = self.places.get_mut(key) {
            fill(&mut place.value);
            self.vacant = std::mem::replace(&mut place.next, TAKEN);
            self.len += 1;
        }
        key
    }

    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        let place = self.places.get_mut(key)?;
        (place.next == TAKEN).then_some(&mut place.value)
    }

    /// Leaves a place, and what is in it there.
    pub(crate) fn remove(&mut self, key: usize) -> Option<&mut T> {
        let place = self.places.get_mut(key)?;
        if place.next != TAKEN {
            return None;
        }
        place.next = self.vacant;
        self.vacant = key;
        self.len -= 1;
        Some(&mut place.value)
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter(|place| place.next == TAKEN).map(|place| &place.value)
    }
}

/// In place of the next vacant one.
const TAKEN: usize = usize::MAX;

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_map_would_in_no_more_places_than_it_must(
            steps in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 0..200),
        ) {
            let (mut slab, mut map, mut most) = (Slab::new(), HashMap::new(), 0);
            for (value, removal) in steps.into_iter().enumerate() {
                match removal {
                    Some(index) if !map.is_empty() => {
                        let keys: Vec<usize> = map.keys().copied().collect();
                        let key = keys[index.index(keys.len())];
                        prop_assert_eq!(slab.get_mut(key), map.get_mut(&key));
                        prop_assert_eq!(slab.remove(key).copied(), map.remove(&key));
                        prop_assert_eq!(slab.remove(key), None);
                        prop_assert_eq!(slab.get_mut(key), None);
                    }
                    _ => {
                        let key = slab.insert(|| value, |place| *place = value);
                        prop_assert_eq!(map.insert(key, value), None);
                    }
                }
                most = most.max(map.len());

                let mut held: Vec<_> = slab.iter().copied().collect();
                let mut expected: Vec<_> = map.values().copied().collect();
                held.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(held, expected);
                prop_assert_eq!((slab.len(), slab.places.len()), (map.len(), most));
            }
        }
    }
}
