//! What a connection is upgraded to: a `WebSocket`, or whatever else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use portcullis_tests::{
    Connection, ISSUER, Identity, InProcess, Nowhere, Response, Upstream, echoing, gateway, get,
    http2, in_an_hour, plan, read_request, token, upgrade,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

const KEY: &str = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// One upstream, what its section says besides, and a route `all` that lets this through.
fn config(upstream: SocketAddr, section: &str, upgrade: &str) -> String {
    format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}], {section} }}
         route = [{{ path = '/', name = 'all', upstream = 'a', upgrade = {upgrade} }}]"
    )
}

fn to(upstream: &Upstream, upgrade: &str) -> InProcess {
    gateway(&config(upstream.address(), "", upgrade))
}

const WEBSOCKET: &str = "'websocket'";

/// Asks for an upgrade over a new connection; the connection, and what was answered.
async fn ask(gateway: &InProcess, request: &str) -> (Connection, Response) {
    let mut client = Connection::open(gateway.address()).await;
    client.write(request).await;
    let head = client.head().await;
    (client, head)
}

const OPEN: &str = "portcullis_tunnels_open";

#[tokio::test]
async fn a_websocket_goes_both_ways_with_its_handshake() {
    let mut upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);
    let more = format!("{KEY}sec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\n");

    let (mut client, head) = ask(&gateway, &upgrade("/chat?a=b", "websocket", &more)).await;
    let seen = upstream.seen().await;
    client.write("to and fro").await;
    let echo = client.take(10).await;

    assert_eq!((head.status, echo.as_slice()), (101, &b"to and fro"[..]));
    assert_eq!(head.header("upgrade"), ["websocket"]);
    assert_eq!(head.header("connection"), ["upgrade"]);
    assert!(head.header("x-hop").is_empty(), "{}", head.head);
    assert_eq!(head.header("sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    assert_eq!(head.header("sec-websocket-protocol"), ["chat"]);
    assert_eq!(seen.line(), "GET /chat?a=b HTTP/1.1");
    assert_eq!(seen.header("connection"), ["upgrade"]);
    assert_eq!(seen.header("sec-websocket-key"), ["dGhlIHNhbXBsZSBub25jZQ=="]);
    assert_eq!(seen.header("sec-websocket-version"), ["13"]);
    assert_eq!(seen.header("sec-websocket-protocol"), ["chat"]);
    assert_eq!(gateway.metric(OPEN).await, 1.0);
}

#[tokio::test]
async fn a_replica_that_speaks_http_2_over_tls_is_asked_for_a_tunnel_in_http_1() {
    let identity = Identity::new(&["localhost"]);
    let mut config = rustls::ServerConfig::clone(&identity.server());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let upstream = Upstream::serving(move |socket, seen| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            if let Some(request) = read_request(&mut socket).await {
                seen.send(request).ok();
                let head = b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                socket.write_all(head).await.ok();
                let (mut from, mut to) = tokio::io::split(socket);
                tokio::io::copy(&mut from, &mut to).await.ok();
            }
        }
    })
    .await;
    let gateway = gateway(&format!(
        "upstream.a = {{ ca_file = '{}', replica = [{{ name = 'a', url = 'https://localhost:{}' }}] }}
         route = [{{ path = '/', upstream = 'a', upgrade = 'websocket' }}]",
        identity.certificate().display(),
        upstream.address().port()
    ));

    let (mut client, head) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    client.write("over TLS").await;

    assert_eq!((head.status, client.take(8).await.as_slice()), (101, &b"over TLS"[..]));
}

#[tokio::test]
async fn each_side_hears_the_others_end_and_may_go_on() {
    let upstream = echoing("mqtt").await;
    let gateway = to(&upstream, "{ tokens = ['mqtt'] }");
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    client.write_all(upgrade("/", "MQTT", "").as_bytes()).await.unwrap();
    client.write_all(b"last words").await.unwrap();

    client.shutdown().await.unwrap();
    let all = portcullis_tests::read_to_end(&mut client).await;

    let all = Response::parse(&all);
    assert_eq!((all.status, all.body.as_str()), (101, "last wordsbye"));
    gateway.until_metric(OPEN, 0.0).await;
}

