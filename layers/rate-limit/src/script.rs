//! The script that Redis runs: what it is given, and what its answer means.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use redis::{Script, ScriptInvocation};
use sha2::{Digest, Sha256};

use crate::gcra::Taken;
use crate::store::Standing;
use crate::{Demand, Demands, Verdict};

/// For one request.
pub(crate) fn invocation(prefix: &str, demands: Demands<'_>) -> ScriptInvocation<'static> {
    let mut invocation = SCRIPT.prepare_invoke();
    for demand in demands.iter() {
        let pace = demand.patient_pace();
        invocation.key(name(prefix, &demand, pace.interval));
        for nanos in [pace.burst, pace.cost, pace.patience] {
            invocation.arg(micros(Duration::from_nanos(nanos)));
        }
        invocation.arg(u8::from(demand.is_enforced()));
    }
    invocation
}

/// What the answer says; none if it makes no sense.
pub(crate) fn verdict(demands: Demands<'_>, answer: &[u64]) -> Option<Verdict> {
    let mut verdict = Verdict::admitted();
    let mut answers = answer.chunks_exact(3);
    for demand in demands.iter() {
        let [fits, early, whole_in] = answers.next()? else { return None };
        let early = early.saturating_mul(1000);
        let pace = demand.pace();
        let whole_in = Duration::from_micros(*whole_in);
        let whole_at = u64::try_from(whole_in.as_nanos()).unwrap_or(u64::MAX);
        let taken = match fits {
            0 => Taken::No { retry: (!pace.is_never()).then_some(early) },
            _ => Taken::Yes { whole_at, wait: early },
        };
        let standing = Standing { limit: demand.index(), left: pace.left(whole_at, 0), whole_in };
        verdict.add(&demand, taken, || standing);
    }
    Some(verdict)
}

/// A name of a fixed size, which says nothing of whom it is about. The braces put all of a request's names into one slot of
/// a cluster. What is kept under it is a time, which means another number of units when they come back in another: then it
/// is another name.
fn name(prefix: &str, demand: &Demand<'_>, interval: u64) -> String {
    let mut name = format!("{{{prefix}}}:{}:", demand.name());
    for byte in Sha256::new_with_prefix(interval.to_be_bytes())
        .chain_update(demand.key())
        .finalize()
        .iter()
        .take(16)
    {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// With three digits after the point.
fn micros(time: Duration) -> String {
    let nanos = time.as_nanos();
    format!("{}.{:03}", nanos / 1000, nanos % 1000)
}

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("gcra.lua")));
