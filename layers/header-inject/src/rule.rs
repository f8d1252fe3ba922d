use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::value::Value;
use crate::{InvalidRule, names};

/// One change to the headers of a message: a part of [`HeaderRules`](crate::HeaderRules).
///
/// A value that is [sensitive](HeaderValue::set_sensitive) is not printed by `Debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a rule does nothing until it is in a list"]
pub struct Rule {
    action: Action,
    allow_protected: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Action {
    Set(HeaderName, Value),
    Append(HeaderName, Value),
    SetIfAbsent(HeaderName, Value),
    Remove(HeaderName),
    Rename { from: HeaderName, to: HeaderName },
}

impl Rule {
    /// Puts `value` in place of all values under `name`, or adds it where there is none.
    pub const fn set(name: HeaderName, value: HeaderValue) -> Self {
        Self::new(Action::Set(name, Value::Static(value)))
    }

    /// Adds `value` as a line of its own beside those under `name`; nothing is joined by commas.
    ///
    /// What a client sent under `name` stays: not for what the upstream trusts.
    pub const fn append(name: HeaderName, value: HeaderValue) -> Self {
        Self::new(Action::Append(name, Value::Static(value)))
    }

    /// Adds `value` where there is nothing under `name`, not even an empty value.
    ///
    /// What a client sent under `name` stays: not for what the upstream trusts.
    pub const fn set_if_absent(name: HeaderName, value: HeaderValue) -> Self {
        Self::new(Action::SetIfAbsent(name, Value::Static(value)))
    }

    /// Removes all values under `name`.
    pub const fn remove(name: HeaderName) -> Self {
        Self::new(Action::Remove(name))
    }

    /// Moves all values under `from`, in their order, to `to`.
    ///
    /// What stood under `to` is removed, even when there is nothing under `from`: a client that sends the new name
    /// forges nothing. A header that may stand only once gets the first value, and the others are dropped. More than
    /// one value costs an allocation.
    pub const fn rename(from: HeaderName, to: HeaderName) -> Self {
        Self::new(Action::Rename { from, to })
    }

    /// Lets the rule change `authorization` and `host`.
    ///
    /// Headers of framing and of single connections stay refused.
    pub const fn allow_protected(mut self) -> Self {
        self.allow_protected = true;
        self
    }

    const fn new(action: Action) -> Self {
        Self { action, allow_protected: false }
    }

    pub(crate) fn check(self) -> Result<Self, InvalidRule> {
        for name in self.names() {
            if names::is_forbidden(name) {
                return Err(InvalidRule::Forbidden(name.clone()));
            }
            if names::is_protected(name) && !self.allow_protected {
                return Err(InvalidRule::Protected(name.clone()));
            }
        }
        match &self.action {
            Action::Set(name, value)
            | Action::Append(name, value)
            | Action::SetIfAbsent(name, value)
                if !value.is_ascii() =>
            {
                Err(InvalidRule::NotAscii(name.clone()))
            }
            Action::Append(name, _) if names::is_singleton(name) => {
                Err(InvalidRule::Singleton(name.clone()))
            }
            Action::Rename { from, to } if from == to => Err(InvalidRule::SameName(to.clone())),
            _ => Ok(self),
        }
    }

    /// The names that the rule speaks of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        let (one, other) = match &self.action {
            Action::Set(name, _)
            | Action::Append(name, _)
            | Action::SetIfAbsent(name, _)
            | Action::Remove(name) => (name, None),
            Action::Rename { from, to } => (from, Some(to)),
        };
        std::iter::once(one).chain(other)
    }

    /// The names under which nothing of the client's is left.
    pub(crate) fn decides(&self) -> impl Iterator<Item = &HeaderName> {
        let open = matches!(self.action, Action::Append(..) | Action::SetIfAbsent(..));
        self.names().filter(move |_| !open)
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        match &self.action {
            Action::Set(name, value) => set(headers, name, value),
            // A map that is full stays as it is: see `HeaderRules`.
            Action::Append(name, value) => drop(headers.try_append(name, value.get())),
            Action::SetIfAbsent(name, value) => {
                if !headers.contains_key(name) {
                    let _ = headers.try_insert(name, value.get());
                }
            }
            Action::Remove(name) => drop(headers.remove(name)),
            Action::Rename { from, to } => rename(headers, from, to),
        }
    }
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: &Value) {
    if headers.try_insert(name, value.get()).is_err() {
        // A full map refuses even to replace. What stood there goes all the same, and makes room.
        headers.remove(name);
        let _ = headers.try_insert(name, value.get());
    }
}

fn rename(headers: &mut HeaderMap, from: &HeaderName, to: &HeaderName) {
    let others = if names::is_singleton(to) { 0 } else { usize::MAX };
    let others: Vec<_> = headers.get_all(from).iter().skip(1).take(others).cloned().collect();

    headers.remove(to);
    let Some(first) = headers.remove(from) else {
        return;
    };
    for value in std::iter::once(first).chain(others) {
        let _ = headers.try_append(to, value);
    }
}