#[tokio::test]
async fn what_went_through_is_counted_when_it_ends_and_not_before() {
    let upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);
    let requests = "portcullis_requests_total{route=\"all\",method=\"GET\",status=\"101\"}";

    let (mut client, _) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    client.write("12345").await;
    client.take(5).await;
    assert_eq!(gateway.metric(requests).await, 0.0);
    assert_eq!(gateway.metric("portcullis_requests_in_flight").await, 1.0);
    drop(client);

    gateway.until_metric(requests, 1.0).await;
    gateway.until_metric("portcullis_requests_in_flight", 0.0).await;
    let bytes = async |what: &str| {
        gateway.metric(&format!("portcullis_{what}_body_bytes_total{{route=\"all\"}}")).await
    };
    assert_eq!(bytes("request").await, 5.0);
    assert!(bytes("response").await >= 5.0);
}

#[tokio::test]
async fn megabytes_pass_and_a_side_that_does_not_read_holds_the_other_back() {
    const MANY: usize = 8 << 20;
    let upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);
    let (mut client, _) = {
        let (client, head) = ask(&gateway, &upgrade("/", "websocket", "")).await;
        (client.into_inner(), head)
    };
    let (mut from, mut into) = client.split();
    let piece = vec![7; 64 << 10];

    // Nobody reads: the echo fills what there is between the two, and then nothing more is taken.
    let mut written = 0;
    while let Ok(Ok(more)) = timeout(Duration::from_millis(500), into.write(&piece)).await {
        written += more;
        assert!(written < 64 << 20, "all of it is kept somewhere");
    }
    let write = async {
        while written < written.max(MANY) {
            written += into.write(&piece).await.unwrap();
        }
        into.shutdown().await.unwrap();
        written
    };
    let read = async {
        let mut all = Vec::new();
        from.read_to_end(&mut all).await.unwrap();
        all.len()
    };
    let (written, read) = tokio::join!(write, read);

    assert_eq!(read, written + "bye".len());
}

#[tokio::test]
async fn a_route_that_does_not_say_so_makes_no_tunnel() {
    let mut upstream = echoing("websocket").await;
    let gateway = gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [
           {{ path = '/', upstream = 'a' }},
           {{ path = '/chat', upstream = 'a', upgrade = 'websocket' }},
           {{ path = '/mqtt', upstream = 'a', upgrade = {{ tokens = ['mqtt'] }} }},
         ]",
        upstream.address()
    ));

    for (path, status) in [("/", 200), ("/mqtt", 200), ("/chat", 101)] {
        let (_, head) = ask(&gateway, &upgrade(path, "websocket", "")).await;
        let passed = !upstream.seen().await.header("upgrade").is_empty();
        assert_eq!((head.status, passed), (status, status == 101), "{path}");
    }
}

// To HTTP/2 within HTTP/1.1 no rule of the gateway would apply.
#[tokio::test]
async fn no_policy_lets_http_through_inside_of_http() {
    let mut upstream = echoing("h2c").await;
    let gateway = to(&upstream, "'preserve'");
    let settings = "http2-settings: AAMAAABkAAQAAP__\r\n";

    for name in ["h2c", "H2C", "HTTP/2.0", "h2", "h3"] {
        let (_, head) = ask(&gateway, &upgrade("/", name, settings)).await;
        let seen = upstream.seen().await;

        assert_eq!(head.status, 200, "{name}");
        assert!(seen.header("upgrade").is_empty() && seen.header("connection").is_empty());
        assert!(seen.header("http2-settings").is_empty());
    }
}

#[tokio::test]
async fn an_upstream_that_answers_otherwise_leaves_a_connection_of_http() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = to(&upstream, WEBSOCKET);
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut client = Connection::open(gateway.address()).await;

    client.write(upgrade("/", "websocket", "") + smuggled).await;
    let pages = [client.response().await, client.response().await];

    assert!(pages.iter().all(|page| (page.status, page.body.as_str()) == (200, "ok")));
    // As a request of its own, by all the rules: in the replica's name, for one.
    assert_eq!(upstream.seen().await.line(), "GET / HTTP/1.1");
    let second = upstream.seen().await;
    assert_eq!(second.line(), "GET /smuggled HTTP/1.1");
    assert_eq!(second.header("host"), [upstream.address().to_string()]);
    assert_eq!(gateway.metric(OPEN).await, 0.0);
}

