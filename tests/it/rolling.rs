//! Two instances behind a balancer, which asks them whether they are ready, and one after the other is replaced.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use portcullis_tests::{Load, Nowhere, Process, Upstream, get, load_upstream};
use tempfile::TempDir;
use tokio::process::{Child, Command};

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// A port that was free a moment ago: the instance that comes has to have the one that the balancer knows.
fn port() -> SocketAddr {
    Nowhere::take().address()
}

struct Instance {
    folder: TempDir,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Instance {
    fn new(upstream: &Upstream) -> Self {
        let (folder, listen, admin) = (tempfile::tempdir().unwrap(), port(), port());
        let config = format!(
            "workers = 1
             listener = [{{ address = '{listen}' }}]
             admin = {{ address = '{admin}', probe_interval = '1h' }}
             log = {{ level = 'info,access=off' }}
             drain = {{ linger = '3s', deadline = '2m' }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/', upstream = 'a', upgrade = 'websocket' }}]",
            upstream.address()
        );
        fs::write(folder.path().join("gateway.toml"), config).unwrap();
        Self { folder, listen, admin }
    }

    async fn run(&self) -> Process {
        Process::run(GATEWAY, &self.folder.path().join("gateway.toml")).await.0
    }
}

/// Starts `haproxy` in front of them: it speaks HTTP/1.1 and, with prior knowledge, HTTP/2.
async fn haproxy(folder: &Path, instances: &[Instance]) -> (Child, SocketAddr, SocketAddr) {
    let (front, stats) = (port(), port());
    let servers: String = instances
        .iter()
        .enumerate()
        .map(|(index, Instance { listen, admin, .. })| {
            let port = admin.port();
            format!("  server g{index} {listen} check port {port} inter 100ms fall 2 rise 2\n")
        })
        .collect();
    let config = format!(
        "global
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  retries 0
frontend clients
  bind {front}
  default_backend gateways
frontend stats
  bind {stats}
  http-request use-service prometheus-exporter if {{ path /metrics }}
backend gateways
  option httpchk GET /readyz
  http-check expect status 200
  balance roundrobin
{servers}"
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, config).unwrap();
    let child = Command::new("haproxy")
        .args(["-f", file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("haproxy, which tests/run installs");
    while tokio::net::TcpStream::connect(stats).await.is_err() {}
    (child, front, stats)
}

/// Waits until the balancer sends requests to an instance, or sends it none.
async fn until(stats: SocketAddr, server: usize, is_up: bool) {
    let line = format!(
        "haproxy_server_status{{proxy=\"gateways\",server=\"g{server}\",state=\"UP\"}} {}",
        u8::from(is_up)
    );
    let found = async { while !get(stats, "/metrics").await.body.contains(&line) {} };
    let found = tokio::time::timeout(std::time::Duration::from_secs(60), found).await;
    assert!(found.is_ok(), "g{server} is never as wanted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_one_instance_after_the_other_is_replaced() {
    let upstream = load_upstream().await;
    let instances = [Instance::new(&upstream), Instance::new(&upstream)];
    let mut running = [instances[0].run().await, instances[1].run().await];
    let folder = tempfile::tempdir().unwrap();
    let (_haproxy, front, stats) = haproxy(folder.path(), &instances).await;
    for index in 0..2 {
        until(stats, index, true).await;
    }
    let load = Load::on(front, 100);
    load.until_answered(1).await;

    for (index, instance) in instances.iter().enumerate() {
        running[index].signal("TERM").await;
        until(stats, index, false).await;
        assert_eq!(running[index].exit_code().await, Some(0));
        running[index] = instance.run().await;
        until(stats, index, true).await;
        load.until_answered(1).await;
    }

    assert_eq!(load.end().await, [""; 0]);
}
