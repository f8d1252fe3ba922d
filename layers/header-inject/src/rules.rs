use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http::{Extensions, StatusCode};

use crate::meters::Tally;
use crate::names::{self, Looks};
use crate::{InvalidRule, NotInjected, Rule, Value};

/// A list of rules that act in its order; by default, none.
///
/// A header map that is full (24,576 names) takes no new name: such a rule adds nothing, and still leaves nothing of a
/// client's under a name that it sets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderRules {
    rules: Vec<Rule>,
    /// Those of the names that the rules decide.
    decided: Looks,
    /// Whether a rule goes by more of a message than its headers.
    asks: bool,
    /// Whether a message may be left without what it must have.
    rejects: bool,
}

impl HeaderRules {
    /// The rules in the order in which they act.
    ///
    /// # Errors
    ///
    /// The first of `rules` that is refused, as [`InvalidRule`] says.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, InvalidRule> {
        let mut known = Vec::new();
        for rule in rules {
            let mut rule = rule.check()?;
            rule.follow(&known);
            known.push(rule);
        }
        Ok(Self::of(known))
    }

    pub(crate) const fn none() -> Self {
        Self { rules: Vec::new(), decided: Looks::none(), asks: false, rejects: false }
    }

    fn of(rules: Vec<Rule>) -> Self {
        let decided = rules.iter().flat_map(Rule::decides).collect();
        let (asks, rejects) = (rules.iter().any(Rule::asks), rules.iter().any(Rule::rejects));
        Self { rules, decided, asks, rejects }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(crate) const fn asks(&self) -> bool {
        self.asks
    }

    pub(crate) const fn rejects(&self) -> bool {
        self.rejects
    }

    pub(crate) fn resolve(
        self,
        resolver: &mut impl FnMut(&str) -> Option<Value>,
    ) -> Result<Self, InvalidRule> {
        let rules = self.rules.into_iter().map(|rule| rule.resolve(resolver));
        rules.collect::<Result<_, _>>().map(Self::of)
    }

    pub(crate) fn check_request(&self) -> Result<(), InvalidRule> {
        self.rules.iter().try_for_each(Rule::check_request)
    }

    pub(crate) fn check_response(&self) -> Result<(), InvalidRule> {
        self.rules.iter().try_for_each(Rule::check_response)
    }

    pub(crate) fn change_request(
        &self,
        request: &mut Parts,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        let decided = || self.rules.iter().flat_map(Rule::decides);
        self.drop_twins(&mut request.headers, self.decided, decided);
        for rule in &self.rules {
            if let Some(taken) = rule.takes_from(request) {
                let taken = || std::iter::once(taken);
                self.drop_twins(&mut request.headers, taken().collect(), taken);
            }
            rule.change_request(request, tally)?;
        }
        Ok(())
    }

    /// Changes a request by rules that go by its headers alone.
    pub(crate) fn change_request_headers(
        &self,
        headers: &mut HeaderMap,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        let decided = || self.rules.iter().flat_map(Rule::decides);
        self.drop_twins(headers, self.decided, decided);
        self.rules.iter().try_for_each(|rule| rule.change_headers(headers, tally))
    }

    pub(crate) fn change_response(
        &self,
        status: StatusCode,
        extensions: &Extensions,
        headers: &mut HeaderMap,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        self.rules
            .iter()
            .try_for_each(|rule| rule.change_response(status, extensions, headers, tally))
    }

    /// Drops what a CGI-like upstream would take for one of the `decided` headers; few others have their `looks`.
    fn drop_twins<'n, N: Iterator<Item = &'n HeaderName>>(
        &self,
        headers: &mut HeaderMap,
        looks: Looks,
        decided: impl Fn() -> N,
    ) {
        if !headers.keys().any(|name| looks.may_be(name)) {
            return;
        }
        let named =
            |name: &HeaderName| self.rules.iter().flat_map(Rule::names).any(|own| own == name);
        let is_twin = |name: &&HeaderName| {
            looks.may_be(name)
                && decided().any(|decided| names::look_alike(decided, name))
                && !named(name)
        };
        let twins: Vec<_> = headers.keys().filter(is_twin).cloned().collect();
        for twin in twins {
            headers.remove(twin);
        }
    }
}
