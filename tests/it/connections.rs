//! How many connections there may be, how long they live, and what becomes of one too many.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use portcullis_tests::{
    Connection, Identity, InProcess, Process, Upstream, get, http2, read_request, send,
};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn config(listener: &str, upstream: SocketAddr) -> String {
    format!(
        "workers = 2
         listener = [{{ address = '127.0.0.1:0', {listener} }}]
         admin = {{ address = '127.0.0.1:0', probe_interval = '1h' }}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    )
}

fn limited(listener: &str, upstream: &Upstream) -> InProcess {
    InProcess::start(&config(listener, upstream.address()))
}

fn errors(reason: &str) -> String {
    format!("portcullis_connection_errors_total{{reason=\"{reason}\"}}")
}

/// A connection over which a request has been answered.
async fn served(to: SocketAddr) -> Connection {
    let mut connection = Connection::open(to).await;
    connection.write(REQUEST).await;
    assert_eq!(connection.response().await.body, "ok");
    connection
}

/// Connects until a request is answered.
async fn until_served(to: SocketAddr) {
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    while !send(to, request).await.starts_with(b"HTTP/1.1 200 ") {}
}

#[tokio::test]
async fn a_connection_too_many_is_closed_at_once_and_there_is_room_again() {
    let upstream = Upstream::answering(OK).await;
    let gateway = limited("limits = { connections = 2 }", &upstream);
    let address = gateway.address();
    let (first, mut second) = (served(address).await, served(address).await);

    let refused = send(address, "").await;

    assert_eq!(refused, b"");
    gateway.until_metric(&errors("too_many_connections"), 1.0).await;
    second.write(REQUEST).await;
    assert_eq!(second.response().await.body, "ok");
    drop(first);
    until_served(address).await;
}

#[tokio::test]
async fn a_connection_too_many_costs_no_handshake() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let listener = format!("tls = {{ {} }}, limits = {{ connections = 1 }}", identity.files());
    let gateway = limited(&listener, &upstream);
    // It does not even begin its handshake.
    let _first = TcpStream::connect(gateway.address()).await.unwrap();
    gateway.until_metric("portcullis_connections_open", 1.0).await;

    let mut second = TcpStream::connect(gateway.address()).await.unwrap();
    let end = second.read(&mut [0; 64]).await;

    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    gateway.until_metric(&errors("too_many_connections"), 1.0).await;
}

#[tokio::test]
async fn one_address_cannot_have_them_all() {
    let upstream = Upstream::answering(OK).await;
    let gateway = limited("limits = { connections_per_address = 2 }", &upstream);
    let (_first, _second) = (served(gateway.address()).await, served(gateway.address()).await);

    let refused = send(gateway.address(), "").await;

    assert_eq!(refused, b"");
    gateway.until_metric(&errors("too_many_of_address"), 1.0).await;
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind(([127, 0, 0, 9], 0).into()).unwrap();
    let mut other = Connection::over(other.connect(gateway.address()).await.unwrap());
    other.write(REQUEST).await;
    assert_eq!(other.response().await.body, "ok");
}

#[tokio::test]
async fn a_flood_of_connections_is_one_line_of_the_log() {
    let upstream = Upstream::answering(OK).await;
    let config = config("limits = { connections_per_address = 1 }", upstream.address());
    let (mut process, address, _) = Process::serve(GATEWAY, &config).await;
    let _first = served(address).await;

    for _ in 0..50 {
        assert_eq!(send(address, "").await, b"");
    }
    process.line(|line| line.contains("too_many_of_address")).await;
    process.signal("TERM").await;
    let (_, lines) = process.end().await;

    let refusals = lines.iter().filter(|line| line.contains("too_many_of_address"));
    // A slow machine may take more than the time of one line.
    assert!(refusals.count() <= 5, "{lines:?}");
}

