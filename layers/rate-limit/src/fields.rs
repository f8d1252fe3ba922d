//! The fields `RateLimit-Policy` and `RateLimit`, of draft-ietf-httpapi-ratelimit-headers-11: structured fields (RFC 9651).

use std::fmt::Write;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::limit::Limit;
use crate::store::Standing;
use crate::{Mode, Quota};

/// What never changes, made once.
pub(crate) struct Fields {
    policy: Option<HeaderValue>,
    names: Box<[String]>,
}

impl Fields {
    pub(crate) fn new(limits: &[Limit]) -> Self {
        let names: Box<[_]> = limits.iter().map(|limit| string(&limit.name)).collect();
        let enforced =
            limits.iter().zip(&names).filter(|(limit, _)| limit.policy.mode == Mode::Enforce);
        let items = enforced.map(|(limit, name)| policy(name, &limit.policy.quota));
        let items: Vec<_> = items.collect();
        let policy = HeaderValue::try_from(items.join(", ")).ok();
        Self { policy: policy.filter(|policy| !policy.is_empty()), names }
    }

    /// Says what the policies are, and where the client stands in one of them.
    ///
    /// The window that `r` is good for is the time until all is back, or, for who is refused, until it may come again.
    pub(crate) fn write(&self, headers: &mut HeaderMap, standing: &Standing) {
        let Some(name) = self.names.get(usize::from(standing.limit)) else { return };
        let mut limit = String::with_capacity(name.len() + 24);
        let _ = write!(limit, "{name};r={};t={}", standing.left, seconds(standing.whole_in));
        if let Some(policy) = &self.policy {
            insert(headers, RATE_LIMIT_POLICY, policy.clone());
        }
        if let Ok(limit) = limit.try_into() {
            insert(headers, RATE_LIMIT, limit);
        }
    }
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn policy(name: &str, quota: &Quota) -> String {
    let (units, window) = quota.advertised();
    format!("{name};q={units};w={window}")
}

/// RFC 9651 §3.3.3: printable ASCII in quotes.
fn string(text: &str) -> String {
    let mut string = String::from('"');
    for byte in text.chars().filter(|byte| matches!(byte, ' '..='~')) {
        if matches!(byte, '"' | '\\') {
            string.push('\\');
        }
        string.push(byte);
    }
    string.push('"');
    string
}

/// In the place of what the inner service may have said; the limit of a header map is not worth a panic.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let _ = headers.try_insert(name, value);
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
