use http::HeaderMap;
use http::request::Parts;

use crate::{HeaderRules, InvalidRule, Value};

/// Which headers of requests and of responses change, and how; by default, none.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Either list may be left out. A rule has one verb;
/// `set`, `append` and `set_if_absent` need a `value`, or a name that it comes `from`; `rename` needs `to`. An unknown
/// key, an invalid name or value and a rule that [`HeaderRules::new`] refuses are errors.
///
/// ```toml
/// [header_inject]
/// request = [
///     { remove = "x-internal" },
///     { rename = "x-client-id", to = "x-forwarded-client" },
///     { set = "x-feature", value = "on" },
///     { append = "via", value = "1.1 gateway" },
///     { set_if_absent = "accept", value = "*/*" },
///     { set = "x-user", from = "claim:sub" },
///     { set = "authorization", value = "Bearer abc", secret = true, allow_protected = true },
/// ]
/// response = [{ remove = "server" }]
/// ```
///
/// What `from` names is for the application to say, when it makes the layer by
/// [`resolving`](crate::HeaderInjectLayer::resolving); the policy holds the name.
///
/// `secret` marks the value [sensitive](http::HeaderValue::set_sensitive): it is not printed by `Debug`, and not
/// stored by header compression. No error prints a value, secret or not; a reader that quotes lines of the file in its
/// own errors, as [`toml`](https://docs.rs/toml) does, does so on its own account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a policy does nothing until a layer follows it"]
pub struct HeaderInject {
    /// Of requests.
    request: HeaderRules,
    /// Of responses.
    response: HeaderRules,
}

impl HeaderInject {
    /// Changes nothing.
    pub const fn new() -> Self {
        Self { request: HeaderRules::none(), response: HeaderRules::none() }
    }

    /// Applies `rules` to requests, in place of those given before.
    pub fn request(mut self, rules: HeaderRules) -> Self {
        self.request = rules;
        self
    }

    /// Applies `rules` to responses, in place of those given before.
    ///
    /// They cover whatever the inner service answers, refusals too, but not its errors. The request is gone by then: no
    /// value may come [from it](Value::from_request).
    pub fn response(mut self, rules: HeaderRules) -> Self {
        self.response = rules;
        self
    }

    pub(crate) fn resolve(
        self,
        mut resolver: impl FnMut(&str) -> Option<Value>,
    ) -> Result<Self, InvalidRule> {
        let request = self.request.resolve(&mut resolver)?;
        let response = self.response.resolve(&mut resolver)?;
        response.check_response()?;
        Ok(Self { request, response })
    }

    pub(crate) fn change_request(&self, request: &mut Parts) {
        self.request.change_request(request);
    }

    pub(crate) fn change_response(&self, headers: &mut HeaderMap) {
        self.response.change_response(headers);
    }
}
