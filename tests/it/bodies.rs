//! Bodies that are larger than any buffer arrive to the byte, whichever way they take through the gateway.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use portcullis_tests::{
    Connection, InProcess, Upstream, gateway, get, http2, pattern, piece, read_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::decompression::DecompressionLayer;

const MIB: u64 = 1 << 20;

/// The bytes of a body, which are others at each place.
pub(crate) fn body(length: u64) -> Vec<u8> {
    let pattern = pattern();
    let mut body = Vec::new();
    let mut at = 0;
    while at < length {
        let next = piece(&pattern, at, length - at);
        body.extend_from_slice(next);
        at += u64::try_from(next.len()).unwrap();
    }
    body
}

fn to(upstream: SocketAddr) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    ))
}

/// Answers `/<length>` with a body of that length, `/chunked/<length>` with one in chunks, and of `/<length>/<sent>` sends
/// that much only and closes. Tells of each connection that the other side has closed.
async fn upstream() -> (Upstream, mpsc::UnboundedReceiver<()>) {
    let (closed, closings) = mpsc::unbounded_channel();
    let upstream = Upstream::serving(move |mut socket, _| {
        let closed = closed.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                if answer(&mut socket, request.line()).await.is_none() {
                    break;
                }
            }
            closed.send(()).ok();
        }
    })
    .await;
    (upstream, closings)
}

/// None when the connection is of no more use.
async fn answer(socket: &mut TcpStream, line: &str) -> Option<()> {
    let path: Vec<&str> = line.split(' ').nth(1)?.trim_start_matches('/').split('/').collect();
    match *path {
        ["chunked", length] => {
            socket
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await
                .ok()?;
            for chunk in body(length.parse().ok()?).chunks(70_001) {
                socket.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.ok()?;
                socket.write_all(chunk).await.ok()?;
                socket.write_all(b"\r\n").await.ok()?;
            }
            socket.write_all(b"0\r\n\r\n").await.ok()
        }
        [length, ref sent @ ..] => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n"
            );
            socket.write_all(head.as_bytes()).await.ok()?;
            let sent: Option<u64> = sent.first().map(|sent| sent.parse().unwrap());
            socket.write_all(&body(sent.unwrap_or_else(|| length.parse().unwrap()))).await.ok()?;
            sent.is_none().then_some(())
        }
        [] => None,
    }
}

fn request(length: impl std::fmt::Display) -> String {
    format!("GET /{length} HTTP/1.1\r\nhost: a\r\n\r\n")
}

/// Reads a body of this length, and compares it.
async fn takes(client: &mut Connection, length: u64) {
    let head = client.head().await;
    assert_eq!(head.header("content-length"), [length.to_string()]);
    let came = client.take(usize::try_from(length).unwrap()).await;
    assert!(came == body(length), "{length}: other bytes");
}

#[tokio::test]
async fn large_and_small_bodies_follow_each_other_over_one_connection() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());
    let mut client = Connection::open(gateway.address()).await;
    let lengths = [5 * MIB, 13, 65_536, 0, MIB, 16_383, 16_384, 3 * MIB + 1, 32_768, 1];

    for length in lengths {
        client.write(request(length)).await;
        takes(&mut client, length).await;
    }
    // Asked for all at once.
    client.write(lengths.map(request).concat()).await;
    for length in lengths {
        takes(&mut client, length).await;
    }

    let series = "portcullis_upstream_connections_total{upstream=\"a\",replica=\"a\"}";
    assert_eq!(gateway.metric(series).await, 1.0);
}

#[tokio::test]
async fn a_client_that_takes_little_at_a_time_gets_all_of_it() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(gateway.address()).await.unwrap();

    client.write_all(request(3 * MIB).as_bytes()).await.unwrap();
    client.write_all(b"GET /13 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let (mut came, mut buffer) = (Vec::new(), [0; 3000]);
    loop {
        match client.read(&mut buffer).await.unwrap() {
            0 => break,
            read => came.extend_from_slice(&buffer[..read]),
        }
    }

    let end = came.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let (large, small) = came[end..].split_at(usize::try_from(3 * MIB).unwrap());
    assert!(large == body(3 * MIB), "other bytes");
    assert!(small.starts_with(b"HTTP/1.1 200 OK\r\n") && small.ends_with(&body(13)));
}

