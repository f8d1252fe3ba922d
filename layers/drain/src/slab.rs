//! Numbered places that are used again.

/// Values under keys that are small and used again, so that coming and going allocates nothing.
///
/// It keeps room for as many values as it ever held at once.
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    vacant: Option<usize>, // the first of a chain through the vacant places
    len: usize,
}

enum Place<T> {
    Taken(T),
    Vacant { next: Option<usize> },
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), vacant: None, len: 0 }
    }

    pub(crate) fn insert(&mut self, value: T) -> usize {
        self.len += 1;
        let vacant = self.vacant.and_then(|key| Some((key, self.places.get_mut(key)?)));
        let Some((key, place)) = vacant else {
            self.places.push(Place::Taken(value));
            return self.places.len() - 1;
        };
        if let Place::Vacant { next } = std::mem::replace(place, Place::Taken(value)) {
            self.vacant = next;
        }
        key
    }

    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        match self.places.get_mut(key)? {
            Place::Taken(value) => Some(value),
            Place::Vacant { .. } => None,
        }
    }

    pub(crate) fn remove(&mut self, key: usize) -> Option<T> {
        let place = self.places.get_mut(key)?;
        if matches!(place, Place::Vacant { .. }) {
            return None;
        }
        let place = std::mem::replace(place, Place::Vacant { next: self.vacant });
        self.vacant = Some(key);
        self.len -= 1;
        match place {
            Place::Taken(value) => Some(value),
            Place::Vacant { .. } => None,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| match place {
            Place::Taken(value) => Some(value),
            Place::Vacant { .. } => None,
        })
    }
}

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
                        prop_assert_eq!(slab.remove(key), map.remove(&key));
                        prop_assert_eq!(slab.remove(key), None);
                        prop_assert_eq!(slab.get_mut(key), None);
                    }
                    _ => prop_assert_eq!(map.insert(slab.insert(value), value), None),
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
