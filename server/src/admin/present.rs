//! Metrics of what there is.

use std::collections::BTreeSet;

use crate::plan::Plan;

/// Leaves out the gauges of replicas that `plan` does not have any more: what they last said is not so, and an alert would
/// go by it for ever. What was counted of them stays.
pub(super) fn only(plan: &Plan, scrape: &str) -> String {
    let mut there = BTreeSet::new();
    for (upstream, section) in &plan.upstreams {
        for replica in section.replicas.current().iter() {
            let (upstream, replica) = (escaped(upstream), escaped(&replica.target.name()));
            there.insert(format!("upstream=\"{upstream}\",replica=\"{replica}\""));
            there.insert(format!("name=\"{upstream}/{replica}\""));
        }
    }
    let keeps = |line: &&str| match labels_of_replica(line) {
        Some(labels) => there.contains(labels),
        None => true,
    };
    scrape.split_inclusive('\n').filter(keeps).collect()
}

/// The labels of a gauge that each replica has, if the line is of one.
fn labels_of_replica(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once('{')?;
    let labels = rest.rsplit_once('}')?.0;
    GAUGES.contains(&name).then_some(labels)
}

const GAUGES: [&str; 5] = [
    "portcullis_replica_up",
    "portcullis_replica_active",
    "circuit_breaker_state",
    "circuit_breaker_failure_rate",
    "circuit_breaker_slow_rate",
];

/// As a label's value is written.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, read};

    #[test]
    fn gauges_of_what_is_gone_are_left_out_and_counters_are_not() {
        let config = "listener = [{ address = '127.0.0.1:0' }]
            upstream.a = { replica = [{ name = 'o\\\"ne', url = 'http://127.0.0.1:1' }] }"
            .replace("'o\\\"ne'", "\"o\\\"ne\"");
        let plan = Plan::of(read(&config, Format::Toml, &|_| None).unwrap()).unwrap();
        let stays = "# TYPE circuit_breaker_state gauge
circuit_breaker_state{name=\"a/o\\\"ne\"} 0
portcullis_replica_up{upstream=\"a\",replica=\"o\\\"ne\"} 1
portcullis_upstream_connections_total{upstream=\"a\",replica=\"gone\"} 7
";
        let gone = "circuit_breaker_state{name=\"a/gone\"} 1
portcullis_replica_up{upstream=\"a\",replica=\"gone\"} 0
";

        assert_eq!(only(&plan, &format!("{stays}{gone}")), stays);
    }
}
