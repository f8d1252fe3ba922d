//! The fields `RateLimit-Policy` and `RateLimit`, of draft-ietf-httpapi-ratelimit-headers-11: structured fields (RFC 9651).

use std::fmt::Write as _;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::limit::Limit;
use crate::store::Standing;
use crate::{Headers, Mode, Quota};

/// Says what the policies are, and where the client stands in one of them.
///
/// The window that `r` is good for is the time until all is back, or, for who is refused, until it may come again.
pub(crate) fn write(limits: &[Limit], headers: &mut HeaderMap, standing: &Standing) {
    let Some(tightest) = limits.get(usize::from(standing.limit)) else { return };
    let mut policies = String::with_capacity(limits.len() * 40);
    for limit in limits.iter().filter(|limit| is_told(limit)) {
        if !policies.is_empty() {
            policies.push_str(", ");
        }
        name(&mut policies, limit.name());
        policy(&mut policies, &limit.ledger.quota());
    }
    let mut limit = String::with_capacity(40);
    name(&mut limit, tightest.name());
    let _ = write!(limit, ";r={};t={}", standing.left, seconds(standing.whole_in));
    for (field, value) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, limit)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            insert(headers, field, value);
        }
    }
}

fn is_told(limit: &Limit) -> bool {
    limit.policy.mode == Mode::Enforce && limit.policy.headers != Headers::Never
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

fn policy(output: &mut String, quota: &Quota) {
    let (units, window) = quota.advertised();
    let _ = write!(output, ";q={units};w={window}");
}

/// RFC 9651 §3.3.3: printable ASCII in quotes.
fn name(output: &mut String, name: &str) {
    output.push('"');
    for byte in name.chars().filter(|byte| matches!(byte, ' '..='~')) {
        if matches!(byte, '"' | '\\') {
            output.push('\\');
        }
        output.push(byte);
    }
    output.push('"');
}

/// In the place of what the inner service may have said; the limit of a header map is not worth a panic.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    let _ = headers.try_insert(name, value);
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
