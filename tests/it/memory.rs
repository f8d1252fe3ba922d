//! Bodies far larger than the memory that they pass through, and clients that only wait.

use std::convert::Infallible;
use std::fs::write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis_tests::{Connection, Process};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::signing::{ACCESS_KEY, S3, SECRET_KEY};

const GIBIBYTE: usize = 1 << 30;

/// What the gateway may have had at its worst, in KiB: most of it is the program itself.
const BOUND: u64 = 64 << 10;

/// How large the object is that goes up and down, in MiB, unless `PORTCULLIS_OBJECT_MIB` says otherwise.
const OBJECT: usize = 64;

/// Of a prime length, so that no piece that is lost, doubled or moved leaves the rest in place.
static PATTERN: LazyLock<Bytes> = LazyLock::new(|| {
    let numbers =
        (0..100_003_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    numbers.collect()
});

/// The pattern over and over, up to a length.
struct Flood {
    at: usize,
    length: usize,
    /// Whether the length is told before.
    declared: bool,
}

impl Body for Flood {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let start = self.at % PATTERN.len();
        let size = (PATTERN.len() - start).min(self.length - self.at);
        self.at += size;
        Poll::Ready((size > 0).then(|| Ok(Frame::data(PATTERN.slice(start..start + size)))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = (self.length - self.at).try_into().unwrap();
        if self.declared { SizeHint::with_exact(left) } else { SizeHint::new() }
    }
}

/// How much of a body came, all of it in the pattern.
async fn measure(mut body: Incoming) -> usize {
    let mut at = 0;
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        let mut rest = &data[..];
        while !rest.is_empty() {
            let expected = &PATTERN[at % PATTERN.len()..];
            let size = expected.len().min(rest.len());
            assert!(rest[..size] == expected[..size], "not the pattern behind byte {at}");
            at += size;
            rest = &rest[size..];
        }
    }
    at
}

/// Answers a download with a gibibyte, and an upload with the length that it had.
async fn upstream() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = service_fn(|request: Request<Incoming>| async {
        let told = request.headers().get("content-length").cloned();
        let body = Flood { at: 0, length: GIBIBYTE, declared: true };
        Ok::<_, Infallible>(match request.method().as_str() {
            "GET" => Response::new(body.boxed()),
            _ => {
                let length = measure(request.into_body()).await;
                let response = Response::builder().header("x-declared", format!("{told:?}"));
                let response = response.header("x-length", length);
                response.body(Empty::new().boxed()).unwrap()
            }
        })
    });
    let task = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(socket), answer));
        }
    });
    (address, task)
}

/// A gateway in a process of its own, before this upstream.
async fn gateway(upstream: SocketAddr) -> (Process, SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]
         log = {{ level = 'portcullis=info,access=off' }} # which nobody reads
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    );
    write(&file, config).unwrap();
    let (process, address, _) = Process::run(env!("CARGO_BIN_EXE_gateway"), &file).await;
    (process, address, folder)
}

async fn exchange(to: SocketAddr, request: Request<Flood>) -> Response<Incoming> {
    let socket = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (mut client, connection) = http1::handshake(socket).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    client.send_request(request).await.unwrap()
}

fn request(method: &str, body: Flood) -> Request<Flood> {
    Request::builder().method(method).uri("/").header("host", "a.test").body(body).unwrap()
}

#[tokio::test]
async fn a_gibibyte_comes_down_in_little_memory() {
    let (upstream, _task) = upstream().await;
    let (process, address, _folder) = gateway(upstream).await;

    let nothing = Flood { at: 0, length: 0, declared: true };
    let response = exchange(address, request("GET", nothing)).await;
    let declared = response.headers()["content-length"].clone();
    let length = measure(response.into_body()).await;
    let peak = process.peak_memory();

    println!("{GIBIBYTE} bytes down, at most {peak} KiB of memory");
    assert_eq!((declared.to_str().unwrap(), length), ("1073741824", GIBIBYTE));
    assert!(peak < BOUND, "{peak} KiB");
}

#[tokio::test]
async fn a_gibibyte_in_chunks_goes_up_in_little_memory() {
    let (upstream, _task) = upstream().await;
    let (process, address, _folder) = gateway(upstream).await;

    let flood = Flood { at: 0, length: GIBIBYTE, declared: false };
    let response = exchange(address, request("POST", flood)).await;
    let peak = process.peak_memory();

    println!("{GIBIBYTE} bytes up, at most {peak} KiB of memory");
    assert_eq!(response.headers()["x-declared"], "None");
    assert_eq!(response.headers()["x-length"], "1073741824");
    assert!(peak < BOUND, "{peak} KiB");
}

#[tokio::test]
async fn an_object_of_s3_goes_up_and_down_in_little_memory() {
    let mebibytes = std::env::var("PORTCULLIS_OBJECT_MIB");
    let length = mebibytes.map_or(OBJECT, |number| number.parse().expect("a number")) << 20;
    let s3 = S3::start().await;
    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]
         credentials.k = {{ access_key = '{ACCESS_KEY}', secret_key = '{SECRET_KEY}' }}
         route = [{{ path = '/', upstream = 's3' }}]
         [upstream.s3]
         replica = [{{ name = 'a', url = 'http://{}' }}]
         sigv4_sign = {{ service = 's3', region = 'us-east-1', credentials = 'k' }}",
        s3.address
    );
    let (process, address, _) = Process::serve(env!("CARGO_BIN_EXE_gateway"), &config).await;
    let object = |method, length| {
        let mut request = request(method, Flood { at: 0, length, declared: true });
        *request.uri_mut() = "/bucket/key".parse().unwrap();
        request
    };

    let up = exchange(address, object("PUT", length)).await;
    let peak_up = process.peak_memory();
    assert_eq!(up.status(), 200);
    let down = exchange(address, object("GET", 0)).await;
    assert_eq!(down.status(), 200);
    let came = measure(down.into_body()).await;
    let peak = process.peak_memory();

    println!("{length} bytes up, at most {peak_up} KiB of memory; and down, at most {peak} KiB");
    assert_eq!(came, length);
    assert!(peak < BOUND, "{peak} KiB");
}

/// What an idle connection may cost, in KiB: with debug assertions its future is larger than in a release.
const IDLE: u64 = 64;

#[tokio::test]
async fn a_crowd_of_idle_clients_costs_little_memory() {
    const CROWD: u64 = 400;
    let (upstream, _task) = upstream().await;
    let (process, address, _folder) = gateway(upstream).await;
    let before = process.peak_memory();

    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut client = Connection::open(address).await;
        client.write("GET /a/../b HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.response().await.status, 400);
        crowd.push(client);
    }
    let each = (process.peak_memory() - before) / CROWD;

    println!("{each} KiB for each of {CROWD} idle connections");
    assert!(each < IDLE, "{each} KiB");
}
