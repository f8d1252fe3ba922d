//! What the documentation says of metrics, and what a scrape does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;

use portcullis_tests::{
    InProcess, Nowhere, Upstream, ask, generated, get, in_an_hour, send, token,
};
use serde_json::json;
use tempfile::TempDir;

/// What is known of a metric.
#[derive(Debug, Eq, PartialEq)]
struct Metric {
    kind: String,
    labels: BTreeSet<String>,
    help: String,
}

/// What a scrape says of each metric.
fn scraped(scrape: &str) -> BTreeMap<String, Metric> {
    let mut metrics = BTreeMap::new();
    for line in scrape.lines() {
        if let Some((name, help)) =
            line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
        {
            let labels = BTreeSet::new();
            metrics.insert(
                name.to_owned(),
                Metric { kind: String::new(), labels, help: help.to_owned() },
            );
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let metric = metrics.get_mut(name).expect(name);
            metric.kind = kind.to_owned();
        } else if let Some((series, _)) = line.rsplit_once(' ') {
            let (name, labels) =
                series.trim_end_matches('}').split_once('{').unwrap_or((series, ""));
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                name.strip_suffix(end).filter(|family| metrics.contains_key(*family))
            });
            let metric = metrics.get_mut(family.unwrap_or(name)).expect("a metric of this name");
            let names = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0));
            metric.labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
        }
    }
    metrics
}

/// A gateway that has something of everything.
pub(crate) struct Everything {
    gateway: InProcess,
    _upstream: Upstream,
    _nowhere: Nowhere,
    _issuer: Upstream,
    _folder: TempDir,
}

impl Everything {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("cert.pem"), own.cert.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        fs::write(folder.path().join("token"), "the token").unwrap();
        let keys = "{\"keys\":[]}";
        let issuer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{keys}", keys.len());
        let issuer = Upstream::answering(issuer).await;
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let (upstream, nowhere) = (Upstream::answering(ok).await, Nowhere::take());
        let config = include_str!("metrics.toml")
            .replace("UPSTREAM", &upstream.address().to_string())
            .replace("NOWHERE", &nowhere.address().to_string())
            .replace("ISSUER", &issuer.address().to_string());
        let file = folder.path().join("gateway.toml");
        fs::write(&file, config).unwrap();
        let gateway = InProcess::reading(&file);
        Self { gateway, _upstream: upstream, _nowhere: nowhere, _issuer: issuer, _folder: folder }
    }

    /// Has something of everything happen.
    pub(crate) async fn happen(&self) {
        let address = self.gateway.address();
        for what in [
            "GET /",
            "GET /",
            "PUT /",
            "GET /nowhere",
            "GET /signed",
            "GET /hedged",
            "GET /limited",
            "GET /shared",
            "GET /%2e%2e/",
        ] {
            ask(address, what, &["connection: x-a, host"]).await;
        }
        let claims = json!({ "iss": "http://issuer", "aud": "a", "exp": in_an_hour() });
        let shown = format!("authorization: Bearer {}", token(&claims));
        ask(address, "GET /token", &[&shown]).await;
        send(address, "no HTTP\r\n\r\n").await;
        ask(self.admin(), "POST /reload", &["authorization: Bearer the token"]).await;
        self.gateway
            .until_above("portcullis_connection_errors_total{reason=\"not_http\"}", 0.5)
            .await;
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.gateway.admin()
    }
}

/// A row for each.
fn table(metrics: &BTreeMap<String, Metric>) -> String {
    let mut table = "| metric | type | labels | |\n|---|---|---|---|\n".to_owned();
    for (name, Metric { kind, labels, help }) in metrics {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        table += &format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(" "));
    }
    table
}

#[tokio::test]
async fn every_metric_is_in_the_table_as_it_is() {
    let everything = Everything::start().await;
    everything.happen().await;

    let scrape = get(everything.admin(), "/metrics").await.body;

    generated("server/docs/metrics.md", &table(&scraped(&scrape)));
}
