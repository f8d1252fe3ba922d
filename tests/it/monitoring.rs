//! What watches the gateway: alerts and a dashboard, by Prometheus itself.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use portcullis_tests::{Nowhere, get};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::metrics::Everything;
use crate::peers::{installed, said};

fn server(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server").join(path)
}

fn rules() -> String {
    server("deploy/prometheus/rules.yaml").to_str().unwrap().to_owned()
}

/// The names of all alerts.
fn alerts() -> BTreeSet<String> {
    let rules = fs::read_to_string(rules()).unwrap();
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn promtool_finds_nothing_to_complain_of_in_the_alerts() {
    let told = said("promtool", &["check", "rules", &rules()], "").await;

    assert!(told.contains(&format!("SUCCESS: {} rules found", alerts().len())), "{told}");
}

#[tokio::test]
async fn every_alert_is_raised_when_it_should_and_not_when_all_is_well() {
    let file = rules().replace("rules.yaml", "rules.test.yaml");

    said("promtool", &["test", "rules", &file], "").await;

    let cases = fs::read_to_string(file).unwrap();
    for alert in alerts() {
        let all = cases.matches(&format!("alertname: {alert}\n")).count();
        let quiet = format!("alertname: {alert}\n        exp_alerts: []\n");
        assert_eq!((all, cases.matches(&quiet).count()), (2, 1), "{alert}");
    }
}

#[test]
fn the_runbook_has_a_section_for_every_alert() {
    let runbook = fs::read_to_string(server("docs/runbook.md")).unwrap();
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("### Portcullis"));
    let sections: BTreeSet<_> = sections.map(|name| format!("Portcullis{name}")).collect();

    assert_eq!(sections, alerts());
    let rules = fs::read_to_string(rules()).unwrap();
    for alert in alerts() {
        let link = format!("server/docs/runbook.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&link), "{alert}");
    }
}

/// A Prometheus that scrapes a gateway. Dropped, it is killed.
struct Prometheus {
    address: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl Prometheus {
    fn of(gateway: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms }}
rule_files: ['{}']
scrape_configs: [{{ job_name: portcullis, static_configs: [{{ targets: ['{gateway}'] }}] }}]",
            rules()
        );
        let file = folder.path().join("prometheus.yaml");
        fs::write(&file, config).unwrap();
        let address = Nowhere::take().address();
        let process = Command::new(installed("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus, which `tests/run` installs");
        Self { address, _process: process, _folder: folder }
    }

    /// What it finds, in its own words; nothing, if it finds nothing.
    async fn find(&self, query: &str) -> String {
        let server = format!("http://{}", self.address);
        said("promtool", &["query", "instant", &server, query], "").await.trim().to_owned()
    }

    async fn until_it_has_scraped(&self, everything: &Everything) {
        while tokio::net::TcpStream::connect(self.address).await.is_err() {}
        while !get(self.address, "/-/ready").await.body.contains("Ready") {}
        while self.find("count_over_time(up[1m]) > 4 and up == 1").await.is_empty() {
            everything.happen().await;
        }
    }
}

/// Queries of a dashboard, those of its variables included, and what has to be in each answer.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let shown =
        targets.map(|target| (target["expr"].as_str().unwrap().to_owned(), "=>".to_owned()));
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let asked = variables.filter_map(|one| one["query"]["query"].as_str()).map(|query| {
        let inner = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')'));
        let (metric, label) = inner.unwrap().rsplit_once(", ").unwrap();
        (format!("group by ({label}) ({metric})"), format!("{label}=\""))
    });
    let of_all = |(query, wanted): (String, String)| {
        let query = query.replace("$__rate_interval", "1m").replace("$job", "portcullis");
        let names = ["$instance", "$route", "$upstream"];
        (names.iter().fold(query, |query, name| query.replace(name, ".*")), wanted)
    };
    shown.chain(asked).map(of_all).collect()
}

#[tokio::test]
async fn every_query_of_the_dashboard_and_every_alert_has_something_to_look_at() {
    let dashboard = fs::read_to_string(server("deploy/grafana/portcullis.json")).unwrap();
    let queries = queries(&serde_json::from_str(&dashboard).unwrap());
    assert!(queries.len() > 30);
    let everything = Everything::start().await;
    let prometheus = Prometheus::of(everything.admin());
    let scraped = prometheus.until_it_has_scraped(&everything);
    timeout(Duration::from_secs(120), scraped).await.expect("a scrape");

    for (query, wanted) in &queries {
        let found = prometheus.find(query).await;
        assert!(found.contains(wanted), "of {query} comes {found:?}");
    }

    let url = format!("http://{}/api/v1/rules", prometheus.address);
    let rules = said("curl", &["--silent", "--show-error", &url], "").await;
    let rules: Value = serde_json::from_str(&rules).unwrap();
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), alerts().len());
    let ill: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
    assert!(ill.is_empty(), "{ill:#?}");
}
