//! How long and how large something may be: each limit on its own.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use portcullis_tests::{
    Connection, ISSUER, Identity, InProcess, Response, Upstream, exchange, get, read_request, send,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What is limited, where the defaults are too long to wait for.
#[derive(Default)]
struct Limits<'a> {
    listener: &'a str,
    upstream: &'a str,
    route: &'a str,
    guard: &'a str,
}

impl Limits<'_> {
    fn to(&self, upstream: SocketAddr) -> InProcess {
        let Self { listener, upstream: timeouts, route, guard } = self;
        InProcess::start(&format!(
            "workers = 1
             listener = [{{ address = '127.0.0.1:0', {listener} }}]
             admin = {{ address = '127.0.0.1:0' }}
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}], timeouts = {{ {timeouts} }} }}
             route = [{{ path = '/', upstream = 'a', {route} }}]
             request_guard = {{ {guard} }}
             {ISSUER}"
        ))
    }
}

fn errors(reason: &str) -> String {
    format!("portcullis_connection_errors_total{{reason=\"{reason}\"}}")
}

fn refusals(reason: &str) -> String {
    format!("portcullis_refusals_total{{route=\"/\",reason=\"{reason}\"}}")
}

fn failures(phase: &str) -> String {
    let labels = format!("upstream=\"a\",replica=\"a\",phase=\"{phase}\"");
    format!("portcullis_upstream_failures_total{{{labels}}}")
}

async fn scrape(gateway: &InProcess) -> String {
    get(gateway.admin(), "/metrics").await.body
}

