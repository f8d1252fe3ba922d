//! How the program stops, by signals, and what becomes of those that it serves.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_tests::{
    Connection, Process, Response, Upstream, echoing, exchange, get, read_request, read_to_end,
    upgrade,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

fn to(upstream: &Upstream, drain: &str) -> String {
    format!(
        "workers = 2
         listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0', probe_interval = '50ms' }}
         drain = {{ {drain} }}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    )
}

/// A download that begins at once, and ends when there is a permit for it.
async fn slow() -> (Upstream, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let waiting = permits.clone();
    let upstream = Upstream::serving(move |mut socket, seen| {
        let waiting = waiting.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                let quick = request.line().contains("/quick");
                seen.send(request).ok();
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n";
                socket.write_all(head).await.ok();
                socket.write_all(b"firs").await.ok();
                if !quick {
                    waiting.acquire().await.unwrap().forget();
                }
                socket.write_all(b"last").await.ok();
            }
        }
    })
    .await;
    (upstream, permits)
}

/// Begins a download, and reads as much as there is of it.
async fn download(gateway: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(gateway).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\nfirs") {
        bytes.push(client.read_u8().await.unwrap());
    }
    client
}

/// Signals, and waits until the gateway has heard it.
async fn signal(process: &mut Process, name: &str) {
    process.signal(name).await;
    process.line(|line| line.contains("\"draining\"")).await;
}

/// The exit code, and all that was written, of a process that must end by itself.
async fn end(process: Process) -> (Option<i32>, Vec<String>) {
    let (status, written) = soon(process.end()).await;
    (status.code(), written)
}

/// What happens well before any deadline that a test does not mean to wait for.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), event).await.expect("something that happens soon")
}

const LATER: &str = "deadline = '10m'";

#[tokio::test]
async fn a_download_that_sigterm_finds_is_completed() {
    let (upstream, permits) = slow().await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LATER)).await;

    let mut client = download(gateway, "/slow").await;
    signal(&mut process, "TERM").await;
    permits.add_permits(1);
    let rest = read_to_end(&mut client).await;
    let (code, written) = end(process).await;

    assert_eq!(rest, b"last");
    assert_eq!(code, Some(0));
    let report = written.iter().find(|line| line.contains("\"drained\"")).unwrap();
    assert!(report.contains("\"completed\":1") && report.contains("\"cut\":0"), "{report}");
}

#[tokio::test]
async fn sigint_drains_as_sigterm_does() {
    let (upstream, permits) = slow().await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LATER)).await;

    let mut client = download(gateway, "/slow").await;
    signal(&mut process, "INT").await;
    permits.add_permits(1);
    let rest = read_to_end(&mut client).await;

    assert_eq!(rest, b"last");
    assert_eq!(end(process).await.0, Some(0));
}

#[tokio::test]
async fn what_is_not_done_at_the_deadline_is_cut_and_reported() {
    let (upstream, _permits) = slow().await;
    let config = to(&upstream, "deadline = '200ms'");
    let (mut process, gateway, _) = Process::serve(GATEWAY, &config).await;

    let mut client = download(gateway, "/slow/one?secret=yes").await;
    signal(&mut process, "TERM").await;
    let rest = soon(read_to_end(&mut client)).await;
    let (code, written) = end(process).await;

    assert_eq!(rest, b"");
    assert_eq!(code, Some(3));
    let report = written.iter().find(|line| line.contains("cut off at the deadline")).unwrap();
    let report: Value = serde_json::from_str(report).unwrap();
    assert_eq!((&report["method"], &report["path"]), (&"GET".into(), &"/slow/one".into()));
    assert!(report["age"].as_f64().unwrap() >= 0.2, "{report}");
}