#[tokio::test]
async fn many_clients_at_once_get_each_its_own() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let address = gateway.address();
            tokio::spawn(async move {
                let mut client = Connection::open(address).await;
                for turn in 0..4 {
                    let length = 100_000 * (1 + (number + turn) % 7);
                    client.write(request(length)).await;
                    takes(&mut client, length).await;
                }
            })
        })
        .collect();

    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_large_body_that_breaks_off_breaks_off_and_what_came_is_right() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());

    for sent in [0, 1, 20_000, 300_000, 2 * MIB] {
        let mut client = Connection::open(gateway.address()).await;
        client.write(request(format!("{}/{sent}", 4 * MIB))).await;
        client.head().await;
        let came = client.rest().await;

        assert!(came.len() <= usize::try_from(sent).unwrap(), "{} of {sent}", came.len());
        assert!(body(sent).starts_with(&came), "other bytes");
        // Nothing of it is left for another.
        let mut next = Connection::open(gateway.address()).await;
        next.write(request(100_000)).await;
        takes(&mut next, 100_000).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_a_large_body_takes_nothing_with_it() {
    let (upstream, mut closings) = upstream().await;
    let gateway = to(upstream.address());

    for taken in [0, 1000, 600_000] {
        let mut client = Connection::open(gateway.address()).await;
        client.write(request(64 * MIB)).await;
        client.head().await;
        client.take(taken).await;
        drop(client);
        closings.recv().await.unwrap();

        let mut next = Connection::open(gateway.address()).await;
        for length in [200_000, 13, 2 * MIB] {
            next.write(request(length)).await;
            takes(&mut next, length).await;
        }
    }
}

#[tokio::test]
async fn chunks_and_frames_carry_the_same_bytes() {
    let (upstream, _) = upstream().await;
    let gateway = to(upstream.address());

    let mut http2 = http2(gateway.address()).await;
    for path in ["/3000000", "/chunked/3000000"] {
        let uri = format!("http://gateway.test{path}");
        let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
        let response = http2.send_request(request).await.unwrap();
        let came = response.into_body().collect().await.unwrap().to_bytes();

        assert!(came == body(3_000_000), "{path}: other bytes");
    }
    let mut client = Connection::open(gateway.address()).await;
    client.write("GET /chunked/3000000 HTTP/1.0\r\n\r\n").await;
    client.head().await;
    assert!(client.rest().await == body(3_000_000), "other bytes");
}

/// Who compresses a body has to have it.
#[tokio::test]
async fn a_large_body_that_is_compressed_on_its_way_is_the_same() {
    let (upstream, _) = upstream().await;
    let gateway = gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a', compression = {{}} }}]",
        upstream.address()
    ));
    let socket = TcpStream::connect(gateway.address()).await.unwrap();
    let (mut client, connection) = handshake(TokioIo::new(socket)).await.unwrap();
    let connection = tokio::spawn(connection);

    let request = Request::get("/3000000").header("host", "a").header("accept-encoding", "gzip");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let mut once = Some(response);
    let service =
        service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(once.take().unwrap())));
    let decoded = DecompressionLayer::new().layer(service).oneshot(Request::new(())).await.unwrap();
    let came = decoded.into_body().collect().await.unwrap().to_bytes();

    assert!(came == body(3_000_000), "other bytes");
    connection.abort();
}

#[tokio::test]
async fn an_upload_arrives_as_it_was_sent_whatever_its_framing() {
    let mut upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let gateway = to(upstream.address());
    let sent = body(3 * MIB);
    let mut client = Connection::open(gateway.address()).await;

    client
        .write(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", sent.len()))
        .await;
    client.write(&sent).await;
    assert_eq!(client.response().await.body, "ok");
    let measured = upstream.seen().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    // What reads it does so byte by byte.
    let sent_in_chunks = body(200_000);
    for chunk in sent_in_chunks.chunks(50_000) {
        client.write([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await;
    }
    client.write("0\r\n\r\n").await;
    assert_eq!(client.response().await.body, "ok");
    let chunked = upstream.seen().await;

    assert_eq!(measured.header("content-length"), [sent.len().to_string()]);
    assert!(measured.body == sent, "other bytes");
    assert_eq!(chunked.header("transfer-encoding"), ["chunked"]);
    let mut rest = chunked.body.as_slice();
    let mut came = Vec::new();
    while let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        let size = usize::from_str_radix(str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        came.extend_from_slice(&rest[end + 2..][..size]);
        rest = &rest[end + 2 + size + 2..];
    }
    assert!(came == sent_in_chunks, "other bytes");
    assert_eq!(get(gateway.address(), "/").await.body, "ok");
}
