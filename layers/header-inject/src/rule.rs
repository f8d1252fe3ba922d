use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Extensions, StatusCode};

use crate::action::{Action, Verb};
use crate::meters::{Skip, Tally};
use crate::{Condition, HeaderPrefix, InvalidRule, NotInjected, OnMissing, Value, names};

/// One change to the headers of a message: a part of [`HeaderRules`](crate::HeaderRules).
///
/// A value is a [`HeaderValue`], a [`Secret`](crate::Secret), or a [`Value`] that each request says. One that is
/// [sensitive](HeaderValue::set_sensitive) is not printed by `Debug`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a rule does nothing until it is in a list"]
pub struct Rule {
    action: Action,
    on_missing: OnMissing,
    condition: Option<Box<Condition>>,
    allow_protected: bool,
    /// Whether nothing of the client's stays where the condition does not hold: see [`Rule::when`].
    clears: bool,
}

impl Rule {
    /// Puts `value` in place of all values under `name`, or adds it where there is none.
    ///
    /// For a request that has no `value`, what stood under `name` is removed: a client never speaks for the source. Unless
    /// [`on_missing`](Self::on_missing) says otherwise.
    pub fn set(name: HeaderName, value: impl Into<Value>) -> Self {
        Self::new(Action::Put(Verb::Set, name, value.into()))
    }

    /// Adds `value` as a line of its own beside those under `name`; nothing is joined by commas.
    ///
    /// What a client sent under `name` stays, and stands alone where a request has no `value`: not for what the
    /// upstream trusts.
    pub fn append(name: HeaderName, value: impl Into<Value>) -> Self {
        Self::new(Action::Put(Verb::Append, name, value.into()))
    }

    /// Adds `value` where there is nothing under `name`, not even an empty value.
    ///
    /// What a client sent under `name` stays, and a source is not asked then: not for what the upstream trusts.
    pub fn set_if_absent(name: HeaderName, value: impl Into<Value>) -> Self {
        Self::new(Action::Put(Verb::SetIfAbsent, name, value.into()))
    }

    /// Puts `value` in place of all values under `name`, if there is one, be it empty; otherwise the source is not asked.
    ///
    /// Without a `value` it does what [`set`](Self::set) does without one.
    pub fn replace_if_present(name: HeaderName, value: impl Into<Value>) -> Self {
        Self::new(Action::Put(Verb::ReplaceIfPresent, name, value.into()))
    }

    /// Removes all values under `name`.
    pub const fn remove(name: HeaderName) -> Self {
        Self::new(Action::Remove(name))
    }

    /// Removes all values under all names that begin like this, whether they have `-` or `_` where it has one.
    ///
    /// Headers that no rule may change stay, and so do `authorization` and `host` unless that is
    /// [allowed](Self::allow_protected). Names that are found cost an allocation.
    pub const fn remove_prefix(prefix: HeaderPrefix) -> Self {
        Self::new(Action::RemovePrefix(prefix))
    }

    /// Moves all values under `from`, in their order, to `to`.
    ///
    /// What stood under `to` is removed, even when there is nothing under `from`: a client that sends the new name
    /// forges nothing. A header that may stand only once gets the first value, and the others are dropped. More than
    /// one value costs an allocation.
    pub const fn rename(from: HeaderName, to: HeaderName) -> Self {
        Self::new(Action::Rename { from, to })
    }

    /// Puts all values under `from`, in their order, under `to` as well; what stood there is removed, as by
    /// [`rename`](Self::rename).
    pub const fn copy(from: HeaderName, to: HeaderName) -> Self {
        Self::new(Action::Copy { from, to })
    }

    /// Says what happens where there is no value: by default, what stood under the name is removed.
    ///
    /// It is for [`set`](Self::set) and [`replace_if_present`](Self::replace_if_present);
    /// [`append`](Self::append) and [`set_if_absent`](Self::set_if_absent) add nothing then, unless it is
    /// [`OnMissing::Reject`].
    pub const fn on_missing(mut self, reaction: OnMissing) -> Self {
        self.on_missing = reaction;
        self
    }