fn reason(response: &Response) -> String {
    let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

/// Reads requests, and never answers them.
async fn silent() -> Upstream {
    Upstream::serving(|mut socket, seen| async move {
        while let Some(request) = read_request(&mut socket).await {
            seen.send(request).ok();
        }
    })
    .await
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let mut upstream = Upstream::answering(OK).await;
    let limits =
        Limits { listener: "timeouts = { request_header = '100ms' }", ..Limits::default() };
    let gateway = limits.to(upstream.address());

    let answer = send(gateway.address(), "GET / HTTP/1.1\r\nhost: a\r\nx-").await;

    assert_eq!(answer, b"");
    gateway.until_metric(&errors("request_header_timeout"), 1.0).await;
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_request_body_that_stops_coming_is_the_clients_fault() {
    let upstream = silent().await;
    let limits = Limits { listener: "timeouts = { request_body = '100ms' }", ..Limits::default() };
    let gateway = limits.to(upstream.address());

    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";
    let response = exchange(gateway.address(), request).await;

    assert_eq!((response.status, reason(&response).as_str()), (408, "client_body_timeout"));
    assert_eq!(gateway.metric(&failures("send")).await, 0.0);
    assert_eq!(gateway.metric(&failures("headers")).await, 0.0);
}

#[tokio::test]
async fn an_upstream_that_does_not_take_connections_is_not_waited_for() {
    // Linux takes one connection more than the backlog has room for, and then leaves the next unanswered.
    let full = TcpSocket::new_v4().unwrap();
    full.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = full.listen(0).unwrap();
    let _waits = TcpStream::connect(full.local_addr().unwrap()).await.unwrap();
    let limits = Limits { upstream: "connect = '100ms'", ..Limits::default() };
    let gateway = limits.to(full.local_addr().unwrap());

    let response = get(gateway.address(), "/").await;

    assert_eq!((response.status, reason(&response).as_str()), (504, "upstream_connect_timeout"));
    assert_eq!(gateway.metric(&failures("connect")).await, 1.0);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_not_waited_for() {
    let upstream = silent().await;
    let limits = Limits { upstream: "response_header = '100ms'", ..Limits::default() };
    let gateway = limits.to(upstream.address());

    let response = get(gateway.address(), "/").await;

    assert_eq!((response.status, reason(&response).as_str()), (504, "upstream_headers_timeout"));
    assert_eq!(gateway.metric(&failures("headers")).await, 1.0);
}

#[tokio::test]
async fn the_upstreams_time_does_not_run_while_the_client_uploads() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        while let Some(request) = read_request(&mut socket).await {
            if request.line().starts_with("POST") {
                socket.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let limits = Limits { upstream: "response_header = '200ms'", ..Limits::default() };
    let gateway = limits.to(upstream.address());
    let mut client = Connection::open(gateway.address()).await;

    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\na").await;
    for _ in 0..2 {
        // Another request meets the limit in the meantime, from its start to its end.
        assert_eq!(get(gateway.address(), "/").await.status, 504);
    }
    client.write("b").await;
    let response = client.response().await;

    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
}

/// Answers with the beginning of a body, and keeps the rest to itself.
async fn halting() -> Upstream {
    Upstream::serving(|mut socket, _| async move {
        if read_request(&mut socket).await.is_some() {
            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
            socket.write_all(half).await.unwrap();
            socket.read_u8().await.ok();
        }
    })
    .await
}

#[tokio::test]
async fn a_response_body_that_stops_coming_is_cut_where_it_stopped() {
    let upstream = halting().await;
    let limits = Limits { upstream: "response_body = '100ms'", ..Limits::default() };
    let gateway = limits.to(upstream.address());
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let cut = Response::parse(&client.rest().await);

    assert_eq!((cut.header("content-length"), cut.body.as_str()), (vec!["9"], "half"));
    gateway.until_metric(&refusals("upstream_body_timeout"), 1.0).await;
}

#[tokio::test]
async fn an_idle_connection_closes_quietly() {
    let upstream = Upstream::answering(OK).await;
    let timeouts = "timeouts = { first_byte = '100ms', keep_alive = '100ms' }";
    let limits = Limits { listener: timeouts, ..Limits::default() };
    let gateway = limits.to(upstream.address());
    let mut unused = Connection::open(gateway.address()).await;
    let mut used = Connection::open(gateway.address()).await;

    used.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    used.response().await;
    let (used, unused) = (used.rest().await, unused.rest().await);

    assert_eq!((used.as_slice(), unused.as_slice()), (&b""[..], &b""[..]));
    gateway.until_metric("portcullis_connections_open", 0.0).await;
    assert!(!scrape(&gateway).await.contains("portcullis_connection_errors_total{"));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_not_kept_as_long_as_one_that_did() {
    let upstream = Upstream::answering(OK).await;
    let limits = Limits { listener: "timeouts = { first_byte = '100ms' }", ..Limits::default() };
    let gateway = limits.to(upstream.address());
    let mut used = Connection::open(gateway.address()).await;
    used.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    used.response().await;

    let answer = Connection::open(gateway.address()).await.rest().await;

    assert_eq!(answer, b"");
    used.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(used.response().await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_of_http_2_may_ping_for_as_long_as_any_may_be_idle() {
    let upstream = Upstream::answering(OK).await;
    let limits = Limits {
        listener: "timeouts = { request_header = '50ms', keep_alive = '600ms' }",
        ..Limits::default()
    };
    let gateway = limits.to(upstream.address());
    let socket = TokioIo::new(TcpStream::connect(gateway.address()).await.unwrap());
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    client.timer(TokioTimer::new()).keep_alive_interval(Duration::from_millis(10));
    client.keep_alive_while_idle(true);

    let (mut client, connection) = client.handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://a/").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 200);
    let idle = Instant::now();
    let ended = connection.await.unwrap();

    assert!(ended.is_ok(), "{ended:?}");
    assert!(idle.elapsed() > Duration::from_millis(300), "{:?}", idle.elapsed());
    gateway.until_metric("portcullis_connections_open", 0.0).await;
    assert!(!scrape(&gateway).await.contains("portcullis_connection_errors_total{"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_and_no_other() {
    let mut upstream = Upstream::serving(|mut socket, seen| async move {
        while let Some(request) = read_request(&mut socket).await {
            if request.line().contains("/small") {
                socket.write_all(OK.as_bytes()).await.unwrap();
                continue;
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while socket.write_all(&[b'x'; 64 << 10]).await.is_ok() {}
            seen.send(request).ok();
        }
    })
    .await;
    let limits = Limits { listener: "timeouts = { send = '200ms' }", ..Limits::default() };
    let gateway = limits.to(upstream.address());
    let mut takes_nothing = Connection::open(gateway.address()).await;
    let mut other = Connection::open(gateway.address()).await;

    takes_nothing.write("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    while gateway.metric(&errors("send_timeout")).await < 1.0 {
        other.write("GET /small HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(other.response().await.body, "ok");
    }

    assert_eq!(upstream.seen().await.line(), "GET /endless HTTP/1.1"); // it was rid of its client, too
    assert_eq!(gateway.metric(&errors("send_timeout")).await, 1.0);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let identity = Identity::new(&["localhost"]);
    let upstream = Upstream::answering(OK).await;
    let tls = format!(
        "tls = {{ certificate = '{}', key = '{}' }}, timeouts = {{ tls_handshake = '100ms' }}",
        identity.certificate().display(),
        identity.key().display()
    );
    let limits = Limits { listener: &tls, ..Limits::default() };
    let gateway = limits.to(upstream.address());

    let answer = send(gateway.address(), "").await;

    assert_eq!(answer, b"");
    gateway.until_metric(&errors("tls_handshake_timeout"), 1.0).await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_in_all_is_ended_wherever_it_is() {
    let (silent, halting) = (silent().await, halting().await);
    let limits = Limits { route: "timeout = '100ms'", ..Limits::default() };
    let (unanswered, half) = (limits.to(silent.address()), limits.to(halting.address()));
    let upload = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";
    let mut client = Connection::open(half.address()).await;

    let answers =
        [get(unanswered.address(), "/").await, exchange(unanswered.address(), upload).await];
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let cut = Response::parse(&client.rest().await);

    for answer in answers {
        assert_eq!((answer.status, reason(&answer).as_str()), (504, "request_timeout"));
    }
    assert_eq!((cut.header("content-length"), cut.body.as_str()), (vec!["9"], "half"));
    half.until_metric(&refusals("request_timeout"), 1.0).await;
}

#[tokio::test]
async fn a_stream_that_moves_outlives_every_limit() {
    const LIMIT: Duration = Duration::from_millis(700);
    let echo = Upstream::serving(|mut socket, _| async move {
        let mut last = [0; 4];
        while last != *b"\r\n\r\n" {
            let Ok(next) = socket.read_u8().await else { return };
            last.rotate_left(1);
            last[3] = next;
        }
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let (mut from, mut to) = socket.split();
        tokio::io::copy(&mut from, &mut to).await.ok();
    })
    .await;
    let all = ["request_header", "request_body", "send", "keep_alive"];
    let all = all.map(|name| format!("{name} = '700ms'")).join(", ");
    let upstream = ["connect", "response_header", "response_body"];
    let upstream = upstream.map(|name| format!("{name} = '700ms'")).join(", ");
    let listener = format!("timeouts = {{ {all} }}");
    let limits = Limits { listener: &listener, upstream: &upstream, ..Limits::default() };
    let gateway = limits.to(echo.address());
    let mut client = Connection::open(gateway.address()).await;

    client.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let head = client.head().await;
    let start = Instant::now();
    while start.elapsed() < 2 * LIMIT {
        client.write("1\r\nx\r\n").await;
        assert_eq!(client.take(6).await, b"1\r\nx\r\n");
    }
    client.write("0\r\n\r\n").await;

    assert_eq!(head.status, 200);
    assert_eq!(client.take(5).await, b"0\r\n\r\n");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_the_upstream() {
    let mut upstream = Upstream::answering(OK).await;
    let guard = "max_uri = 20, max_header_block = 2000, max_header_count = 10, max_body = 5";
    let gateway = Limits { guard, ..Limits::default() }.to(upstream.address());

    for (status, expected, request) in [
        (414, "uri_too_long", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20))),
        (
            431,
            "header_block_too_large",
            format!("GET / HTTP/1.1\r\nx-a: {}\r\n\r\n", "a".repeat(2000)),
        ),
        (431, "too_many_headers", format!("GET / HTTP/1.1\r\n{}\r\n", "x-a: a\r\n".repeat(10))),
        (413, "body_too_large", "POST / HTTP/1.1\r\ncontent-length: 6\r\n\r\nabcdef".to_owned()),
        (
            413, // without a 100 before it
            "body_too_large",
            "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 6\r\n\r\n".to_owned(),
        ),
    ] {
        let common = "HTTP/1.1\r\nhost: a\r\nconnection: close";
        let request = request.replacen("HTTP/1.1", common, 1);
        let response = exchange(gateway.address(), request).await;

        assert_eq!((response.status, reason(&response).as_str()), (status, expected));
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn what_is_just_not_too_large_passes() {
    let mut upstream = Upstream::answering(OK).await;
    let guard = "max_uri = 20, max_header_count = 4, max_body = 5";
    let gateway = Limits { guard, ..Limits::default() }.to(upstream.address());

    let head = format!("POST /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n", "a".repeat(19));
    let by_length = format!("{head}content-length: 5\r\n\r\nabcde");
    let by_chunks = format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n");

    assert_eq!(exchange(gateway.address(), by_length).await.status, 200);
    assert_eq!(exchange(gateway.address(), by_chunks).await.status, 200);
    assert_eq!(upstream.seen().await.body, b"abcde");
}

#[tokio::test]
async fn chunks_are_counted_and_the_413_wins_over_what_the_upstream_makes_of_half_a_body() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        if read_request(&mut socket).await.is_none() {
            // It only sees the request break off, and has words for that.
            let words = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(words).await.ok();
        }
    })
    .await;
    let gateway = Limits { guard: "max_body = 5", ..Limits::default() }.to(upstream.address());
    let mut client = Connection::open(gateway.address()).await;

    client.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.write("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n").await;
    let response = client.response().await;

    assert_eq!((response.status, reason(&response).as_str()), (413, "body_too_large"));
    for phase in ["send", "headers", "body"] {
        assert_eq!(gateway.metric(&failures(phase)).await, 0.0, "{phase}");
    }
}

#[tokio::test]
async fn a_client_that_is_still_uploading_can_read_why_it_was_refused() {
    let mut upstream = Upstream::answering(OK).await;
    let too_large = Limits { guard: "max_body = '1MiB'", ..Limits::default() };
    let unauthorized = Limits { route: "jwt_auth = { issuers = ['test'] }", ..Limits::default() };
    let body = vec![b'x'; 16 << 20]; // more than the sockets on the way can hold

    for (limits, status) in [(too_large, 413), (unauthorized, 401)] {
        let gateway = limits.to(upstream.address());
        let mut client = Connection::open(gateway.address()).await;
        let length = body.len();
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        client.write(head).await;
        client.write(&body).await;
        let response = client.response().await;

        assert_eq!(response.status, status);
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_probe_that_says_nothing_is_no_error() {
    let upstream = Upstream::answering(OK).await;
    let gateway = Limits::default().to(upstream.address());

    drop(Connection::open(gateway.address()).await);
    gateway.until_metric("portcullis_connections_total", 1.0).await;
    gateway.until_metric("portcullis_connections_open", 0.0).await;

    assert!(!scrape(&gateway).await.contains("portcullis_connection_errors_total{"));
}

#[tokio::test]
async fn connections_that_end_badly_are_counted_by_the_reason() {
    let upstream = silent().await;
    let gateway = Limits::default().to(upstream.address());

    let not_http = send(gateway.address(), "EHLO there\r\n\r\n").await;
    let huge = format!("GET / HTTP/1.1\r\nhost: a\r\nx-a: {}", "a".repeat(1 << 20));
    let too_large = Response::parse(&send(gateway.address(), huge).await);
    let mut leaves = Connection::open(gateway.address()).await;
    leaves.write("GET / HTTP/1.1\r\nhost: a\r\nx-").await;
    drop(leaves);

    assert!(not_http.starts_with(b"HTTP/1.1 400 "));
    assert_eq!(too_large.status, 431);
    for reason in ["not_http", "head_too_large", "incomplete_request"] {
        gateway.until_metric(&errors(reason), 1.0).await;
    }
}
