//! Under load nothing is lost, whatever operators do: clients that try once, and count.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_tests::{
    Kind, Load, Process, Successor, Upstream, load_upstream, read_request, signal,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// Short requests a second, as far as the machine goes.
fn rate() -> u32 {
    std::env::var("PORTCULLIS_RATE").map_or(200, |rate| rate.parse().unwrap())
}

struct File(TempDir);

impl File {
    /// Clients have three seconds to learn that they are to connect anew, which they are told at each request.
    fn new(upstream: &Upstream) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(upstream, 0);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gateway.toml")
    }

    fn write(&self, upstream: &Upstream, round: usize) {
        let config = format!(
            "workers = 2
             listener = [{{ address = '127.0.0.1:0' }}]
             admin = {{ address = '127.0.0.1:0', probe_interval = '1h' }}
             log = {{ level = 'info,access=off' }}
             drain = {{ linger = '3s', deadline = '2m' }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}], pool = {{ max_idle = {} }} }}
             route = [{{ path = '/', upstream = 'a', upgrade = 'websocket' }}]",
            upstream.address(),
            256 + round
        );
        fs::write(self.path(), config).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_in_twenty_reloads() {
    let upstream = load_upstream().await;
    let file = File::new(&upstream);
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;
    let load = Load::on(gateway, rate());

    for round in 1..=20 {
        file.write(&upstream, round);
        process.signal("HUP").await;
        process.next_line(|line| line.contains("serving by a new configuration")).await;
    }
    load.until_answered(1).await;

    tell(&load);
    assert_eq!(load.end().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_in_five_restarts() {
    let upstream = load_upstream().await;
    let file = File::new(&upstream);
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;
    let load = Load::on(gateway, rate());
    let mut id = process.id();
    let mut successors = Vec::new();

    for _ in 0..5 {
        load.until_answered(1).await;
        signal(id, "USR2").await;
        let line = process.next_line(|line| line.contains("another process serves")).await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let successor = Successor::new(line["successor"].as_u64().unwrap().try_into().unwrap());
        id = successor.id();
        successors.push(successor);
        let stopped = process.next_line(|line| line.contains("\"stopped\"")).await;
        assert!(stopped.contains("Drained"), "{stopped}");
    }
    load.until_answered(1).await;

    tell(&load);
    assert_eq!(load.end().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_that_comes_before_the_doors_close_at_sigterm() {
    let upstream = load_upstream().await;
    let file = File::new(&upstream);
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;
    let load = Load::on(gateway, rate());
    load.until_answered(1).await;

    process.signal("TERM").await;
    process.line(|line| line.contains("\"draining\"")).await;
    // It lingers: who comes is served.
    load.until_answered_of(&[Kind::Http1], 20).await;
    tell(&load);
    let failed = load.end().await;

    assert_eq!(failed, [""; 0]);
    let (status, written) = process.end().await;
    assert_eq!(status.code(), Some(0), "{written:#?}");
    let report = written.iter().find(|line| line.contains("\"drained\"")).unwrap();
    assert!(report.contains("\"cut\":0"), "{report}");
}

#[tokio::test]
async fn a_stream_that_outlives_the_deadline_is_cut_then_and_the_successor_serves_on() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        while read_request(&mut socket).await.is_some() {
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfirs").await.ok();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let file = File::new(&upstream);
    let config = fs::read_to_string(file.path()).unwrap();
    fs::write(file.path(), config.replace("linger = '3s', deadline = '2m'", "deadline = '1s'"))
        .unwrap();
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;
    let mut endless = TcpStream::connect(gateway).await.unwrap();
    endless.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut begun = Vec::new();
    while !begun.ends_with(b"\r\n\r\nfirs") {
        begun.push(endless.read_u8().await.unwrap());
    }

    let signalled = Instant::now();
    process.signal("USR2").await;
    let line = process.next_line(|line| line.contains("another process serves")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let _successor = Successor::new(line["successor"].as_u64().unwrap().try_into().unwrap());
    let code = process.exit_code().await;

    assert_eq!(code, Some(3));
    assert!(signalled.elapsed() >= Duration::from_secs(1));
    let mut rest = Vec::new();
    endless.read_to_end(&mut rest).await.ok();
    assert_eq!(rest, b"");
    assert!(TcpStream::connect(gateway).await.is_ok());
}

/// For who runs it by hand.
#[expect(clippy::print_stdout, reason = "a figure is what they want")]
fn tell(load: &Load) {
    let answered = Kind::ALL.map(|kind| (kind, load.answered(kind)));
    println!("answered: {answered:?}, failed: {}", load.failed().len());
}