    /// Lets the rule act only where `condition` holds.
    ///
    /// Of a request for which it does not, a client's copy of what the rule would have given (the name that is set or
    /// replaced, or what is renamed or copied to) is removed all the same: no client chooses to speak for the source by not
    /// meeting the condition. Of several rules that give one header it is the first that removes, so that the others do not
    /// take off what it has set. [`OnMissing::Keep`] leaves it. A rule of responses then does nothing.
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = (condition != Condition::new()).then(|| Box::new(condition));
        self
    }

    /// Lets the rule change `authorization` and `host`.
    ///
    /// Headers of framing and of single connections stay refused.
    pub const fn allow_protected(mut self) -> Self {
        self.allow_protected = true;
        self
    }

    const fn new(action: Action) -> Self {
        let on_missing = OnMissing::Remove;
        Self { action, on_missing, condition: None, allow_protected: false, clears: false }
    }

    /// Refuses what must not be, and gives what never changes its form.
    pub(crate) fn check(mut self) -> Result<Self, InvalidRule> {
        for name in self.action.changes() {
            if names::is_forbidden(name) {
                return Err(InvalidRule::Forbidden(name.clone()));
            }
            if names::is_protected(name) && !self.allow_protected {
                return Err(InvalidRule::Protected(name.clone()));
            }
        }
        if let Action::Put(_, name, value) = &mut self.action {
            if !value.settle() {
                return Err(InvalidRule::NotAscii(name.clone()));
            }
        }
        match &self.action {
            Action::Put(Verb::Append, name, _) if names::is_singleton(name) => {
                Err(InvalidRule::Singleton(name.clone()))
            }
            Action::Rename { from, to } | Action::Copy { from, to } if from == to => {
                Err(InvalidRule::SameName(to.clone()))
            }
            _ => Ok(self),
        }
    }

    /// Asks `resolver` what the names stand for that values have, if they have one.
    pub(crate) fn resolve(
        mut self,
        resolver: &mut impl FnMut(&str) -> Option<Value>,
    ) -> Result<Self, InvalidRule> {
        let header = self.action.subject().clone();
        let own = self.action.value_mut();
        let asked = self.condition.iter_mut().flat_map(|condition| condition.values_mut());
        for value in own.into_iter().chain(asked) {
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

    /// Refuses what only a response can say.
    pub(crate) fn check_request(&self) -> Result<(), InvalidRule> {
        match &self.condition {
            Some(condition) if condition.asks_for_status() => {
                Err(InvalidRule::NoResponse(self.action.subject().clone()))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what only a request can say.
    pub(crate) fn check_response(&self) -> Result<(), InvalidRule> {
        let condition = self.condition.as_ref();
        let mut values =
            self.action.value().into_iter().chain(condition.iter().flat_map(|it| it.values()));
        let asks_for_method = condition.is_some_and(|condition| condition.asks_for_method());
        if asks_for_method || values.any(Value::needs_request) {
            return Err(InvalidRule::NoRequest(self.action.subject().clone()));
        }
        Ok(())
    }

    /// Notes whether the rule is the first of its list that may give what it gives.
    pub(crate) fn follow(&mut self, before: &[Self]) {
        let is_first = self
            .gives()
            .is_some_and(|name| before.iter().filter_map(Self::gives).all(|other| other != name));
        self.clears = self.condition.is_some() && is_first;
    }

    /// Whether the rule goes by more of a request than its headers.
    pub(crate) fn asks(&self) -> bool {
        self.condition.is_some() || self.action.value().is_some_and(Value::needs_request)
    }

    /// Whether it wants no message without its value.
    pub(crate) fn rejects(&self) -> bool {
        self.on_missing == OnMissing::Reject
    }

    /// The names that the rule speaks of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.action.names()
    }

    /// The name under which nothing of the client's may be left.
    fn gives(&self) -> Option<&HeaderName> {
        self.action.gives().filter(|_| self.on_missing != OnMissing::Keep)
    }

    /// The names under which nothing of the client's is left, whether the condition holds or not.
    pub(crate) fn decides(&self) -> impl Iterator<Item = &HeaderName> {
        let taken = self.action.takes().filter(|_| self.condition.is_none());
        self.gives().into_iter().chain(taken)
    }

    /// The name that the rule takes only where its condition holds, and so does for this request.
    pub(crate) fn takes_from(&self, request: &Parts) -> Option<&HeaderName> {
        let condition = self.condition.as_ref()?;
        self.action.takes().filter(|_| condition.holds_for_request(request))
    }

    pub(crate) fn change_request(
        &self,
        request: &mut Parts,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        if self.condition.as_ref().is_some_and(|condition| !condition.holds_for_request(request)) {
            tally.skipped(Skip::Condition);
            if let Some(name) = self.gives().filter(|_| self.clears) {
                request.headers.remove(name);
            }
            return Ok(());
        }
        let Some(value) = self.action.wanted(&request.headers) else {
            self.rearrange(&mut request.headers, tally);
            return Ok(());
        };
        let value = value.ask(request);
        self.put(&mut request.headers, value, tally)
    }

    pub(crate) fn change_response(
        &self,
        status: StatusCode,
        holds_in: &Extensions,
        headers: &mut HeaderMap,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        let condition = self.condition.as_ref();
        if condition.is_some_and(|it| !it.holds_for_response(status, headers, holds_in)) {
            tally.skipped(Skip::Condition);
            return Ok(());
        }
        self.change_headers(headers, tally)
    }

    /// Acts whatever the condition, and with a value that needs no request.
    pub(crate) fn change_headers(
        &self,
        headers: &mut HeaderMap,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        let Some(value) = self.action.wanted(headers) else {
            self.rearrange(headers, tally);
            return Ok(());
        };
        self.put(headers, value.fixed(), tally)
    }

    fn rearrange(&self, headers: &mut HeaderMap, tally: &mut Tally) {
        if self.action.rearrange(headers, self.allow_protected) {
            tally.applied(self.action.verb());
        }
    }

    fn put(
        &self,
        headers: &mut HeaderMap,
        value: Option<HeaderValue>,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        let Some(value) = value else {
            tally.skipped(Skip::Missing);
            return self.miss(headers);
        };
        if self.action.put(headers, value) {
            tally.applied(self.action.verb());
        } else {
            tally.skipped(Skip::Full);
        }
        Ok(())
    }

    fn miss(&self, headers: &mut HeaderMap) -> Result<(), NotInjected> {
        if self.on_missing == OnMissing::Reject {
            return Err(NotInjected::MissingValue(self.action.subject().clone()));
        }
        if let Some(name) = self.gives() {
            headers.remove(name);
        }
        Ok(())
    }
}
