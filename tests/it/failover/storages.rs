//! Three S3 servers, of which one fails, in whatever way: not one `GET` does.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use portcullis_tests::{Flow, InProcess, Process, Relay, Way, gateway};
use tokio::time::timeout;

use super::{A_WHILE, NAMES, asked, gone_over, value};

/// Gets a path over and over; each answer's status counts.
fn gets(to: SocketAddr, per_second: u32, path: &'static str) -> Flow {
    Flow::start(to, per_second, move || {
        format!("GET {path} HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n")
    })
}

fn only(status: u16, statuses: &BTreeMap<u16, usize>) -> bool {
    statuses.keys().all(|known| *known == status)
}

/// Three S3 servers, each a process with keys of its own.
pub(super) struct Storages {
    processes: Vec<Process>,
    facts: Vec<BTreeMap<String, String>>,
}

impl Storages {
    pub(super) async fn start() -> Self {
        let (mut processes, mut facts) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (process, known) = Process::demo(env!("CARGO_BIN_EXE_gateway")).await;
            processes.push(process);
            facts.push(known);
        }
        Self { processes, facts }
    }

    pub(super) fn address(&self, index: usize) -> SocketAddr {
        self.facts[index]["S3"].strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Ends one of them at once.
    pub(super) async fn kill(&self, index: usize) {
        self.processes[index].signal("KILL").await;
    }

    /// A route to each of them, by its name: `/a` and so on. Credentials are those of [`Storages::config`].
    pub(super) fn each(&self) -> String {
        let each = NAMES.iter().enumerate().take(self.facts.len()).map(|(index, name)| {
            format!(
                "[upstream.only-{name}]\n\
                 replica = [{{ name = '{name}', url = 'http://{}' }}]\n\
                 sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = '{name}', payload = {{ hash = '256MiB' }} }}\n\
                 [[route]]\npath = '/{name}'\nstrip_prefix = true\nupstream = 'only-{name}'\n",
                self.address(index)
            )
        });
        each.collect()
    }

    /// An upstream `s3` over them, the first of them at `first`, and a route to their bucket.
    pub(super) fn config(&self, first: SocketAddr, more: &str) -> String {
        let mut config = String::new();
        for (facts, name) in self.facts.iter().zip(NAMES) {
            let (access, secret) = (&facts["ACCESS_KEY"], &facts["SECRET_KEY"]);
            config += &format!(
                "credentials.{name} = {{ access_key = '{access}', secret_key = '{secret}' }}\n"
            );
        }
        config += "[upstream.s3]\n";
        config += more;
        for (index, name) in NAMES.iter().enumerate().take(self.facts.len()) {
            let address = if index == 0 { first } else { self.address(index) };
            let priority = index + 1;
            config += &format!(
                "\n[[upstream.s3.replica]]\nname = '{name}'\nurl = 'http://{address}/photos'\n\
                 priority = {priority}\n\
                 sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = '{name}' }}\n"
            );
        }
        config + "[[route]]\npath = '/photos'\nstrip_prefix = true\nupstream = 's3'\n"
    }
}

#[tokio::test]
async fn a_primary_that_is_killed_costs_not_one_get_and_is_not_asked_while_it_is_open() {
    let storages = Storages::start().await;
    let circuit = "circuit_breaker = { consecutive_failures = 3, open = { first = '1h', longest = '1h' } }\n\
        failover = { failback_after = '10ms' }";
    let gateway = gateway(&storages.config(storages.address(0), circuit));
    let mut flow = gets(gateway.address(), 300, "/photos/hello.txt");

    flow.answered(150).await;
    storages.kill(0).await;
    gateway.until_metric(r#"circuit_breaker_state{name="s3/a"}"#, 1.0).await;
    // What had begun before is over.
    let statuses = flow.end().await;
    assert!(only(200, &statuses), "{statuses:?}");
    let when_open = asked(&gateway, "a").await;
    let mut flow = gets(gateway.address(), 300, "/photos/hello.txt");
    flow.answered(300).await;
    let statuses = flow.end().await;

    assert!(only(200, &statuses), "{statuses:?}");
    assert!(when_open >= 100.0, "{when_open}");
    assert_eq!(asked(&gateway, "a").await, when_open);
    // Three connections that broke may have opened the circuit before one was refused.
    assert!(gone_over(&gateway, "a", "b").await >= 1.0);
}

#[tokio::test]
async fn a_primary_that_stops_hangs_fails_and_comes_back_costs_not_one_get() {
    let storages = Storages::start().await;
    let relay = Relay::to(storages.address(0)).await;
    let policy = "timeouts = { response_header = '2s' }\n\
        circuit_breaker = { consecutive_failures = 3, open = { first = '100ms', longest = '200ms' } }\n\
        failover = { failback_after = '50ms' }";
    let gateway = gateway(&storages.config(relay.address(), policy));
    let mut flow = gets(gateway.address(), 50, "/photos/hello.txt");
    let opened = |gateway: &InProcess| {
        let series = r#"circuit_breaker_transitions_total{name="s3/a",from="closed",to="open",reason="consecutive_failures"}"#;
        let admin = gateway.admin();
        async move { value(admin, series).await }
    };

    flow.answered(50).await;
    for breaking in ["STOP", "nowhere", "failing"] {
        let before = opened(&gateway).await;
        match breaking {
            "STOP" => storages.processes[0].signal("STOP").await,
            "nowhere" => relay.go(Way::Nowhere),
            _ => relay.go(Way::Failing),
        }
        let opens = async { while opened(&gateway).await <= before {} };
        timeout(A_WHILE, opens).await.expect(breaking);
        storages.processes[0].signal("CONT").await;
        relay.go(Way::Through);
        gateway.until_metric(r#"circuit_breaker_state{name="s3/a"}"#, 0.0).await;
        let back = asked(&gateway, "a").await;
        let returns = async { while asked(&gateway, "a").await < back + 10.0 {} };
        timeout(A_WHILE, returns).await.expect(breaking);
    }
    let statuses = flow.end().await;

    assert!(only(200, &statuses), "{statuses:?}");
}
