//! A download goes on where its replica broke off, or is seen to break off; it is never mixed.
//!
//! In most rounds a server that closes in the middle of its answer stands for a replica that dies: what the gateway sees is
//! the same. The sizes are what a debug build does in seconds; with `PORTCULLIS_LARGE=1` each of the fifty downloads has
//! 256 MiB, and so has the object of the servers that are killed.

use std::future::ready;

use portcullis_tests::{
    Connection, InProcess, Store, Upstream, gateway, get, pattern, piece, read_request,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::storages::Storages;
use super::{A_WHILE, over};

const ROUNDS: u32 = 50;
const MIB: u64 = 1 << 20;

fn is_large() -> bool {
    std::env::var_os("PORTCULLIS_LARGE").is_some()
}

/// Circuits and budgets play no part here.
const TIRELESS: &str = "circuit_breaker = { mode = 'disabled' }\n\
    failover = { failback_after = '1ms', budget = { share = 100, per_second = 1000 } }";

fn resumes(outcome: &str) -> String {
    format!("replica_failover_resumes_total{{upstream=\"u\",outcome=\"{outcome}\"}}")
}

/// Downloads an object and compares it as it comes: what its head promises, and how much of it has come.
///
/// Something may happen once it has begun.
async fn download(
    gateway: &InProcess,
    path: &str,
    happens: impl Future<Output = ()>,
) -> (u64, u64) {
    let mut happens = Some(happens);
    let pattern = pattern();
    let mut client = Connection::open(gateway.address()).await;
    client.write(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).await;
    let head = client.head().await;
    assert_eq!(head.status, 200, "{head:?}");
    let promised = head.header("content-length")[0].parse().unwrap();
    let mut came = 0;
    loop {
        let bytes = client.some().await;
        if bytes.is_empty() {
            return (promised, came);
        }
        if let Some(happens) = happens.take() {
            happens.await;
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let expected = piece(&pattern, came, u64::try_from(rest.len()).unwrap());
            assert!(rest.starts_with(expected), "other bytes at {came}");
            rest = &rest[expected.len()..];
            came += u64::try_from(expected.len()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_downloads_that_break_off_anywhere_arrive_whole() {
    let length = if is_large() { 256 * MIB } else { 32 * MIB };
    let a = Store::serving(length, "\"x\"", 1).await;
    let b = Store::serving(length, "\"x\"", 2).await;
    let gateway = gateway(&over(&[a.address(), b.address()], TIRELESS));

    for _ in 0..ROUNDS {
        a.cut(1);
        assert_eq!(download(&gateway, "/object", ready(())).await, (length, length));
    }

    gateway.until_metric(&resumes("resumed"), ROUNDS.into()).await;
    assert_eq!(gateway.metric(&resumes("gave_up")).await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_of_256_mib_goes_on_as_often_as_it_may_and_then_is_seen_to_break_off() {
    let length = 256 * MIB;
    let a = Store::serving(length, "\"x\"", 3).await;
    let b = Store::serving(length, "\"x\"", 4).await;
    let gateway = gateway(&over(&[a.address(), b.address()], TIRELESS));

    a.cut(2);
    b.cut(1);
    assert_eq!(download(&gateway, "/object", ready(())).await, (length, length));
    gateway.until_metric(&resumes("resumed"), 3.0).await;

    a.cut(9);
    b.cut(9);
    let (promised, came) = download(&gateway, "/object", ready(())).await;
    assert!(promised == length && came < length, "{came}");
    gateway.until_metric(&resumes("gave_up"), 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_other_replica_has_is_seen_to_break_off_wherever_that_is() {
    let length = 4 * MIB;
    let a = Store::serving(length, "\"x\"", 5).await;
    let b = Store::serving(length, "\"y\"", 6).await;
    let gateway = gateway(&over(&[a.address(), b.address()], TIRELESS));

    for round in 1..=10 {
        a.cut(9);
        let (promised, came) = download(&gateway, "/object", ready(())).await;
        assert!(promised == length && came < length, "{came}");
        gateway.until_metric(&resumes("gave_up"), round.into()).await;
    }

    assert_eq!(gateway.metric(&resumes("differs")).await, 10.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_survives_the_death_of_two_servers_of_three() {
    let storages = Storages::start().await;
    let length = if is_large() { 256 * MIB } else { 8 * MIB };
    let config = storages.config(storages.address(0), "failover = { resume = 'if_match' }\n");
    let gateway = gateway(&(config + &storages.each()));
    for name in ["a", "b", "c"] {
        upload(&gateway, &format!("/{name}/photos/large.bin"), length).await;
    }

    for dies in 0..2 {
        let came = download(&gateway, "/photos/large.bin", storages.kill(dies)).await;
        assert_eq!(came, (length, length));
    }

    let resumed = "replica_failover_resumes_total{upstream=\"s3\",outcome=\"resumed\"}";
    gateway.until_metric(resumed, 2.0).await;
}

async fn upload(gateway: &InProcess, path: &str, length: u64) {
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let (pattern, mut at) = (pattern(), 0);
    while at < length {
        let bytes = piece(&pattern, at, length - at);
        socket.write_all(bytes).await.unwrap();
        at += u64::try_from(bytes.len()).unwrap();
    }
    let mut client = Connection::over(socket);
    let response = client.response().await;
    assert_eq!(response.status, 200, "{response:?}");
}

/// The head of a response with bytes `from` to 9 of ten.
fn rest(from: usize, etag: &str) -> String {
    format!(
        "HTTP/1.1 206 Partial Content\r\netag: {etag}\r\ncontent-range: bytes {from}-9/10\r\n\
         content-length: {}\r\n\r\n",
        10 - from
    )
}

/// A replica that sends four of ten bytes, and then no more.
async fn breaking_off() -> Upstream {
    Upstream::serving(move |mut socket, seen| async move {
        if let Some(request) = read_request(&mut socket).await {
            seen.send(request).ok();
            let head = "HTTP/1.1 200 OK\r\netag: \"x\"\r\ncontent-length: 10\r\n\r\n";
            socket.write_all(format!("{head}0123").as_bytes()).await.ok();
        }
    })
    .await
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_the_same_is() {
    let broken = breaking_off().await;
    let mut whole = Upstream::answering(rest(4, "\"x\"") + "456789").await;
    let gateway = gateway(&over(&[broken.address(), whole.address()], ""));

    let response = get(gateway.address(), "/object").await;

    assert_eq!((response.status, response.body.as_str()), (200, "0123456789"));
    let asked = whole.seen().await;
    assert_eq!(
        (asked.header("range"), asked.header("if-range")),
        (vec!["bytes=4-"], vec!["\"x\""])
    );
    let resumed = "replica_failover_resumes_total{upstream=\"u\",outcome=\"resumed\"}";
    gateway.until_metric(resumed, 1.0).await;
}

#[tokio::test]
async fn a_download_that_breaks_off_is_never_mixed_with_another() {
    let broken = breaking_off().await;
    let other = Upstream::answering(rest(4, "\"y\"") + "456789").await;
    let gateway = gateway(&over(&[broken.address(), other.address()], ""));

    let mut client = Connection::open(gateway.address()).await;
    client.write("GET /object HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let all = timeout(A_WHILE, client.rest()).await.expect("an end");

    let all = String::from_utf8(all).unwrap();
    assert!(all.ends_with("\r\n\r\n0123"), "{all}");
}
