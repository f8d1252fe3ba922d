use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{HeaderPrefix, Value, names};

/// What a rule does to headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// One of the verbs that need a value.
    Put(Verb, HeaderName, Value),
    Remove(HeaderName),
    RemovePrefix(HeaderPrefix),
    Rename {
        from: HeaderName,
        to: HeaderName,
    },
    Copy {
        from: HeaderName,
        to: HeaderName,
    },
}

/// The word for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verb {
    Set,
    Append,
    SetIfAbsent,
    ReplaceIfPresent,
    Remove,
    RemovePrefix,
    Rename,
    Copy,
}

impl Action {
    pub(crate) const fn verb(&self) -> Verb {
        match self {
            Self::Put(verb, ..) => *verb,
            Self::Remove(_) => Verb::Remove,
            Self::RemovePrefix(_) => Verb::RemovePrefix,
            Self::Rename { .. } => Verb::Rename,
            Self::Copy { .. } => Verb::Copy,
        }
    }

    /// What it is about, to be named in an error.
    pub(crate) const fn subject(&self) -> &HeaderName {
        match self {
            Self::Put(_, name, _) | Self::Remove(name) => name,
            Self::RemovePrefix(prefix) => prefix.name(),
            Self::Rename { to, .. } | Self::Copy { to, .. } => to,
        }
    }

    pub(crate) const fn value(&self) -> Option<&Value> {
        if let Self::Put(_, _, value) = self { Some(value) } else { None }
    }

    pub(crate) const fn value_mut(&mut self) -> Option<&mut Value> {
        if let Self::Put(_, _, value) = self { Some(value) } else { None }
    }

    /// The names that it changes.
    pub(crate) fn changes(&self) -> impl Iterator<Item = &HeaderName> {
        let (one, other) = match self {
            Self::Put(_, name, _) | Self::Remove(name) => (Some(name), None),
            Self::RemovePrefix(_) => (None, None),
            Self::Rename { from, to } => (Some(from), Some(to)),
            Self::Copy { to, .. } => (Some(to), None),
        };
        one.into_iter().chain(other)
    }

    /// The names that it speaks of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        let read = if let Self::Copy { from, .. } = self { Some(from) } else { None };
        self.changes().chain(read)
    }

    /// The name that it puts something under in place of what was there.
    pub(crate) const fn gives(&self) -> Option<&HeaderName> {
        match self {
            Self::Put(Verb::Set | Verb::ReplaceIfPresent, name, _) => Some(name),
            Self::Rename { to, .. } | Self::Copy { to, .. } => Some(to),
            Self::Put(..) | Self::Remove(_) | Self::RemovePrefix(_) => None,
        }
    }

    /// The name that it takes from the message.
    pub(crate) const fn takes(&self) -> Option<&HeaderName> {
        match self {
            Self::Remove(name) | Self::Rename { from: name, .. } => Some(name),
            Self::Put(..) | Self::RemovePrefix(_) | Self::Copy { .. } => None,
        }
    }

    /// The value that it wants for these headers, if it wants one.
    pub(crate) fn wanted(&self, headers: &HeaderMap) -> Option<&Value> {
        let Self::Put(verb, name, value) = self else { return None };
        match verb {
            Verb::SetIfAbsent => (!headers.contains_key(name)).then_some(value),
            Verb::ReplaceIfPresent => headers.contains_key(name).then_some(value),
            _ => Some(value),
        }
    }

    /// Puts the value that it wanted, and says whether there was room.
    ///
    /// A map that is full stays as it is: see [`HeaderRules`](crate::HeaderRules).
    pub(crate) fn put(&self, headers: &mut HeaderMap, value: HeaderValue) -> bool {
        match self {
            Self::Put(Verb::Append | Verb::SetIfAbsent, name, _) => {
                headers.try_append(name, value).is_ok()
            }
            Self::Put(_, name, _) => set(headers, name, value),
            _ => false,
        }
    }

    /// Does what needs no value, and says whether there was something to do.
    pub(crate) fn rearrange(&self, headers: &mut HeaderMap, allow_protected: bool) -> bool {
        match self {
            Self::Put(..) => false,
            Self::Remove(name) => headers.remove(name).is_some(),
            Self::RemovePrefix(prefix) => remove_prefix(headers, prefix, allow_protected),
            Self::Rename { from, to } => {
                copy(headers, from, to);
                headers.remove(from).is_some()
            }
            Self::Copy { from, to } => copy(headers, from, to),
        }
    }
}

#[cfg(feature = "metrics")]
impl Verb {
    pub(crate) const ALL: [Self; 8] = [
        Self::Set,
        Self::Append,
        Self::SetIfAbsent,
        Self::ReplaceIfPresent,
        Self::Remove,
        Self::RemovePrefix,
        Self::Rename,
        Self::Copy,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Append => "append",
            Self::SetIfAbsent => "set_if_absent",
            Self::ReplaceIfPresent => "replace_if_present",
            Self::Remove => "remove",
            Self::RemovePrefix => "remove_prefix",
            Self::Rename => "rename",
            Self::Copy => "copy",
        }
    }
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) -> bool {
    if headers.keys_len() >= SPACIOUS {
        // A full map refuses even to replace. What stood there goes first, and makes room.
        headers.remove(name);
    }
    headers.try_insert(name, value).is_ok()
}

/// Puts what is under `from` under `to`, and says whether there was something.
fn copy(headers: &mut HeaderMap, from: &HeaderName, to: &HeaderName) -> bool {
    let others = if names::is_singleton(to) { 0 } else { usize::MAX };
    let first = headers.get(from).cloned();
    let others: Vec<_> = headers.get_all(from).iter().skip(1).take(others).cloned().collect();

    headers.remove(to);
    let there_is = first.is_some();
    for value in first.into_iter().chain(others) {
        let _ = headers.try_append(to, value);
    }
    there_is
}

fn remove_prefix(headers: &mut HeaderMap, prefix: &HeaderPrefix, allow_protected: bool) -> bool {
    let goes = |name: &&HeaderName| {
        prefix.begins(name)
            && !names::is_forbidden(name)
            && (allow_protected || !names::is_protected(name))
    };
    let found: Vec<_> = headers.keys().filter(goes).cloned().collect();
    for name in &found {
        headers.remove(name);
    }
    !found.is_empty()
}

/// With fewer names than this, no map is full, however its names collide.
const SPACIOUS: usize = 4096;
