//! One replica fails, and nobody downstream notices.

mod answers;
mod config;
mod discovery;
mod downloads;
mod health;
mod load;
mod once;
mod partition;
mod readiness;
mod storages;

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::{InProcess, Response, Upstream, get};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nFAIL";

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// For what comes by itself.
const A_WHILE: Duration = Duration::from_secs(30);

/// An upstream `u` with replicas named `a`, `b` and so on, and the route `/`.
fn over(replicas: &[SocketAddr], more: &str) -> String {
    let replicas: Vec<_> = replicas
        .iter()
        .zip(NAMES)
        .map(|(address, name)| format!("{{ name = '{name}', url = 'http://{address}' }}"))
        .collect();
    format!(
        "[upstream.u]\nreplica = [{}]\n{more}\n\
         [[route]]\npath = '/'\nname = 'all'\nupstream = 'u'\n",
        replicas.join(", ")
    )
}

fn reason(response: &Response) -> String {
    let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

/// How often a replica was asked, whatever came of it.
async fn asked(gateway: &InProcess, replica: &str) -> f64 {
    counted(gateway, "replica_failover_attempts_total{", &format!("replica=\"{replica}\"")).await
}

/// How often requests went from one replica to another, for whatever reason.
async fn gone_over(gateway: &InProcess, from: &str, to: &str) -> f64 {
    let labels = format!("from=\"{from}\",to=\"{to}\"");
    counted(gateway, "replica_failover_failovers_total{", &labels).await
}

/// The sum of what a metric counts under these labels.
async fn counted(gateway: &InProcess, metric: &str, labels: &str) -> f64 {
    let scrape = get(gateway.admin(), "/metrics").await.body;
    let of_it = |line: &&str| line.starts_with(metric) && line.contains(labels);
    let values = scrape.lines().filter(of_it).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

async fn value(admin: SocketAddr, series: &str) -> f64 {
    let scrape = get(admin, "/metrics").await.body;
    let value = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// How many requests have arrived that were not told of.
fn arrivals(upstream: &mut Upstream) -> usize {
    std::iter::from_fn(|| (!upstream.saw_nothing()).then_some(())).count()
}