#[tokio::test]
async fn a_request_that_is_cut_has_its_line_in_the_access_log() {
    let (upstream, _permits) = slow().await;
    let config = to(&upstream, "deadline = '200ms'");
    let (process, gateway, _) = Process::serve(GATEWAY, &config).await;

    let _client = download(gateway, "/slow/one").await;
    process.signal("TERM").await;
    let (_, written) = end(process).await;

    let lines = written.iter().filter(|line| line.contains("\"target\":\"access\""));
    let paths: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(paths.len(), 1, "{written:#?}");
    assert_eq!(paths[0]["path"], "/slow/one");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (upstream, _permits) = slow().await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LATER)).await;

    let mut client = download(gateway, "/slow").await;
    signal(&mut process, "TERM").await;
    process.signal("TERM").await;
    let rest = soon(read_to_end(&mut client)).await;

    assert_eq!(rest, b"");
    assert_eq!(end(process).await.0, Some(4));
}

const LINGER: &str = "linger = '5m', deadline = '10m'";

#[tokio::test]
async fn it_is_not_ready_from_the_signal_on() {
    let (upstream, _permits) = slow().await;
    let (mut process, _, admin) = Process::serve(GATEWAY, &to(&upstream, LINGER)).await;
    let admin = admin.unwrap();

    let before = get(admin, "/readyz").await;
    signal(&mut process, "TERM").await;
    let after = get(admin, "/readyz").await;
    let alive = get(admin, "/livez").await;

    assert_eq!((before.status, after.status, alive.status), (200, 503, 200));
    let expected = "\"status\":\"draining\",\"phase\":\"lingering\"";
    assert!(after.body.contains(expected), "{}", after.body);
    assert!(alive.body.contains("\"state\":\"draining\""), "{}", alive.body);
    let metrics = get(admin, "/metrics").await.body;
    for (state, value) in [("running", 0), ("draining", 1), ("stopped", 0)] {
        let line = format!("portcullis_state{{state=\"{state}\"}} {value}\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn who_comes_while_it_lingers_is_served_and_told_to_go_elsewhere_next() {
    let (upstream, _permits) = slow().await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LINGER)).await;
    let mut open = TcpStream::connect(gateway).await.unwrap();

    signal(&mut process, "TERM").await;
    let request = b"GET /quick HTTP/1.1\r\nhost: a\r\n\r\n";
    open.write_all(request).await.unwrap();
    let old = Response::parse(&soon(read_to_end(&mut open)).await);
    let mut new = TcpStream::connect(gateway).await.unwrap();
    new.write_all(request).await.unwrap();
    let new = Response::parse(&soon(read_to_end(&mut new)).await);

    for response in [old, new] {
        assert_eq!((response.status, response.body.as_str()), (200, "firslast"));
        assert_eq!(response.header("connection"), ["close"]);
    }
}

#[tokio::test]
async fn connections_are_refused_once_it_has_lingered() {
    let (upstream, permits) = slow().await;
    let config = to(&upstream, "linger = '50ms', deadline = '10m'");
    let (mut process, gateway, _) = Process::serve(GATEWAY, &config).await;

    let mut client = download(gateway, "/slow").await;
    signal(&mut process, "TERM").await;
    // Those that meet the closing door may be reset.
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    soon(async { while !TcpStream::connect(gateway).await.is_err_and(refused) {} }).await;
    permits.add_permits(1);
    let rest = read_to_end(&mut client).await;

    assert_eq!(rest, b"last");
    assert_eq!(end(process).await.0, Some(0));
}

#[tokio::test]
async fn idle_connections_close_at_once() {
    let (upstream, _permits) = slow().await;
    let (process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LATER)).await;

    let mut used = download(gateway, "/quick").await;
    used.read_exact(&mut [0; 4]).await.unwrap();
    let mut unused = TcpStream::connect(gateway).await.unwrap();
    process.signal("TERM").await;
    let rest = (soon(read_to_end(&mut used)).await, soon(read_to_end(&mut unused)).await);

    assert_eq!(rest, (Vec::new(), Vec::new()));
    assert_eq!(end(process).await.0, Some(0));
}

#[tokio::test]
async fn a_head_that_never_ends_does_not_hold_it_beyond_the_deadline() {
    let (upstream, _permits) = slow().await;
    let config = to(&upstream, "deadline = '300ms'");
    let (process, gateway, _) = Process::serve(GATEWAY, &config).await;

    let mut client = TcpStream::connect(gateway).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    process.signal("TERM").await;
    let (code, _) = end(process).await;

    assert_eq!(code, Some(0), "nothing was in flight, so nothing was cut");
}