#[tokio::test]
async fn what_is_sent_before_the_answer_is_for_the_tunnel_alone() {
    let mut upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);
    let early = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

    let (mut client, head) = ask(&gateway, &(upgrade("/", "websocket", "") + early)).await;
    let echo = client.take(early.len()).await;

    assert_eq!((head.status, echo.as_slice()), (101, early.as_bytes()));
    upstream.seen().await;
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn an_upstream_that_becomes_something_else_than_it_was_asked_to_is_not_believed() {
    let other = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: mqtt\r\n\r\n";
    let upstream = Upstream::answering(other).await;
    let gateway = to(&upstream, WEBSOCKET);

    let (_, head) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    let unasked = get(gateway.address(), "/").await;

    assert_eq!((head.status, unasked.status), (502, 502));
    assert_eq!(gateway.metric(OPEN).await, 0.0);
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_ends() {
    let upstream = echoing("websocket").await;
    let section = "timeouts = { tunnel_idle = '300ms' }";
    let gateway = gateway(&config(upstream.address(), section, WEBSOCKET));

    let (mut client, _) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    client.write("a").await;
    let rest = client.rest().await;

    assert_eq!(rest, b"a");
    let refusals = "portcullis_refusals_total{route=\"all\",reason=\"tunnel_idle\"}";
    gateway.until_metric(refusals, 1.0).await;
    gateway.until_metric(OPEN, 0.0).await;
}

#[tokio::test]
async fn the_limits_of_a_request_are_over_with_its_101() {
    let upstream = echoing("websocket").await;
    let gateway = InProcess::start(&format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0', timeouts = {{ keep_alive = '50ms', request_header = '50ms' }} }}]
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}], timeouts = {{ response_body = '50ms' }} }}
         route = [{{ path = '/', upstream = 'a', upgrade = 'websocket', timeout = '200ms' }}]",
        upstream.address()
    ));

    let (mut client, _) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    let silence = timeout(Duration::from_millis(600), client.take(1)).await;
    client.write("still there").await;

    assert!(silence.is_err());
    assert_eq!(client.take(11).await, b"still there");
}

#[tokio::test]
async fn a_client_without_a_token_gets_no_tunnel() {
    let mut upstream = echoing("websocket").await;
    let gateway = gateway(&format!(
        "{ISSUER}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a', upgrade = 'websocket',
           jwt_auth = {{ issuers = ['test'], sources = [{{ query = 'token' }}] }} }}]",
        upstream.address()
    ));
    let token = token(&json!({ "sub": "alice", "exp": in_an_hour() }));

    let (_, without) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    assert!(upstream.saw_nothing());
    let (_, with) = ask(&gateway, &upgrade(&format!("/?token={token}"), "websocket", "")).await;

    assert_eq!((without.status, with.status), (401, 101));
    assert_eq!(upstream.seen().await.line(), "GET / HTTP/1.1");
}

#[tokio::test]
async fn what_is_too_large_for_a_request_is_too_large_for_one_to_upgrade() {
    let mut upstream = echoing("websocket").await;
    let limits = "request_guard = { max_uri = '100B' }\n";
    let gateway = gateway(&(limits.to_owned() + &config(upstream.address(), "", WEBSOCKET)));

    let long = upgrade(&format!("/{}", "a".repeat(200)), "websocket", "");
    let (_, head) = ask(&gateway, &long).await;

    assert_eq!(head.status, 414);
    assert!(upstream.saw_nothing());
}

/// Two replicas, in this order.
fn over(first: SocketAddr, second: SocketAddr) -> InProcess {
    gateway(&format!(
        "route = [{{ path = '/', upstream = 'u', upgrade = 'websocket' }}]
         [upstream.u]
         replica = [
           {{ name = 'a', url = 'http://{first}' }},
           {{ name = 'b', url = 'http://{second}', priority = 2 }},
         ]
         failover = {{}}"
    ))
}

#[tokio::test]
async fn a_request_for_a_tunnel_goes_to_the_next_replica_and_a_tunnel_never_does() {
    let nowhere = Nowhere::take();
    let mut echo = echoing("websocket").await;
    let gateway = over(nowhere.address(), echo.address());
    let (_client, head) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    assert_eq!(head.status, 101);
    echo.seen().await;

    // One that closes what has just become a tunnel.
    let closing = Upstream::serving(|mut socket, _| async move {
        if read_request(&mut socket).await.is_some() {
            let head = b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            socket.write_all(head).await.ok();
        }
    })
    .await;
    let gateway = over(closing.address(), echo.address());
    let (mut client, head) = ask(&gateway, &upgrade("/", "websocket", "")).await;

    assert_eq!((head.status, client.rest().await), (101, Vec::new()));
    assert!(echo.saw_nothing());
}

