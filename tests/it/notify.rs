//! What whoever looks after the process is told, as systemd is.

use std::time::Duration;

use portcullis_tests::{Process, Upstream, get};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Stands in for systemd.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { folder, socket }
    }

    /// Starts a gateway that notifies it.
    fn start(&self, upstream: &Upstream, variables: &[(&str, &str)]) -> Process {
        let config = format!(
            "workers = 2
             listener = [{{ address = '127.0.0.1:0' }}]
             admin = {{ address = '127.0.0.1:0' }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/', upstream = 'a' }}]",
            upstream.address()
        );
        let file = self.folder.path().join("gateway.toml");
        std::fs::write(&file, config).unwrap();
        let socket = self.folder.path().join("notify");
        let mut all = vec![("NOTIFY_SOCKET", socket.to_str().unwrap())];
        all.extend(variables);
        Process::start_in(GATEWAY, &["run", "--config", file.to_str().unwrap()], &all)
    }

    async fn told(&self) -> String {
        let mut buffer = [0; 1024];
        let told = timeout(Duration::from_secs(60), self.socket.recv(&mut buffer)).await;
        String::from_utf8_lossy(&buffer[..told.unwrap().unwrap()]).into_owned()
    }
}

#[tokio::test]
async fn readiness_reloads_and_the_end_are_told_as_they_come() {
    let upstream = Upstream::answering(OK).await;
    let manager = Manager::new();
    let mut process = manager.start(&upstream, &[]);

    assert!(manager.told().await.starts_with("READY=1\n"));
    let (gateway, _) = process.serves().await;
    assert_eq!(get(gateway, "/").await.status, 200);

    process.signal("HUP").await;
    let reloading = manager.told().await;
    let mut lines = reloading.lines();
    assert_eq!(lines.next(), Some("RELOADING=1"));
    let since = lines.next().unwrap().strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(since.parse::<u64>().unwrap() > 0);
    assert!(manager.told().await.starts_with("READY=1\n"));

    std::fs::write(manager.folder.path().join("gateway.toml"), "wrong").unwrap();
    process.signal("HUP").await;
    assert!(manager.told().await.starts_with("RELOADING=1\n"));
    let ready = manager.told().await;
    assert!(ready.starts_with("READY=1\n") && ready.contains("the present one is wrong"));

    process.signal("TERM").await;
    assert!(manager.told().await.starts_with("STOPPING=1\n"));
    assert_eq!(process.end().await.0.code(), Some(0));
}

#[cfg(feature = "peers")]
#[tokio::test]
async fn the_watchdog_hears_of_a_gateway_whose_workers_answer_and_of_no_other() {
    let upstream = Upstream::answering(OK).await;
    let manager = Manager::new();
    let mut process = manager.start(&upstream, &[("WATCHDOG_USEC", "400000")]);
    assert!(manager.told().await.starts_with("READY=1\n"));
    let (_, admin) = process.serves().await;

    assert_eq!(manager.told().await, "WATCHDOG=1\n");
    assert_eq!(manager.told().await, "WATCHDOG=1\n");

    let _stopped = crate::peers::stop(process.thread("worker-0")).await;
    // What was sent before one was stuck comes first.
    let mut status = manager.told().await;
    for _ in 0..60 {
        if status != "WATCHDOG=1\n" {
            break;
        }
        status = manager.told().await;
    }
    assert!(status.starts_with("STATUS=workers that do not answer: ["), "{status}");
    for _ in 0..5 {
        assert_eq!(manager.told().await, status);
    }

    assert_eq!(get(admin.unwrap(), "/livez").await.status, 200, "it is the workers that are stuck");
}
