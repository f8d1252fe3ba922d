use http::header::{HeaderMap, HeaderName};
use http::request::Parts;

use crate::{InvalidRule, Rule, Value, names};

/// A list of rules that act in its order; by default, none.
///
/// A header map that is full (24,576 names) takes no new name: such a rule adds nothing, and still leaves nothing of a
/// client's under a name that it sets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderRules(Vec<Rule>);

impl HeaderRules {
    /// The rules in the order in which they act.
    ///
    /// # Errors
    ///
    /// The first of `rules` that is refused, as [`InvalidRule`] says.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, InvalidRule> {
        rules.into_iter().map(Rule::check).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn resolve(
        self,
        resolver: &mut impl FnMut(&str) -> Option<Value>,
    ) -> Result<Self, InvalidRule> {
        self.0.into_iter().map(|rule| rule.resolve(resolver)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn check_response(&self) -> Result<(), InvalidRule> {
        self.0.iter().try_for_each(Rule::check_response)
    }

    pub(crate) fn change_request(&self, request: &mut Parts) {
        self.drop_twins(&mut request.headers);
        for rule in &self.0 {
            rule.change_request(request);
        }
    }

    pub(crate) fn change_response(&self, headers: &mut HeaderMap) {
        for rule in &self.0 {
            rule.change_response(headers);
        }
    }

    /// Drops what a CGI-like upstream would take for a header that a rule decides.
    fn drop_twins(&self, headers: &mut HeaderMap) {
        let twins: Vec<_> = headers.keys().filter(|name| self.has_twin(name)).cloned().collect();
        for twin in twins {
            headers.remove(twin);
        }
    }

    fn has_twin(&self, name: &HeaderName) -> bool {
        let named = || self.0.iter().flat_map(Rule::names).any(|own| own == name);
        let mut decided = self.0.iter().flat_map(Rule::decides);
        decided.any(|decided| names::look_alike(decided, name)) && !named()
    }
}
