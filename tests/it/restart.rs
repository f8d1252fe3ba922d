//! Another process takes the place of a gateway, and its sockets with it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_tests::{Connection, Process, Successor, Upstream, get, signal};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

async fn saying(word: &str) -> Upstream {
    let length = word.len();
    Upstream::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{word}")).await
}

struct File(TempDir);

impl File {
    fn new(workers: usize, upstream: &Upstream, more: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(workers, upstream, more);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gateway.toml")
    }

    fn write(&self, workers: usize, upstream: &Upstream, more: &str) {
        let config = format!(
            "workers = {workers}
             listener = [{{ address = '127.0.0.1:0' }}]
             admin = {{ address = '127.0.0.1:0', probe_interval = '1h' }}
             drain = {{ deadline = '10m' }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/', upstream = 'a' }}]\n{more}",
            upstream.address()
        );
        fs::write(self.path(), config).unwrap();
    }
}

/// Has the process replaced that was started first, and waits until another one serves.
async fn replace(process: &mut Process) -> Successor {
    let id = process.id();
    replace_as(process, id).await
}

/// Has this one replaced, which writes to the output of the first.
async fn replace_as(process: &mut Process, id: u32) -> Successor {
    signal(id, "USR2").await;
    let line = process.next_line(|line| line.contains("another process serves")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    Successor::new(line["successor"].as_u64().unwrap().try_into().unwrap())
}

async fn generation(admin: SocketAddr) -> u64 {
    let ready: Value = serde_json::from_str(&get(admin, "/readyz").await.body).unwrap();
    ready["config"]["generation"].as_u64().unwrap()
}

#[tokio::test]
async fn the_new_process_has_the_addresses_and_the_file_as_it_is_now() {
    let (old, new) = (saying("old").await, saying("new").await);
    let file = File::new(2, &old, "");
    let (mut process, gateway, admin) = Process::run(GATEWAY, &file.path()).await;
    let admin = admin.unwrap();
    let mut client = Connection::open(gateway).await;
    client.write(GET).await;
    assert_eq!(client.response().await.body, "old");
    signal(process.id(), "HUP").await;
    process.line(|line| line.contains("serving by a new configuration")).await;
    assert_eq!(generation(admin).await, 2);

    file.write(2, &new, "");
    let successor = replace(&mut process).await;

    assert_eq!(get(gateway, "/").await.body, "new");
    assert_eq!(client.rest().await, b"", "who was idle was told to go");
    assert_eq!(process.exit_code().await, Some(0));
    assert_eq!(generation(admin).await, 1);
    signal(successor.id(), "TERM").await;
    process.next_line(|line| line.contains("\"stopped\"")).await;
}

#[tokio::test]
async fn a_successor_that_cannot_start_leaves_the_old_one_in_its_place() {
    let (old, new) = (saying("old").await, saying("new").await);
    let file = File::new(2, &old, "");
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;

    fs::write(file.path(), "workers = 'many'").unwrap();
    process.signal("USR2").await;
    let line = process.line(|line| line.contains("the successor does not serve")).await;

    assert!(line.contains("gateway.toml:1:11: workers: expected a whole number"), "{line}");
    assert_eq!(get(gateway, "/").await.body, "old");

    // The right file helps, without another look at the process.
    file.write(2, &new, "");
    let _successor = replace(&mut process).await;
    assert_eq!(get(gateway, "/").await.body, "new");
}

#[tokio::test]
async fn with_fewer_workers_and_with_more_every_socket_is_still_accepted_from() {
    let upstream = saying("well").await;
    let file = File::new(3, &upstream, "");
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;
    let mut id = process.id();
    let mut successors = Vec::new();

    for workers in [1, 4, 2] {
        file.write(workers, &upstream, "");
        let successor = replace_as(&mut process, id).await;
        id = successor.id();
        successors.push(successor);
        // So many that each of the sockets that there have been gets some.
        for _ in 0..64 {
            assert_eq!(get(gateway, "/").await.body, "well");
        }
    }
}

#[tokio::test]
async fn nobody_else_gets_the_addresses_meanwhile_or_afterwards() {
    let upstream = saying("well").await;
    let file = File::new(1, &upstream, "");
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;
    let _successor = replace(&mut process).await;
    assert_eq!(process.exit_code().await, Some(0));

    let config = fs::read_to_string(file.path()).unwrap();
    let config = config.replacen("127.0.0.1:0", &gateway.to_string(), 1);
    let other = TempDir::new().unwrap();
    fs::write(other.path().join("gateway.toml"), config).unwrap();
    let path = other.path().join("gateway.toml");
    let second = Process::start(GATEWAY, &["run", "--config", path.to_str().unwrap()]);

    let ended = timeout(Duration::from_secs(60), second.end()).await;
    assert_eq!(ended.unwrap().0.code(), Some(1));
    assert_eq!(get(gateway, "/").await.body, "well");
}

#[tokio::test]
async fn an_address_that_is_new_in_the_file_is_opened_and_one_that_is_not_there_is_closed() {
    let upstream = saying("well").await;
    let file = File::new(1, &upstream, "");
    let (mut process, gateway, _) = Process::run(GATEWAY, &file.path()).await;

    let config = fs::read_to_string(file.path()).unwrap();
    fs::write(file.path(), config.replacen("127.0.0.1:0", "127.0.0.2:0", 1)).unwrap();
    let _successor = replace(&mut process).await;

    let line =
        process.line(|line| line.contains("\"listening\"") && line.contains("127.0.0.2")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let address = line["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(get(address, "/").await.body, "well");
    assert_eq!(process.exit_code().await, Some(0));
    let refused = tokio::net::TcpStream::connect(gateway).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
