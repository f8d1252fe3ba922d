use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portcullis::config::{Format, Problems, read};
use portcullis::gateway::{Beginning, Gateway};
use portcullis::lifecycle::Outcome;
use portcullis::plan::Plan;

/// A gateway on threads of this process. Dropped, it stops at once.
#[derive(Debug)]
pub struct InProcess {
    gateway: Gateway,
}

/// The plan of a configuration, or all that is wrong with it, as `gateway.toml:line:column: …`.
///
/// # Errors
///
/// What is wrong, a line each.
pub fn plan(config: &str) -> Result<Plan, String> {
    let lookup = |_: &str| None;
    read(config, Format::Toml, &lookup)
        .and_then(Plan::of)
        .map_err(|found| Problems::new(Path::new("gateway.toml"), config, found).to_string())
}

/// Starts a gateway with one worker, a listener and an admin listener on free ports, and what `config`
/// says besides.
#[must_use]
pub fn gateway(config: &str) -> InProcess {
    let listeners = "workers = 1\n\
        listener = [{ address = '127.0.0.1:0' }]\n\
        admin = { address = '127.0.0.1:0', probe_interval = '50ms' }\n";
    InProcess::start(&format!("{listeners}{config}"))
}

impl InProcess {
    /// Starts a gateway with this whole configuration.
    #[must_use]
    pub fn start(config: &str) -> Self {
        let plan = plan(config).expect("a configuration that is right");
        Self { gateway: Gateway::start(plan).expect("a gateway that starts") }
    }

    /// Starts a gateway with the configuration in a file, which it reads again when it is asked to.
    #[must_use]
    pub fn reading(file: &Path) -> Self {
        let (reading, _) = portcullis::config::load(file).expect("a file that is right");
        let plan = Plan::of(reading).expect("a configuration that is right");
        let beginning = Beginning { file: Some(file.to_owned()), ..Beginning::default() };
        Self { gateway: Gateway::begin(plan, beginning).expect("a gateway that starts") }
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        *self.gateway.addresses().first().expect("a listener")
    }

    /// Where probes and scrapes go.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.gateway.admin().expect("an admin listener")
    }

    /// Begins to drain; called again, ends at once.
    pub fn stop(&self) {
        self.gateway.stop();
    }

    /// The gateway itself.
    #[must_use]
    pub const fn inner(&self) -> &Gateway {
        &self.gateway
    }

    /// Waits for the end.
    pub async fn stopped(&mut self) -> Outcome {
        self.gateway.stopped().await
    }

    /// What `/metrics` says of one series, `name{labels}` as it stands there; zero if it is not there.
    pub async fn metric(&self, series: &str) -> f64 {
        let scrape = crate::get(self.admin(), "/metrics").await.body;
        let value = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Scrapes until a series has this value: what is counted at the end of a request may come after its
    /// last byte.
    pub async fn until_metric(&self, series: &str, value: f64) {
        self.until(series, |found| found.total_cmp(&value).is_eq()).await;
    }

    /// Scrapes until a series, which grows by itself, is above this value.
    pub async fn until_above(&self, series: &str, value: f64) {
        self.until(series, |found| found > value).await;
    }

    async fn until(&self, series: &str, wanted: impl Fn(f64) -> bool) {
        let found = async { while !wanted(self.metric(series).await) {} };
        let found = tokio::time::timeout(Duration::from_secs(30), found).await;
        assert!(
            found.is_ok(),
            "{series} is not as wanted in:\n{}",
            crate::get(self.admin(), "/metrics").await.body
        );
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.gateway.stop();
        self.gateway.stop();
    }
}
