use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use crate::{InvalidRule, Value, names};

/// One change to the headers of a message: a part of [`HeaderRules`](crate::HeaderRules).
///
/// A value is a [`HeaderValue`], or a [`Value`] that each request says. One that is
/// [sensitive](HeaderValue::set_sensitive) is not printed by `Debug`.
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
    ///
    /// For a request that has no `value`, what stood under `name` is removed: a client never speaks for the source.
    pub fn set(name: HeaderName, value: impl Into<Value>) -> Self {
        Self::new(Action::Set(name, value.into()))
    }

    /// Adds `value` as a line of its own beside those under `name`; nothing is joined by commas.
    ///
    /// What a client sent under `name` stays, and stands alone where a request has no `value`: not for what the
    /// upstream trusts.
    pub fn append(name: HeaderName, value: impl Into<Value>) -> Self {
        Self::new(Action::Append(name, value.into()))
    }

    /// Adds `value` where there is nothing under `name`, not even an empty value.
    ///
    /// What a client sent under `name` stays, and a source is not asked then: not for what the upstream trusts.
    pub fn set_if_absent(name: HeaderName, value: impl Into<Value>) -> Self {
        Self::new(Action::SetIfAbsent(name, value.into()))
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

    /// Asks `resolver` what the name stands for that the value has, if it has one.
    pub(crate) fn resolve(
        mut self,
        resolver: &mut impl FnMut(&str) -> Option<Value>,
    ) -> Result<Self, InvalidRule> {
        if let Action::Set(header, value)
        | Action::Append(header, value)
        | Action::SetIfAbsent(header, value) = &mut self.action
        {
            if let Some(source) = value.name() {
                // A name that stands for a name would never end.
                let found = resolver(source).filter(|found| found.name().is_none());
                value.stand_for(found.ok_or_else(|| InvalidRule::UnknownSource {
                    header: header.clone(),
                    source: source.into(),
                })?);
            }
        }
        self.check()
    }

    /// Refuses a rule whose value only a request can say.
    pub(crate) fn check_response(&self) -> Result<(), InvalidRule> {
        match &self.action {
            Action::Set(name, value)
            | Action::Append(name, value)
            | Action::SetIfAbsent(name, value)
                if value.needs_request() =>
            {
                Err(InvalidRule::NoRequest(name.clone()))
            }
            _ => Ok(()),
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

    pub(crate) fn change_request(&self, request: &mut Parts) {
        let value = self.value(&request.headers).and_then(|value| value.ask(request));
        self.apply(&mut request.headers, value);
    }

    pub(crate) fn change_response(&self, headers: &mut HeaderMap) {
        let value = self.value(headers).and_then(Value::fixed);
        self.apply(headers, value);
    }

    /// The value that the rule wants to add to these headers.
    fn value(&self, headers: &HeaderMap) -> Option<&Value> {
        match &self.action {
            Action::Set(_, value) | Action::Append(_, value) => Some(value),
            Action::SetIfAbsent(name, value) => (!headers.contains_key(name)).then_some(value),
            Action::Remove(_) | Action::Rename { .. } => None,
        }
    }

    fn apply(&self, headers: &mut HeaderMap, value: Option<HeaderValue>) {
        match &self.action {
            Action::Set(name, _) => set(headers, name, value),
            Action::Append(name, _) | Action::SetIfAbsent(name, _) => {
                if let Some(value) = value {
                    // A map that is full stays as it is: see `HeaderRules`.
                    let _ = headers.try_append(name, value);
                }
            }
            Action::Remove(name) => drop(headers.remove(name)),
            Action::Rename { from, to } => rename(headers, from, to),
        }
    }
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    let Some(value) = value else {
        headers.remove(name);
        return;
    };
    match headers.try_entry(name) {
        Ok(Entry::Occupied(mut entry)) => drop(entry.insert(value)),
        Ok(Entry::Vacant(entry)) => drop(entry.try_insert(value)),
        Err(_) => {
            // A full map refuses even to replace. What stood there goes all the same, and makes room.
            headers.remove(name);
            let _ = headers.try_insert(name, value);
        }
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