/// How a client of this server begins its handshake.
fn hello(identity: &Identity) -> Vec<u8> {
    let name = ServerName::try_from("gateway.test").unwrap();
    let mut client = ClientConnection::new(Arc::new(identity.client(&[])), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_handshake_too_many_is_not_begun() {
    let identity = Identity::new(&["gateway.test"]);
    let upstream = Upstream::answering(OK).await;
    let listener = format!("tls = {{ {} }}, limits = {{ handshakes = 1 }}", identity.files());
    let gateway = limited(&listener, &upstream);
    // Those that say nothing take up no room; this one says half of what it has to.
    let _silent = TcpStream::connect(gateway.address()).await.unwrap();
    let mut slow = TcpStream::connect(gateway.address()).await.unwrap();
    slow.write_all(&hello(&identity)).await.unwrap();
    assert!(slow.read(&mut [0; 64]).await.unwrap() > 0);

    let mut refused = TcpStream::connect(gateway.address()).await.unwrap();
    refused.write_all(&hello(&identity)).await.unwrap();
    let end = refused.read(&mut [0; 64]).await;

    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    gateway.until_metric(&errors("too_many_handshakes"), 1.0).await;
}

#[tokio::test]
async fn an_old_connection_of_http_1_is_closed_by_a_response_and_by_nothing_else() {
    let upstream = Upstream::answering(OK).await;
    let gateway = limited("limits = { age = '100ms' }", &upstream);
    let mut connection = Connection::open(gateway.address()).await;

    let mut answered = 0;
    loop {
        connection.write(REQUEST).await;
        let response = connection.response().await;
        assert_eq!((response.status, response.body.as_str()), (200, "ok"));
        answered += 1;
        if response.header("connection") == ["close"] {
            break;
        }
    }

    assert!(answered > 1);
    assert_eq!(connection.rest().await, b"");
    gateway.until_metric("portcullis_connections_open", 0.0).await;
}

#[tokio::test]
async fn an_old_connection_of_http_2_says_goodbye_and_loses_nothing() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let upstream = Upstream::serving(move |mut socket, seen| {
        let mut wait = wait.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                if request.line().contains("/slow") {
                    seen.send(request).ok();
                    wait.wait_for(|go| *go).await.unwrap();
                }
                socket.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let gateway = limited("limits = { age = '100ms' }", &upstream);
    let mut client = http2::<Empty<Bytes>>(gateway.address()).await;
    let ask =
        |path: &str| Request::get(format!("http://a{path}")).body(Empty::<Bytes>::new()).unwrap();

    let slow = client.send_request(ask("/slow"));
    while client.ready().await.is_ok() {
        match client.send_request(ask("/")).await {
            Ok(response) => assert_eq!(response.status(), 200),
            // Between its last look and its request it was told to leave.
            Err(error) => assert!(client.is_closed() || error.is_canceled(), "{error:?}"),
        }
    }
    go.send(true).unwrap();

    assert_eq!(slow.await.unwrap().status(), 200);
    gateway.until_metric("portcullis_connections_open", 0.0).await;
}

#[tokio::test]
async fn who_asks_and_cancels_all_the_time_is_cut() {
    let mut upstream = Upstream::serving(|mut socket, seen| async move {
        while let Some(request) = read_request(&mut socket).await {
            seen.send(request).ok();
        }
    })
    .await;
    let gateway = limited("limits = { resets = 5 }", &upstream);
    let mut client = http2::<Empty<Bytes>>(gateway.address()).await;

    for number in 0..6 {
        assert!(client.ready().await.is_ok(), "{number}");
        let ask = Request::get("http://a/").body(Empty::<Bytes>::new()).unwrap();
        let answer = client.send_request(ask);
        tokio::select! {
            answer = answer => panic!("{answer:?}"),
            _ = upstream.seen() => {} // and then it is dropped
        }
    }

    gateway.until_metric(&errors("too_many_resets"), 1.0).await;
    gateway.until_metric("portcullis_connections_open", 0.0).await;
    while client.ready().await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_of_http_2_is_told_how_many_requests_it_may_have_open() {
    let upstream = Upstream::answering(OK).await;
    let gateway = limited("limits = { streams = 7 }", &upstream);
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();

    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    let mut settings = vec![0; usize::from(head[2])];
    socket.read_exact(&mut settings).await.unwrap();

    // SETTINGS, and in it MAX_CONCURRENT_STREAMS (RFC 9113 §6.5).
    assert_eq!(head[3], 4);
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 7]), "{settings:?}");
}

#[tokio::test]
async fn without_descriptors_connections_wait_and_are_served_when_there_are_some_again() {
    let upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, config("", upstream.address())).unwrap();
    let limited = format!("ulimit -n 64 && exec '{GATEWAY}' run --config '{}'", file.display());
    let mut process = Process::start("sh", &["-c", &limited]);
    let address = process.address("\"listening\"").await;
    let admin = process.address("\"admin listening\"").await;
    // This one is there before all others, to scrape with when there is no descriptor left.
    let mut scrape = Connection::open(admin).await;
    scrape.write("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(scrape.response().await.status, 200);
    assert_eq!(get(address, "/").await.body, "ok");

    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(address).await.unwrap()); // the kernel takes them
    }
    process.line(|line| line.contains("cannot accept connections")).await;
    let failed = |metrics: &str| {
        let line = metrics.lines().find(|line| line.starts_with("portcullis_accept_errors_total "));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    let mut metrics = String::new();
    while failed(&metrics) < 3.0 {
        scrape.write("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").await;
        metrics = scrape.response().await.body;
    }
    let mut last = Connection::open(address).await;
    last.write(REQUEST).await;
    drop(crowd);

    assert_eq!(last.response().await.status, 200);
    process.line(|line| line.contains("connections are accepted again")).await;
    process.signal("TERM").await;
    let (status, lines) = process.end().await;
    assert!(status.success());
    // Each of the two workers says it once for each time, and not for each failure.
    let said = lines.iter().filter(|line| line.contains("cannot accept connections")).count();
    let again = lines.iter().filter(|line| line.contains("accepted again")).count();
    assert!(said <= again + 2, "{said} times, and {again} times over");
}
