//! What is sent in masses, or with all the time in the world: memory stays bounded, and a client that behaves is served.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use portcullis_tests::{Connection, Frames, Process, Upstream, block, bytes, get, read_request};
use std::future::Future;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An attacker, who says whether it was the gateway that ended it.
type Attack = fn(SocketAddr) -> Pin<Box<dyn Future<Output = bool> + Send>>;

/// One gateway, whose one worker serves whoever attacks and whoever behaves.
struct Scene {
    process: Process,
    address: SocketAddr,
    admin: SocketAddr,
    upstream: Upstream,
}

impl Scene {
    async fn set() -> Self {
        let upstream = Upstream::serving(|mut socket, _| async move {
            while let Some(request) = read_request(&mut socket).await {
                if request.line().contains("/silent") {
                    socket.read_u8().await.ok();
                    return;
                }
                if request.line().contains("/endless") {
                    socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
                    while socket.write_all(&[b'x'; 16 << 10]).await.is_ok() {}
                    return;
                }
                if socket.write_all(OK.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await;
        let config = format!(
            "workers = 1
             log = {{ level = 'portcullis=info,portcullis::worker=off,access=off' }} # which nobody reads
             admin = {{ address = '127.0.0.1:0', probe_interval = '1h' }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/', upstream = 'a' }}]
             [[listener]]
             address = '127.0.0.1:0'
             timeouts = {{ first_byte = '1s', request_header = '1s', request_body = '1s', send = '1s', keep_alive = '5s' }}",
            upstream.address()
        );
        let (process, address, admin) =
            Process::serve(env!("CARGO_BIN_EXE_gateway"), &config).await;
        Self { process, address, admin: admin.unwrap(), upstream }
    }

    /// Asks over one connection, one time after the other, until `end` and at least so often; how long the slowest of a
    /// hundred took.
    async fn p99(&self, least: usize, end: impl Fn() -> bool) -> Duration {
        let mut client = Connection::open(self.address).await;
        let mut times = Vec::new();
        while times.len() < least || !end() {
            let begin = Instant::now();
            client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(client.response().await.body, "ok");
            times.push(begin.elapsed());
        }
        times.sort();
        times[times.len() * 99 / 100]
    }

    /// Lets so many attack at once, until the last of them has ended. Each may cost so many KiB at the worst.
    #[expect(clippy::print_stdout, reason = "a figure is what they want")]
    async fn under(&self, name: &str, attackers: u64, attack: Attack, each: u64) {
        let quiet = self.p99(200, || true).await;
        let before = self.process.peak_memory();

        let mut crowd = JoinSet::new();
        for _ in 0..attackers {
            crowd.spawn(timeout(Duration::from_secs(30), attack(self.address)));
        }
        let ended = tokio::spawn(crowd.join_all());
        let loud = self.p99(200, || ended.is_finished()).await;
        let cut = ended.await.unwrap();
        // The kernel sums it up from what each core has, and may say a little less the second time.
        let more = self.process.peak_memory().saturating_sub(before);

        println!(
            "{name}: p99 {loud:.1?}, quiet {quiet:.1?}; {more} KiB more for {attackers} attackers"
        );
        let survivors = cut.iter().filter(|cut| **cut != Ok(true)).count();
        assert_eq!(survivors, 0, "{name}: so many were not ended");
        assert!(more < each * attackers, "{name}: {more} KiB more");
        let open = self.metric("portcullis_connections_open").await;
        assert!(open <= 2.0, "{name}: {open} connections are left");
    }

    async fn metric(&self, series: &str) -> f64 {
        let scrape = get(self.admin, "/metrics").await.body;
        let value = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// Reads and throws away, until the other side has had enough.
async fn until_closed(mut socket: TcpStream) -> bool {
    let mut buffer = [0; 4096];
    while let Ok(1..) = socket.read(&mut buffer).await {}
    true
}

/// Sends `begin`, and then one `piece` after another without end.
async fn dribble(to: SocketAddr, begin: &[u8], piece: &[u8]) -> bool {
    let mut socket = TcpStream::connect(to).await.unwrap();
    socket.write_all(begin).await.unwrap();
    let mut pace = interval(Duration::from_millis(50)); // an attacker has its own pace
    let mut buffer = [0; 4096];
    loop {
        tokio::select! {
            read = socket.read(&mut buffer) => if !matches!(read, Ok(1..)) { return true },
            _ = pace.tick() => if socket.write_all(piece).await.is_err() { return true },
        }
    }
}

/// Sends `piece` over and over, as fast as it goes, and reads nothing.
async fn flood(mut peer: Frames, piece: impl Fn(u32) -> Vec<u8>) -> bool {
    let mut number = 0;
    while peer.write(&piece(number)).await {
        number += 1;
    }
    true
}

async fn begun(to: SocketAddr, settings: &[(u16, u32)]) -> Frames {
    let mut peer = Frames::open(to, settings).await;
    // Both sides have spoken.
    while !matches!(peer.next().await, Some(frame) if frame.flags & Frames::ACK != 0) {}
    peer
}

fn ask(path: &'static str) -> Vec<u8> {
    block(&[
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"a"),
        (b":path", path.as_bytes()),
    ])
}

/// The streams that clients open, one after the other.
const fn stream(number: u32) -> u32 {
    number * 2 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_of_http_1_are_cut_and_others_served() {
    let scene = Scene::set().await;

    scene
        .under(
            "silent connections",
            500,
            |to| Box::pin(async move { until_closed(TcpStream::connect(to).await.unwrap()).await }),
            128,
        )
        .await;
    scene
        .under("slow heads", 200, |to| Box::pin(dribble(to, b"GET / HTTP/1.1\r\nx-a: ", b"a")), 128)
        .await;
    scene
        .under(
            "slow heads that look like HTTP/2",
            200,
            |to| Box::pin(dribble(to, b"PRI / HTTP/1.1\r\nx-a: ", b"a")),
            128,
        )
        .await;
    scene
        .under(
            "giant heads without an end",
            50,
            |to| {
                Box::pin(async move {
                    let mut socket = TcpStream::connect(to).await.unwrap();
                    let head = format!("GET / HTTP/1.1\r\nx-a: {}", "a".repeat(390 << 10));
                    socket.write_all(head.as_bytes()).await.ok();
                    until_closed(socket).await
                })
            },
            1024,
        )
        .await;
    scene
        .under(
            "bodies that stop",
            200,
            |to| {
                Box::pin(async move {
                    let mut socket = TcpStream::connect(to).await.unwrap();
                    let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\na";
                    socket.write_all(head).await.unwrap();
                    until_closed(socket).await
                })
            },
            256,
        )
        .await;
    scene
        .under(
            "clients that take nothing",
            50,
            |to| {
                Box::pin(async move {
                    let mut socket = TcpStream::connect(to).await.unwrap();
                    socket.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
                    // What it says after it was cut is answered with a reset.
                    let mut pace = interval(Duration::from_millis(100));
                    while socket.write_all(b"GET").await.is_ok() {
                        pace.tick().await;
                    }
                    true
                })
            },
            1024,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_are_cut_and_others_served() {
    let scene = Scene::set().await;

    scene
        .under(
            "requests that are cancelled at once",
            10,
            |to| {
                Box::pin(async move {
                    let peer = begun(to, &[]).await;
                    flood(peer, |number| {
                        let head = bytes(Frames::HEADERS, 5, stream(number), &ask("/silent"));
                        [head, bytes(Frames::RST_STREAM, 0, stream(number), &[0, 0, 0, 8])].concat()
                    })
                    .await
                })
            },
            2048,
        )
        .await;
    scene
        .under(
            "requests that the gateway has to cancel",
            10,
            |to| {
                Box::pin(async move {
                    let peer = begun(to, &[]).await;
                    flood(peer, |number| {
                        let head = bytes(Frames::HEADERS, 5, stream(number), &ask("/silent"));
                        [head, bytes(Frames::WINDOW_UPDATE, 0, stream(number), &[0; 4])].concat()
                    })
                    .await
                })
            },
            2048,
        )
        .await;
    scene
        .under(
            "heads without an end",
            10,
            |to| {
                Box::pin(async move {
                    let mut peer = begun(to, &[]).await;
                    peer.frame(Frames::HEADERS, Frames::END_STREAM, 1, &ask("/")).await;
                    let piece = block(&[(b"x-a", &[b'a'; 16_000])]);
                    flood(peer, |_| bytes(Frames::CONTINUATION, 0, 1, &piece)).await
                })
            },
            2048,
        )
        .await;
    scene
        .under(
            "heads without an end of empty frames",
            10,
            |to| {
                Box::pin(async move {
                    let mut peer = begun(to, &[]).await;
                    peer.frame(Frames::HEADERS, Frames::END_STREAM, 1, &ask("/")).await;
                    flood(peer, |_| bytes(Frames::CONTINUATION, 0, 1, &[])).await
                })
            },
            2048,
        )
        .await;
    scene
        .under(
            "pings",
            10,
            |to| {
                Box::pin(async move {
                    flood(begun(to, &[]).await, |_| bytes(Frames::PING, 0, 0, &[0; 8]).repeat(100))
                        .await
                })
            },
            2048,
        )
        .await;
    scene
        .under(
            "settings",
            10,
            |to| {
                Box::pin(async move {
                    flood(begun(to, &[]).await, |_| bytes(Frames::SETTINGS, 0, 0, &[]).repeat(100))
                        .await
                })
            },
            2048,
        )
        .await;
    scene
        .under(
            "pieces of nothing",
            10,
            |to| {
                Box::pin(async move {
                    let mut peer = begun(to, &[]).await;
                    let mut head = ask("/");
                    head.splice(
                        ..block(&[(b":method", b"GET")]).len(),
                        block(&[(b":method", b"POST")]),
                    );
                    peer.frame(Frames::HEADERS, Frames::END_HEADERS, 1, &head).await;
                    flood(peer, |_| bytes(Frames::DATA, 0, 1, &[]).repeat(100)).await
                })
            },
            2048,
        )
        .await;
    println!("{} connections to the upstream in all", scene.upstream.connections());
    assert!(scene.upstream.connections() < 6000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_stand_still_are_cut_and_others_served() {
    let scene = Scene::set().await;

    scene
        .under(
            "no window",
            5,
            |to| {
                Box::pin(async move {
                    let mut peer = begun(to, &[(4, 0)]).await;
                    for number in 0..100 {
                        peer.get(stream(number), "/endless").await;
                    }
                    while peer.next().await.is_some() {}
                    true
                })
            },
            64 << 10,
        )
        .await;
    scene
        .under(
            "a head that stops",
            50,
            |to| {
                Box::pin(async move {
                    let mut peer = begun(to, &[]).await;
                    peer.frame(Frames::HEADERS, Frames::END_STREAM, 1, &ask("/")).await;
                    while peer.next().await.is_some() {}
                    true
                })
            },
            256,
        )
        .await;
    scene
        .under(
            "more streams than there may be",
            5,
            |to| {
                Box::pin(async move {
                    let mut peer = begun(to, &[]).await;
                    for number in 0..5_000 {
                        if !peer.frame(Frames::HEADERS, 5, stream(number), &ask("/silent")).await {
                            return true;
                        }
                    }
                    let mut refused = 0;
                    while let Some(frame) = peer.next().await {
                        refused += u32::from(frame.kind == Frames::RST_STREAM);
                        if frame.kind == Frames::GOAWAY || refused >= 5_000 - 256 {
                            return true;
                        }
                    }
                    true
                })
            },
            16 << 10,
        )
        .await;
    scene
        .under(
            "one large field, many times over",
            10,
            |to| {
                Box::pin(async move {
                    let mut peer = begun(to, &[]).await;
                    // Remembered once (RFC 7541 §6.2.1), and then named by its number, which is one byte.
                    let large = block(&[(b"x-a", &[b'a'; 4000])]);
                    let head =
                        [&ask("/")[..], &[0x40], &large[1..], &[0xbe].repeat(12_000)].concat();
                    for number in 0..10 {
                        if !peer.frame(Frames::HEADERS, 5, stream(number), &head).await {
                            return true;
                        }
                    }
                    for number in 0..10 {
                        let end = peer.end(stream(number)).await;
                        assert!(!matches!(end, portcullis_tests::End::Answered(200, _)), "{end:?}");
                    }
                    true
                })
            },
            4096,
        )
        .await;
    println!("{} connections to the upstream in all", scene.upstream.connections());
}
