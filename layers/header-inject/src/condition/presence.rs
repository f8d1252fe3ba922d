use std::any::{TypeId, type_name};
use std::fmt;

use http::Extensions;

/// Whether extensions have one of some type.
#[derive(Clone, Copy)]
pub(super) struct Presence {
    id: TypeId,
    name: &'static str,
    pub(super) is_in: fn(&Extensions) -> bool,
}

impl Presence {
    pub(super) fn of<T: Clone + Send + Sync + 'static>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
            is_in: |extensions| extensions.get::<T>().is_some(),
        }
    }
}

impl PartialEq for Presence {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Presence {}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