#[tokio::test]
async fn for_the_circuit_a_tunnel_is_a_success_with_its_101() {
    let upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);

    let (_client, _) = ask(&gateway, &upgrade("/", "websocket", "")).await;

    let calls = "circuit_breaker_calls_total{name=\"a/a\",outcome=\"success\"}";
    gateway.until_metric(calls, 1.0).await;
    assert_eq!(gateway.metric(OPEN).await, 1.0);
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_upstreams_side_with_it() {
    let upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);

    let (client, _) = ask(&gateway, &upgrade("/", "websocket", "")).await;
    gateway.until_metric(OPEN, 1.0).await;
    drop(client);

    gateway.until_metric(OPEN, 0.0).await;
    let in_flight = "portcullis_requests_in_flight";
    gateway.until_metric(in_flight, 0.0).await;
}

/// Asks by HTTP/2 for a tunnel of this protocol.
async fn extended_connect(
    gateway: &InProcess,
    protocol: &'static str,
) -> http::Response<hyper::body::Incoming> {
    let mut client = http2::<Empty<Bytes>>(gateway.address()).await;
    // What the server allows is known when it has answered.
    let warm = Request::get("http://gateway.test/warm").body(Empty::new()).unwrap();
    client.send_request(warm).await.unwrap().into_body().collect().await.unwrap();
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri("http://gateway.test/chat?a=b")
        .version(Version::HTTP_2)
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static(protocol))
        .body(Empty::new())
        .unwrap();
    client.send_request(request).await.unwrap()
}

#[tokio::test]
async fn http_2_asks_by_connect_and_has_a_tunnel_in_a_stream() {
    let mut upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);

    let mut response = extended_connect(&gateway, "websocket").await;
    upstream.seen().await;
    let seen = upstream.seen().await;
    let mut tunnel = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    tunnel.write_all(b"to and fro").await.unwrap();
    let mut echo = [0; 10];
    tunnel.read_exact(&mut echo).await.unwrap();
    assert_eq!(gateway.metric(OPEN).await, 1.0);
    tunnel.shutdown().await.unwrap();
    let mut rest = Vec::new();
    tunnel.read_to_end(&mut rest).await.unwrap();

    assert_eq!((response.status(), &echo), (StatusCode::OK, b"to and fro"));
    assert_eq!(rest, b"bye");
    for gone in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!response.headers().contains_key(gone), "{gone}");
    }
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(seen.line(), "GET /chat?a=b HTTP/1.1");
    assert_eq!(seen.header("connection"), ["upgrade"]);
    assert_eq!(seen.header("sec-websocket-version"), ["13"]);
    assert_eq!(seen.header("sec-websocket-key").len(), 1);
    gateway.until_metric(OPEN, 0.0).await;
    let requests = "portcullis_requests_total{route=\"all\",method=\"CONNECT\",status=\"200\"}";
    gateway.until_metric(requests, 1.0).await;
}

#[tokio::test]
async fn a_connect_that_is_answered_with_a_page_is_no_tunnel() {
    let upstream = echoing("websocket").await;
    let gateway = to(&upstream, WEBSOCKET);

    for protocol in ["connect-udp", "h2c", "not a name"] {
        let response = extended_connect(&gateway, protocol).await;

        assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED, "{protocol}");
    }
    let refusals = "portcullis_refusals_total{route=\"all\",reason=\"no_tunnel\"}";
    gateway.until_metric(refusals, 3.0).await;
}

#[test]
fn a_file_that_asks_for_tunnels_that_cannot_be_is_refused() {
    let config = |upstream: &str, more: &str| {
        format!(
            "listener = [{{ address = '127.0.0.1:0' }}]
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://127.0.0.1:1' }}], {upstream} }}
             route = [{{ path = '/', upstream = 'a', upgrade = 'websocket' }}]
             {more}"
        )
    };

    let http2 = plan(&config("http_version = '2'", "")).unwrap_err();
    let global = plan(&config("", "hop_by_hop = { upgrade = 'websocket' }")).unwrap_err();

    assert!(http2.contains("route[0].upgrade") && http2.contains("makes no tunnels"), "{http2}");
    assert!(global.contains("for each route to say"), "{global}");
    assert!(plan(&config("", "")).is_ok());
}