#[tokio::test]
async fn http_2_clients_are_told_to_go_away() {
    let (upstream, _permits) = slow().await;
    let (process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LATER)).await;

    let mut client = TcpStream::connect(gateway).await.unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    while frame(&mut client).await.0 != SETTINGS {}
    process.signal("TERM").await;
    let goodbye = soon(async {
        loop {
            let (kind, payload) = frame(&mut client).await;
            if kind == GOAWAY {
                break payload;
            }
        }
    })
    .await;
    drop(client);

    assert_eq!(goodbye[4..8], [0; 4], "without an error");
    assert_eq!(end(process).await.0, Some(0));
}

const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Reads a frame of HTTP/2; its type and payload.
async fn frame(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    socket.read_exact(&mut payload).await.unwrap();
    (head[3], payload)
}

#[tokio::test]
async fn without_anything_in_flight_it_ends_at_once() {
    let (upstream, _permits) = slow().await;
    let (process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LATER)).await;

    get(gateway, "/quick").await;
    process.signal("TERM").await;

    assert_eq!(end(process).await.0, Some(0));
}

/// A gateway that makes tunnels, and drains like this.
async fn tunnelling(protocol: &'static str, drain: &str) -> (Upstream, Process, SocketAddr) {
    let upstream = echoing(protocol).await;
    let config = to(&upstream, drain).replace(
        "upstream = 'a' }",
        &format!("upstream = 'a', upgrade = {{ tokens = ['{protocol}'] }} }}"),
    );
    let (process, gateway, _) = Process::serve(GATEWAY, &config).await;
    (upstream, process, gateway)
}

/// A tunnel through which a byte has gone.
async fn tunnel(gateway: SocketAddr, path: &str, protocol: &str) -> TcpStream {
    let mut client = Connection::open(gateway).await;
    client.write(upgrade(path, protocol, "")).await;
    assert_eq!(client.head().await.status, 101);
    client.write("a").await;
    assert_eq!(client.take(1).await, b"a");
    client.into_inner()
}

#[tokio::test]
async fn a_websocket_is_told_by_a_frame_and_waited_for() {
    let (_upstream, mut process, gateway) = tunnelling("websocket", LATER).await;
    let mut client = Connection::open(gateway).await;
    client.write(upgrade("/chat", "websocket", "")).await;
    assert_eq!(client.head().await.status, 101);
    // The echo's frame is not complete when the signal comes.
    client.write(b"\x82\x05hel").await;
    assert_eq!(client.take(5).await, b"\x82\x05hel");

    signal(&mut process, "TERM").await;
    client.write("lo").await;
    let told = client.take(6).await;
    // What a client answers (RFC 6455 §5.5.1): the echo of it is for nobody.
    client.write(b"\x88\x82\0\0\0\0\x03\xe9").await;
    let mut client = client.into_inner();
    client.shutdown().await.unwrap();
    let rest = soon(read_to_end(&mut client)).await;
    let (code, written) = end(process).await;

    assert_eq!(told, b"lo\x88\x02\x03\xe9");
    assert_eq!(rest, b"");
    assert_eq!(code, Some(0), "{written:#?}");
}

#[tokio::test]
async fn a_tunnel_that_goes_on_is_cut_at_the_deadline_and_named() {
    for protocol in ["websocket", "mqtt"] {
        let (_upstream, process, gateway) = tunnelling(protocol, "deadline = '300ms'").await;
        let mut client = tunnel(gateway, "/chat?secret=yes", protocol).await;

        process.signal("TERM").await;
        let rest = soon(read_to_end(&mut client)).await;
        let (code, written) = end(process).await;

        assert_eq!(code, Some(3), "{written:#?}");
        // Only a WebSocket can be told; its first byte was no whole frame.
        assert_eq!(rest, b"");
        let report = written.iter().find(|line| line.contains("cut off at the deadline")).unwrap();
        let report: Value = serde_json::from_str(report).unwrap();
        let said = (&report["kind"], &report["method"], &report["path"]);
        assert_eq!(said, (&"tunnel".into(), &"GET".into(), &"/chat".into()));
        let access = written.iter().find(|line| line.contains("\"target\":\"access\"")).unwrap();
        let access: Value = serde_json::from_str(access).unwrap();
        assert_eq!((&access["status"], &access["reason"]), (&101.into(), &"tunnel_cut".into()));
        assert_eq!((&access["request_bytes"], &access["response_bytes"]), (&1.into(), &1.into()));
    }
}

