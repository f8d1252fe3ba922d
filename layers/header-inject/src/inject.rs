use http::request::Parts;
use http::{HeaderMap, Response};

use crate::meters::Tally;
use crate::{HeaderRules, InvalidRule, NotInjected, Value};

/// Which headers of requests and of responses change, and how; by default, none.
///
/// # Configuration
///
/// With the `serde` feature it is read from a configuration file. Every key may be left out. A rule has one verb;
/// `set`, `append`, `set_if_absent` and `replace_if_present` need a `value`, or a name that it comes `from`; `rename` and
/// `copy` need `to`. An unknown key, an invalid name or value and a rule that [`HeaderRules::new`] refuses are errors.
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
///     { set = "x-api-key", from = "key", prefix = "v1 ", secret = true, on_missing = "reject" }, # or "remove", "keep"
///     { set = "x-trace-bin", from = "trace", base64 = true },
///     { replace_if_present = "x-forwarded-proto", value = "https" },
///     { copy = "user-agent", to = "x-client" },
///     { remove_prefix = "x-internal-" },
///     { set = "x-mode", value = "write", when = { method = ["POST", "PUT"], no_header = "x-dry-run" } },
///     { set = "x-known", value = "yes", when = { known = "claim:sub", header = "cookie", content_type = "text/*" } },
/// ]
/// response = [
///     { remove = "server" },
///     { set = "cache-control", value = "no-store", when = { status = ["4xx", 503] } },
/// ]
/// max_header_block = "16KiB" # with what the rules add; no limit by default
/// ```
///
/// What `from` and `known` name is for the application to say, when it makes the layer by
/// [`resolving`](crate::HeaderInjectLayer::resolving); the policy holds the name. All that `when` has must hold; of a list,
/// one for `method`, `status` and `content_type`, and all for the others.
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
    /// The most that headers may take once the rules have acted.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::size"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::config::schema::size"))]
    max_header_block: Option<u64>,
}

impl HeaderInject {
    /// Changes nothing.
    pub const fn new() -> Self {
        Self { request: HeaderRules::none(), response: HeaderRules::none(), max_header_block: None }
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

    /// Bounds what the headers of a message take once the rules have acted, in bytes: names, values, and four for each line.
    ///
    /// A request beyond it is refused with 431, and a 502 stands for a response; by default there is no bound. A message that
    /// no rule is for is not looked at.
    pub const fn max_header_block(mut self, bytes: u64) -> Self {
        self.max_header_block = Some(bytes);
        self
    }

    pub(crate) fn resolve(
        self,
        mut resolver: impl FnMut(&str) -> Option<Value>,
    ) -> Result<Self, InvalidRule> {
        let request = self.request.resolve(&mut resolver)?;
        request.check_request()?;
        let response = self.response.resolve(&mut resolver)?;
        response.check_response()?;
        Ok(Self { request, response, ..self })
    }

    pub(crate) fn change_request(
        &self,
        request: &mut Parts,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        if self.request.is_empty() {
            return Ok(());
        }
        self.request.change_request(request, tally)?;
        self.check_size(&request.headers)
    }

    pub(crate) fn change_response<B>(
        &self,
        response: &mut Response<B>,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        if self.response.is_empty() {
            return Ok(());
        }
        let status = response.status();
        let mut headers = std::mem::take(response.headers_mut());
        let changed =
            self.response.change_response(status, response.extensions(), &mut headers, tally);
        let checked = changed.and_then(|()| self.check_size(&headers));
        *response.headers_mut() = headers;
        checked
    }

    pub(crate) fn change_request_headers(
        &self,
        headers: &mut HeaderMap,
        tally: &mut Tally,
    ) -> Result<(), NotInjected> {
        if self.request.is_empty() {
            return Ok(());
        }
        self.request.change_request_headers(headers, tally)?;
        self.check_size(headers)
    }

    /// Whether rules for requests go by more than headers.
    pub(crate) const fn asks_request(&self) -> bool {
        self.request.asks()
    }

    pub(crate) fn changes_responses(&self) -> bool {
        !self.response.is_empty()
    }

    /// Whether a request may be refused, or its response replaced.
    pub(crate) const fn may_refuse(&self) -> bool {
        self.max_header_block.is_some() || self.request.rejects() || self.response.rejects()
    }

    fn check_size(&self, headers: &HeaderMap) -> Result<(), NotInjected> {
        let Some(most) = self.max_header_block else { return Ok(()) };
        let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        let size = u64::try_from(lines.sum::<usize>()).unwrap_or(u64::MAX);
        if size > most { Err(NotInjected::HeadersTooLarge) } else { Ok(()) }
    }
}
