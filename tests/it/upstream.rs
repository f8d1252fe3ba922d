//! How requests become connections to the upstream, and what becomes of those.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_tests::{
    Connection, InProcess, Recorded, Response, Upstream, exchange, gateway, get, read_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, mpsc};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// One upstream with this URL, and what its section says besides.
fn config(url: &str, section: &str) -> String {
    format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = '{url}' }}], {section} }}
         route = [{{ path = '/', upstream = 'a' }}]"
    )
}

fn to(address: SocketAddr, section: &str) -> InProcess {
    gateway(&config(&format!("http://{address}"), section))
}

/// The connections to the replica that carried requests: probes are not among them.
async fn connections(gateway: &InProcess) -> f64 {
    let series = "portcullis_upstream_connections_total{upstream=\"a\",replica=\"a\"}";
    gateway.metric(series).await
}

async fn failures(gateway: &InProcess, phase: &str) -> f64 {
    let labels = format!("upstream=\"a\",replica=\"a\",phase=\"{phase}\"");
    gateway.metric(&format!("portcullis_upstream_failures_total{{{labels}}}")).await
}

fn reason(response: &Response) -> String {
    let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

/// Where nobody listens.
async fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Reads the head of a request that may have a body.
async fn read_head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// An upstream, and what it tells of each connection that carried a request and was closed by the other
/// side.
async fn watched<F>(
    serve: impl Fn(TcpStream, mpsc::UnboundedSender<Recorded>) -> F + Clone + Send + 'static,
) -> (Upstream, mpsc::UnboundedReceiver<()>)
where
    F: Future<Output = TcpStream> + Send + 'static,
{
    let (closed, closings) = mpsc::unbounded_channel();
    let upstream = Upstream::serving(move |socket, seen| {
        let (serve, closed) = (serve.clone(), closed.clone());
        async move {
            let mut probe = [0];
            // A probe closes without a byte.
            if !matches!(socket.peek(&mut probe).await, Ok(1)) {
                return;
            }
            let mut socket = serve(socket, seen).await;
            while let Ok(1..) = socket.read(&mut [0; 1024]).await {}
            closed.send(()).ok();
        }
    })
    .await;
    (upstream, closings)
}

#[tokio::test]
async fn an_idle_connection_is_used_again_by_another_client() {
    let upstream = Upstream::answering(OK).await;
    let gateway = to(upstream.address(), "");

    for _ in 0..3 {
        assert_eq!(get(gateway.address(), "/").await.status, 200);
    }

    assert_eq!(connections(&gateway).await, 1.0);
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let upstream = Upstream::answering(OK).await;
    let gateway = to(upstream.address(), "pool = { idle_timeout = '1ms' }");

    let mut requests = 0;
    while connections(&gateway).await < 3.0 {
        assert_eq!(get(gateway.address(), "/").await.status, 200);
        requests += 1;
        assert!(requests < 1000, "all over one connection");
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_than_may_be_idle() {
    let both = Arc::new(Barrier::new(2));
    let (upstream, mut closings) = watched(move |mut socket, _| {
        let both = both.clone();
        async move {
            read_request(&mut socket).await.unwrap();
            both.wait().await;
            socket.write_all(OK.as_bytes()).await.unwrap();
            socket
        }
    })
    .await;
    let gateway = to(upstream.address(), "pool = { max_idle = 1 }");

    let (first, second) = tokio::join!(get(gateway.address(), "/"), get(gateway.address(), "/"));
    closings.recv().await.unwrap();

    assert_eq!((first.status, second.status), (200, 200));
    assert!(closings.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_that_the_upstream_closes_is_not_kept() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let upstream = Upstream::answering(answer).await;
    let gateway = to(upstream.address(), "");

    for _ in 0..3 {
        assert_eq!(get(gateway.address(), "/").await.status, 200);
    }

    assert_eq!(connections(&gateway).await, 3.0);
}

#[tokio::test]
async fn an_upstream_that_closes_idle_connections_never_costs_a_get() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        if read_request(&mut socket).await.is_some() {
            socket.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let gateway = to(upstream.address(), "");

    for _ in 0..100 {
        let response = get(gateway.address(), "/").await;
        assert_eq!(response.status, 200, "{}", response.body);
    }

    assert_eq!(connections(&gateway).await, 100.0);
}

/// Answers the first request of a connection. At the second it closes the connection as `close` has it,
/// be it that it never saw the request.
async fn dying<F>(close: impl Fn(TcpStream) -> F + Clone + Send + Sync + 'static) -> Upstream
where
    F: Future<Output = ()> + Send + 'static,
{
    Upstream::serving(move |mut socket, seen| {
        let close = close.clone();
        async move {
            let Some(request) = read_request(&mut socket).await else { return };
            seen.send(request).ok();
            socket.write_all(OK.as_bytes()).await.unwrap();
            if socket.peek(&mut [0]).await.is_ok() {
                close(socket).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_get_survives_a_connection_that_ends_just_as_it_comes() {
    let read_and_closed = dying(|mut socket| async move {
        read_request(&mut socket).await;
    })
    .await;
    // What was not read makes the system reset the connection instead of ending it.
    let reset = dying(|socket| async move { drop(socket) }).await;

    for upstream in [read_and_closed, reset] {
        let gateway = to(upstream.address(), "");
        for _ in 0..20 {
            let response = get(gateway.address(), "/").await;
            assert_eq!(response.status, 200, "{}", response.body);
        }
        assert_eq!(failures(&gateway, "headers").await, 0.0);
    }
}

#[tokio::test]
async fn a_post_that_may_have_run_is_not_sent_again() {
    let mut upstream = dying(|mut socket| async move {
        read_request(&mut socket).await;
    })
    .await;
    let gateway = to(upstream.address(), "");
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab";

    assert_eq!(exchange(gateway.address(), post).await.status, 200);
    let response = exchange(gateway.address(), post).await;

    assert_eq!((response.status, reason(&response).as_str()), (502, "upstream_headers"));
    assert_eq!(connections(&gateway).await, 1.0);
    assert_eq!(upstream.seen().await.body, b"ab");
    assert!(upstream.saw_nothing());
    assert_eq!(failures(&gateway, "headers").await, 1.0);
}

#[tokio::test]
async fn a_put_with_a_body_is_not_sent_again_without_it() {
    let upstream = dying(|mut socket| async move {
        read_request(&mut socket).await;
    })
    .await;
    let gateway = to(upstream.address(), "");
    let put = "PUT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab";

    assert_eq!(exchange(gateway.address(), put).await.status, 200);
    let response = exchange(gateway.address(), put).await;

    assert_eq!(response.status, 502);
    assert_eq!(connections(&gateway).await, 1.0);
}

/// Answers with the head of a response and its first bytes.
async fn half_answered(mut socket: TcpStream, _: mpsc::UnboundedSender<Recorded>) -> TcpStream {
    read_request(&mut socket).await.unwrap();
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    socket.write_all(half).await.unwrap();
    socket
}

#[tokio::test]
async fn a_response_that_breaks_off_ends_its_connection() {
    let (upstream, mut closings) = watched(half_answered).await;
    let gateway = to(upstream.address(), "timeouts = { response_body = '100ms' }");

    let response = get(gateway.address(), "/").await;

    assert_eq!(response.body, "half");
    closings.recv().await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_response_ends_the_upstreams_connection() {
    let (upstream, mut closings) = watched(half_answered).await;
    let gateway = to(upstream.address(), "");
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.head().await;
    drop(client);

    closings.recv().await.unwrap();
    let series = "portcullis_refusals_total{route=\"/\",reason=\"client_closed\"}";
    gateway.until_metric(series, 1.0).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_ends_the_upstreams_connection() {
    let (mut upstream, mut closings) = watched(|mut socket, seen| async move {
        seen.send(read_request(&mut socket).await.unwrap()).ok();
        socket
    })
    .await;
    let gateway = to(upstream.address(), "");
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    upstream.seen().await;
    drop(client);

    closings.recv().await.unwrap();
    let labels = "route=\"/\",method=\"GET\",status=\"499\"";
    gateway.until_metric(&format!("portcullis_requests_total{{{labels}}}"), 1.0).await;
    assert_eq!(failures(&gateway, "headers").await, 0.0);
}

#[tokio::test]
async fn a_response_may_come_before_the_request_has_gone() {
    let (upstream, mut closings) = watched(|mut socket, _| async move {
        read_head(&mut socket).await.unwrap();
        let early = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\nearly";
        socket.write_all(early).await.unwrap();
        socket
    })
    .await;
    let gateway = to(upstream.address(), "");
    let mut client = Connection::open(gateway.address()).await;

    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nha").await;
    let response = client.response().await;
    closings.recv().await.unwrap(); // a connection with half a request is of no use
    client.write("lf").await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nha").await;
    let next = client.response().await;

    assert_eq!((response.status, response.body.as_str()), (403, "early"));
    assert_eq!((next.status, next.body.as_str()), (403, "early"));
}

#[tokio::test]
async fn every_listener_leads_to_the_same_routes() {
    let mut upstream = Upstream::answering(OK).await;
    let url = format!("http://{}", upstream.address());
    let gateway = InProcess::start(&format!(
        "workers = 2
         listener = [{{ address = '127.0.0.1:0' }}, {{ address = '127.0.0.1:0' }}]
         {}",
        config(&url, "")
    ));

    let addresses = gateway.inner().addresses();
    for &address in addresses {
        assert_eq!(get(address, "/a").await.body, "ok");
        assert_eq!(upstream.seen().await.line(), "GET /a HTTP/1.1");
    }

    assert_eq!(addresses.len(), 2);
    assert_ne!(addresses.first(), addresses.last());
}

#[tokio::test]
async fn the_path_of_a_replica_stands_before_that_of_the_request() {
    let mut upstream = Upstream::answering(OK).await;
    let url = format!("http://{}/base%20/", upstream.address());
    let gateway = gateway(&config(&url, ""));

    for (asked, sent) in [
        ("/a%2Fb//c?d", "/base%20/a%2Fb//c?d"),
        ("/", "/base%20"),
        ("/?list", "/base%20?list"),
        ("/a?", "/base%20/a?"),
    ] {
        assert_eq!(get(gateway.address(), asked).await.status, 200);
        assert_eq!(upstream.seen().await.line(), format!("GET {sent} HTTP/1.1"));
    }
}

#[tokio::test]
async fn a_replica_may_have_a_name() {
    let mut upstream = Upstream::answering(OK).await;
    let port = upstream.address().port();
    let gateway = gateway(&config(&format!("http://localhost:{port}"), ""));

    assert_eq!(get(gateway.address(), "/").await.status, 200);
    assert_eq!(upstream.seen().await.header("host"), [format!("localhost:{port}")]);
}

#[tokio::test]
async fn a_replica_may_have_an_address_of_ip_version_6() {
    let listener = TcpListener::bind("[::1]:0").await.expect("a loopback of IPv6");
    let address = listener.local_addr().unwrap();
    let (hosts, mut seen) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            if let Some(request) = read_request(&mut socket).await {
                hosts.send(request).unwrap();
                socket.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    });
    let gateway = to(address, "");

    let response = get(gateway.address(), "/").await;

    assert_eq!(response.body, "ok");
    assert_eq!(seen.recv().await.unwrap().header("host"), [address.to_string()]);
    server.abort();
}

#[tokio::test]
async fn a_failure_is_counted_by_how_far_the_request_came() {
    let garbled = Upstream::answering("SSH-2.0-OpenSSH_9.6\r\n").await;
    let closing = Upstream::serving(|mut socket, _| async move {
        read_request(&mut socket).await;
    })
    .await;
    let plain = Upstream::serving(|mut socket, _| async move {
        socket.write_all(b"220 no TLS here\r\n").await.ok();
        socket.read_u8().await.ok();
    })
    .await;
    let http = |address: SocketAddr| format!("http://{address}");

    for (url, phase) in [
        ("http://name.invalid".to_owned(), "resolve"),
        (http(nowhere().await), "connect"),
        (format!("https://{}", plain.address()), "handshake"),
        (http(garbled.address()), "headers"),
        (http(closing.address()), "headers"),
    ] {
        let gateway = gateway(&config(&url, ""));
        let response = get(gateway.address(), "/").await;

        assert_eq!((response.status, reason(&response)), (502, format!("upstream_{phase}")));
        for other in ["resolve", "connect", "handshake", "send", "headers", "body"] {
            let expected = if other == phase { 1.0 } else { 0.0 };
            assert_eq!(failures(&gateway, other).await, expected, "{url}: {other}");
        }
    }
}