#[tokio::test]
async fn a_tunnel_is_waited_for_while_others_have_gone() {
    let (_upstream, mut process, gateway) = tunnelling("mqtt", LATER).await;
    let mut client = tunnel(gateway, "/", "mqtt").await;

    signal(&mut process, "TERM").await;
    client.write_all(b"b").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'b');
    client.shutdown().await.unwrap();
    let rest = soon(read_to_end(&mut client)).await;
    let (code, written) = end(process).await;

    assert_eq!((rest.as_slice(), code), (&b"bye"[..], Some(0)), "{written:#?}");
}

#[tokio::test]
async fn half_a_body_does_not_hold_it_beyond_the_deadline() {
    let (told, mut begun) = mpsc::unbounded_channel();
    let upstream = Upstream::serving(move |mut socket, _| {
        let told = told.clone();
        async move {
            if socket.read_u8().await.is_ok() {
                told.send(()).unwrap();
                read_to_end(&mut socket).await;
            }
        }
    })
    .await;
    let config = to(&upstream, "deadline = '300ms'");
    let (process, gateway, _) = Process::serve(GATEWAY, &config).await;

    let mut client = TcpStream::connect(gateway).await.unwrap();
    let half = b"POST /half HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";
    client.write_all(half).await.unwrap();
    begun.recv().await.unwrap();
    process.signal("TERM").await;
    let (code, written) = end(process).await;

    assert_eq!(code, Some(3));
    assert!(written.iter().any(|line| line.contains("cut off") && line.contains("\"/half\"")));
}

#[tokio::test]
async fn http_2_clients_are_told_to_go_away_while_it_lingers_and_others_are_not_cut() {
    let (upstream, _permits) = slow().await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(&upstream, LINGER)).await;

    let mut old = TcpStream::connect(gateway).await.unwrap();
    old.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    while frame(&mut old).await.0 != SETTINGS {}
    let mut http1 = TcpStream::connect(gateway).await.unwrap();
    signal(&mut process, "TERM").await;
    let mut new = TcpStream::connect(gateway).await.unwrap();
    new.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    for client in [&mut old, &mut new] {
        // Before a ping that is not answered could be the reason.
        let told = async { while frame(client).await.0 != GOAWAY {} };
        timeout(Duration::from_secs(20), told).await.expect("a goodbye");
    }

    // A request on an idle connection of HTTP/1.1 is not lost to a close that crosses it.
    http1.write_all(b"GET /quick HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(Response::parse(&soon(read_to_end(&mut http1)).await).status, 200);
}

#[tokio::test]
async fn connections_to_upstreams_are_kept_for_as_long_as_anybody_is_served() {
    let (upstream, _permits) = slow().await;
    let (mut process, gateway, admin) = Process::serve(GATEWAY, &to(&upstream, LINGER)).await;
    let admin = admin.unwrap();
    let opened = async || {
        let scrape = get(admin, "/metrics").await.body;
        let series = "portcullis_upstream_connections_total{upstream=\"a\",replica=\"a\"} ";
        scrape.lines().find_map(|line| line.strip_prefix(series)).map(str::to_owned)
    };
    let one = |to| async move {
        exchange(to, "GET /quick HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await
    };

    // Two workers, each with connections of its own.
    for _ in 0..20 {
        one(gateway).await;
    }
    let before = opened().await;
    signal(&mut process, "TERM").await;
    for _ in 0..20 {
        assert_eq!(one(gateway).await.status, 200);
    }

    assert_eq!(before.as_deref().map(|count| count.parse::<u32>().unwrap() <= 2), Some(true));
    let after = opened().await.unwrap();
    assert!(after.parse::<u32>().unwrap() <= 2, "{after}");
}
