//! HTTP/2 to upstreams.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use portcullis_tests::{
    Boxed, Connection, Http2, Identity, InProcess, Upstream, exchange, full, gateway, get, http2,
    read_request,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// One upstream that is asked in HTTP/2, and what its section says besides.
fn to(address: SocketAddr, section: &str) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ http_version = '2', replica = [{{ name = 'a', url = 'http://{address}' }}], {section} }}
         route = [{{ path = '/', name = 'all', upstream = 'a' }}]"
    ))
}

/// The connections to the replica: probes are not among them.
async fn connections(gateway: &InProcess) -> f64 {
    let series = "portcullis_upstream_connections_total{upstream=\"a\",replica=\"a\"}";
    gateway.metric(series).await
}

async fn failures(gateway: &InProcess, phase: &str) -> f64 {
    let labels = format!("upstream=\"a\",replica=\"a\",phase=\"{phase}\"");
    gateway.metric(&format!("portcullis_upstream_failures_total{{{labels}}}")).await
}

fn reason(body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

/// Answers `ok`, and tells of each request.
async fn telling() -> (Http2, mpsc::UnboundedReceiver<http::request::Parts>) {
    let (told, seen) = mpsc::unbounded_channel();
    let upstream = Http2::serving(100, move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            told.send(request.into_parts().0).unwrap();
            Response::new(full("ok"))
        }
    })
    .await;
    (upstream, seen)
}

#[tokio::test]
async fn a_replica_is_asked_in_its_own_name_which_stands_in_one_place() {
    let (upstream, mut seen) = telling().await;
    let gateway = to(upstream.address(), "");

    let request = "GET /a?b=c HTTP/1.1\r\nhost: client.test\r\nconnection: close, x-hop\r\n\
        keep-alive: 5\r\nx-hop: 1\r\nte: trailers, deflate\r\nx-kept: 1\r\n\r\n";
    let response = exchange(gateway.address(), request).await;
    let seen = seen.recv().await.unwrap();

    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!(seen.version, Version::HTTP_2);
    assert_eq!(seen.uri.to_string(), format!("http://{}/a?b=c", upstream.address()));
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["x-kept"], "1");
    for gone in ["host", "connection", "keep-alive", "x-hop", "transfer-encoding"] {
        assert!(!seen.headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn a_host_that_the_file_sets_is_the_authority() {
    let (upstream, mut seen) = telling().await;
    let gateway = to(upstream.address(), "host = { set = 'api.example' }");

    get(gateway.address(), "/a").await;

    assert_eq!(seen.recv().await.unwrap().uri, "http://api.example/a");
}

#[tokio::test]
async fn requests_share_a_connection() {
    const MANY: usize = 50;
    let all = Arc::new(Barrier::new(MANY));
    let upstream = Http2::serving(100, move |_| {
        let all = all.clone();
        async move {
            all.wait().await;
            Response::new(full("ok"))
        }
    })
    .await;
    let gateway = to(upstream.address(), "");

    let asks: Vec<_> = (0..MANY)
        .map(|_| {
            let address = gateway.address();
            tokio::spawn(async move { get(address, "/").await.status })
        })
        .collect();
    for ask in asks {
        assert_eq!(ask.await.unwrap(), 200);
    }

    assert_eq!(upstream.connections(), 1);
    assert_eq!(connections(&gateway).await, 1.0);
}

#[tokio::test]
async fn more_than_a_connection_takes_at_once_goes_over_another() {
    let all = Arc::new(Barrier::new(5));
    let upstream = Http2::serving(2, move |_| {
        let all = all.clone();
        async move {
            all.wait().await;
            Response::new(full("ok"))
        }
    })
    .await;
    let gateway = to(upstream.address(), "");

    let asks: Vec<_> = (0..5)
        .map(|_| {
            let address = gateway.address();
            tokio::spawn(async move { get(address, "/").await.status })
        })
        .collect();
    for ask in asks {
        assert_eq!(ask.await.unwrap(), 200);
    }

    assert_eq!(upstream.connections(), 3);
}

/// Answers each request when there is a permit for it.
async fn held(streams: u32) -> (Http2, Arc<Semaphore>, mpsc::UnboundedReceiver<()>) {
    let permits = Arc::new(Semaphore::new(0));
    let (told, seen) = mpsc::unbounded_channel();
    let waiting = permits.clone();
    let upstream = Http2::serving(streams, move |_| {
        let (waiting, told) = (waiting.clone(), told.clone());
        async move {
            told.send(()).unwrap();
            waiting.acquire().await.unwrap().forget();
            Response::new(full("ok"))
        }
    })
    .await;
    (upstream, permits, seen)
}

#[tokio::test]
async fn what_comes_when_all_connections_are_full_waits_for_one_to_end() {
    let (upstream, permits, mut seen) = held(1).await;
    let gateway = to(upstream.address(), "pool = { max_http2 = 1 }");
    let address = gateway.address();

    let first = tokio::spawn(async move { get(address, "/").await.status });
    seen.recv().await.unwrap();
    let second = tokio::spawn(async move { get(address, "/").await.status });
    permits.add_permits(1);
    assert_eq!(first.await.unwrap(), 200);
    permits.add_permits(1);

    assert_eq!(second.await.unwrap(), 200);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn however_many_come_at_once_there_are_no_more_connections_than_may_be() {
    const MANY: usize = 30;
    let (upstream, permits, _seen) = held(2).await;
    let gateway = to(upstream.address(), "pool = { max_http2 = 3 }");
    let address = gateway.address();

    let asks: Vec<_> =
        (0..MANY).map(|_| tokio::spawn(async move { get(address, "/").await.status })).collect();
    permits.add_permits(MANY);
    for ask in asks {
        assert_eq!(ask.await.unwrap(), 200);
    }

    assert!(upstream.connections() <= 3, "{}", upstream.connections());
}

#[tokio::test]
async fn nobody_waits_longer_for_room_than_for_a_connection() {
    let (upstream, permits, mut seen) = held(1).await;
    let section = "pool = { max_http2 = 1 }, timeouts = { connect = '200ms' }";
    let gateway = to(upstream.address(), section);
    let address = gateway.address();

    let first = tokio::spawn(async move { get(address, "/").await.status });
    seen.recv().await.unwrap();
    let second = get(address, "/").await;
    permits.add_permits(1);

    assert_eq!((second.status, reason(&second.body)), (504, "upstream_connect_timeout".to_owned()));
    assert_eq!(first.await.unwrap(), 200);
}

#[tokio::test]
async fn who_waits_for_a_connection_that_cannot_be_had_is_told_once_for_all() {
    let upstream = Upstream::serving(|socket, _| async move {
        // Neither HTTP/2 nor an end.
        let _socket = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = to(upstream.address(), "timeouts = { tls_handshake = '500ms' }");
    let address = gateway.address();

    let begin = tokio::time::Instant::now();
    let asks: Vec<_> =
        (0..20).map(|_| tokio::spawn(async move { get(address, "/").await })).collect();
    for ask in asks {
        let response = ask.await.unwrap();
        assert_eq!(reason(&response.body), "upstream_handshake_timeout");
    }

    // One after the other they would take ten seconds.
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

/// An upstream over TLS that offers these protocols, and what it agreed on.
async fn offering(
    identity: &Identity,
    protocols: &[&str],
) -> (SocketAddr, mpsc::UnboundedReceiver<Option<Vec<u8>>>) {
    let mut config = rustls::ServerConfig::clone(&identity.server());
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, agreed) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let protocol = socket.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            let is_http2 = protocol.as_deref() == Some(b"h2");
            told.send(protocol).ok();
            tokio::spawn(async move {
                if is_http2 {
                    let service = hyper::service::service_fn(|_| async {
                        Ok::<_, std::convert::Infallible>(Response::new(full("ok")))
                    });
                    let executor = hyper_util::rt::TokioExecutor::new();
                    let io = hyper_util::rt::TokioIo::new(socket);
                    let served = hyper::server::conn::http2::Builder::new(executor);
                    served.serve_connection(io, service).await.ok();
                } else {
                    while read_request(&mut socket).await.is_some() {
                        socket.write_all(OK.as_bytes()).await.ok();
                    }
                }
            });
        }
    });
    (address, agreed)
}

#[tokio::test]
async fn over_tls_the_version_is_what_both_sides_agree_on() {
    let identity = Identity::new(&["localhost"]);
    let ca = identity.certificate();
    for (version, offered, expected) in [
        ("auto", &["h2", "http/1.1"][..], Ok(Some("h2"))),
        ("auto", &["http/1.1"], Ok(Some("http/1.1"))),
        ("auto", &[], Ok(None)),
        ("1.1", &["h2", "http/1.1"], Ok(Some("http/1.1"))),
        ("2", &["h2", "http/1.1"], Ok(Some("h2"))),
        ("2", &["http/1.1"], Err("upstream_handshake")),
        ("2", &[], Err("upstream_handshake")),
    ] {
        let (address, mut agreed) = offering(&identity, offered).await;
        let gateway = gateway(&format!(
            "upstream.a = {{ ca_file = '{}', replica = [{{ name = 'a', url = 'https://localhost:{}', http_version = '{version}' }}] }}
             route = [{{ path = '/', upstream = 'a' }}]",
            ca.display(), address.port()
        ));

        let response = get(gateway.address(), "/").await;

        match expected {
            Ok(protocol) => {
                assert_eq!(response.body, "ok", "{version} {offered:?}");
                let agreed = agreed.recv().await.unwrap();
                assert_eq!(agreed.as_deref(), protocol.map(str::as_bytes), "{version}");
            }
            Err(expected) => assert_eq!(reason(&response.body), expected, "{version} {offered:?}"),
        }
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (told, mut seen) = mpsc::unbounded_channel();
    let upstream = Http2::serving(100, move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            let body = request.into_body().collect().await.unwrap();
            told.send(body.trailers().cloned()).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("7"));
            let frames = [Frame::data(body.to_bytes()), Frame::trailers(trailers)];
            Response::new(streamed(frames))
        }
    })
    .await;
    let gateway = to(upstream.address(), "");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("1"));
    let body = streamed([Frame::data(Bytes::from("ping")), Frame::trailers(trailers)]);

    let mut client = http2::<Plain>(gateway.address()).await;
    let request = Request::post("http://gateway.test/").body(Plain(body)).unwrap();
    let response = client.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();

    assert_eq!(seen.recv().await.unwrap().unwrap()["x-checksum"], "1");
    assert_eq!(body.trailers().unwrap()["grpc-status"], "7");
    assert_eq!(body.to_bytes(), "ping");
}

/// A body of these frames.
fn streamed<const N: usize>(frames: [Frame<Bytes>; N]) -> Boxed {
    let (give, take) = mpsc::unbounded_channel();
    frames.into_iter().for_each(|frame| give.send(frame).unwrap());
    from_channel(take)
}

/// A body of the frames that come.
fn from_channel(mut frames: mpsc::UnboundedReceiver<Frame<Bytes>>) -> Boxed {
    let stream = async_stream::stream! {
        while let Some(frame) = frames.recv().await {
            yield Ok(frame);
        }
    };
    BodyExt::boxed(StreamBody::new(Box::pin(stream)).map_err(|error: std::io::Error| error.into()))
}

/// A boxed body whose error is a type that the client takes.
struct Plain(Boxed);

impl hyper::body::Body for Plain {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let polled = std::pin::Pin::new(&mut self.0).poll_frame(cx);
        polled.map(|frame| frame.map(|frame| frame.map_err(std::io::Error::other)))
    }
}

#[tokio::test]
async fn a_client_of_http_1_uploads_and_downloads() {
    let upstream = Http2::serving(100, |request: Request<Incoming>| async {
        Response::new(full(request.into_body().collect().await.unwrap().to_bytes()))
    })
    .await;
    let gateway = to(upstream.address(), "");
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";

    let sized = exchange(gateway.address(), format!("{head}content-length: 3\r\n\r\nabc")).await;
    let chunks = "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let chunked = exchange(gateway.address(), format!("{head}{chunks}")).await;

    assert_eq!((sized.body.as_str(), sized.header("content-length")), ("abc", vec!["3"]));
    assert_eq!(chunked.body, "abcde");
}

#[tokio::test]
async fn a_client_that_breaks_its_request_off_resets_the_stream_and_blames_nobody() {
    let (told, mut broken) = mpsc::unbounded_channel();
    let upstream = Http2::serving(100, move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            told.send(request.into_body().collect().await.is_err()).unwrap();
            Response::new(full("ok"))
        }
    })
    .await;
    let gateway = to(upstream.address(), "");

    let mut client = Connection::open(gateway.address()).await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    drop(client);

    assert!(broken.recv().await.unwrap());
    let refusals = "portcullis_refusals_total{route=\"all\",reason=\"client_closed\"}";
    gateway.until_metric(refusals, 1.0).await;
    for phase in ["send", "headers", "body"] {
        assert_eq!(failures(&gateway, phase).await, 0.0, "{phase}");
    }
    // And the connection is as good as before.
    assert_eq!(get(gateway.address(), "/").await.status, 200);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_client_that_sends_no_body_after_all_is_408() {
    let upstream = Http2::serving(100, |request: Request<Incoming>| async {
        request.into_body().collect().await.ok();
        Response::new(full("ok"))
    })
    .await;
    let gateway = InProcess::start(&format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0', timeouts = {{ request_body = '100ms' }} }}]
         upstream.a = {{ http_version = '2', replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    ));

    let mut client = Connection::open(gateway.address()).await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    let response = client.response().await;

    assert_eq!((response.status, reason(&response.body)), (408, "client_body_timeout".to_owned()));
}

/// Streams without an end, and tells when nobody takes it any more. Its requests may go on, too.
async fn endless() -> (Http2, mpsc::UnboundedReceiver<&'static str>) {
    let (told, ended) = mpsc::unbounded_channel();
    let upstream = Http2::serving(100, move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            let (give, take) = mpsc::unbounded_channel();
            give.send(Frame::data(Bytes::from("first"))).unwrap();
            let of_request = told.clone();
            if !hyper::body::Body::is_end_stream(request.body()) {
                tokio::spawn(async move {
                    if request.into_body().collect().await.is_err() {
                        of_request.send("request").unwrap();
                    }
                });
            }
            tokio::spawn(async move {
                give.closed().await;
                told.send("response").unwrap();
            });
            Response::new(from_channel(take))
        }
    })
    .await;
    (upstream, ended)
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_response_resets_the_stream() {
    let (upstream, mut ended) = endless().await;
    let gateway = to(upstream.address(), "");

    let mut client = Connection::open(gateway.address()).await;
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.head().await;
    drop(client);

    assert_eq!(ended.recv().await, Some("response"));
}

#[tokio::test]
async fn a_response_that_is_given_up_takes_the_rest_of_the_request_with_it() {
    let (upstream, mut ended) = endless().await;
    let gateway = to(upstream.address(), "timeouts = { response_body = '200ms' }");

    let mut client = Connection::open(gateway.address()).await;
    client
        .write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
        .await;
    client.head().await;
    let mut both = [ended.recv().await.unwrap(), ended.recv().await.unwrap()];
    both.sort_unstable();

    assert_eq!(both, ["request", "response"]);
}

#[tokio::test]
async fn a_response_that_comes_early_ends_a_request_that_nobody_needs_any_more() {
    let (told, mut ended) = mpsc::unbounded_channel();
    let upstream = Http2::serving(100, move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            tokio::spawn(async move { told.send(request.into_body().collect().await.is_err()) });
            Response::new(full("early"))
        }
    })
    .await;
    let gateway = to(upstream.address(), "");

    let mut client = Connection::open(gateway.address()).await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nha").await;
    let response = client.response().await;
    let broken = timeout(Duration::from_secs(30), ended.recv()).await;

    assert_eq!(response.body, "early");
    assert_eq!(broken.expect("an end of the request"), Some(true));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_504_and_leaves_the_connection_to_others() {
    let (upstream, permits, mut seen) = held(100).await;
    let gateway = to(upstream.address(), "timeouts = { response_header = '300ms' }");

    let late = get(gateway.address(), "/").await;
    seen.recv().await.unwrap();
    permits.add_permits(2);
    let next = get(gateway.address(), "/").await;

    assert_eq!((late.status, reason(&late.body)), (504, "upstream_headers_timeout".to_owned()));
    assert_eq!(next.status, 200);
    assert_eq!(upstream.connections(), 1);
}

/// A server by hand: gives each connection to `serve`, with its number.
async fn by_hand<F>(
    serve: impl Fn(usize, h2::server::Connection<TcpStream, Bytes>) -> F + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(connection) = h2::server::handshake(socket).await else { continue };
            tokio::spawn(serve(number, connection));
            number += 1;
        }
    });
    address
}

/// Answers a request without a body.
fn answer(mut respond: h2::server::SendResponse<Bytes>, status: StatusCode) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    respond.send_response(response, true).unwrap();
}

#[tokio::test]
async fn an_upstream_that_goes_away_after_each_answer_never_costs_a_request() {
    let address = by_hand(|_, mut connection| async move {
        while let Some(Ok((_, respond))) = connection.accept().await {
            answer(respond, StatusCode::NO_CONTENT);
            connection.graceful_shutdown();
        }
    })
    .await;
    let gateway = to(address, "");

    for _ in 0..50 {
        let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\n\r\na";
        assert_eq!(exchange(gateway.address(), post).await.status, 204);
    }
}

#[tokio::test]
async fn a_refused_stream_has_not_run_so_that_any_request_is_sent_again() {
    let (told, mut seen) = mpsc::unbounded_channel();
    let address = by_hand(move |_, mut connection| {
        let told = told.clone();
        async move {
            let mut asked = 0;
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                told.send(request.method().clone()).unwrap();
                asked += 1;
                match asked % 2 {
                    // The first of a connection is answered, and every second refused.
                    1 => answer(respond, StatusCode::NO_CONTENT),
                    _ => respond.send_reset(h2::Reason::REFUSED_STREAM),
                }
            }
        }
    })
    .await;
    let gateway = to(address, "");
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    assert_eq!(exchange(gateway.address(), post).await.status, 204);
    assert_eq!(exchange(gateway.address(), post).await.status, 204);

    for _ in 0..3 {
        assert_eq!(seen.recv().await.unwrap(), "POST");
    }
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_refused_stream_goes_to_the_next_replica_and_a_broken_one_does_not() {
    for (code, expected) in [(h2::Reason::REFUSED_STREAM, 200), (h2::Reason::INTERNAL_ERROR, 502)] {
        let refusing = by_hand(move |_, mut connection| async move {
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_reset(code);
            }
        })
        .await;
        let (spare, mut seen) = telling().await;
        let gateway = gateway(&format!(
            "route = [{{ path = '/', upstream = 'a' }}]
             [upstream.a]
             http_version = '2'
             failover = {{}}
             replica = [
               {{ name = 'a', url = 'http://{refusing}' }},
               {{ name = 'b', url = 'http://{}', priority = 2 }},
             ]",
            spare.address()
        ));

        let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab";
        let response = exchange(gateway.address(), post).await;

        assert_eq!(response.status, expected, "{code:?}: {}", response.body);
        assert_eq!(seen.try_recv().is_ok(), expected == 200, "{code:?}");
    }
}

/// Reads a frame; its type, and its stream.
async fn frame(socket: &mut TcpStream) -> Option<(u8, u8)> {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    socket.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[8]))
}

#[tokio::test]
async fn a_goodbye_that_has_not_seen_a_request_lets_it_be_sent_again() {
    const HEADERS: u8 = 1;
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    // A 204 for stream 1, and that this was the last one seen.
    const NO_CONTENT: &[u8] = b"\0\0\x01\x01\x05\0\0\0\x01\x89";
    const GOODBYE: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0";
    let (told, mut asked) = mpsc::unbounded_channel();
    let upstream = Upstream::serving(move |mut socket, _| {
        let told = told.clone();
        async move {
            if socket.read_exact(&mut [0; 24]).await.is_err() {
                return; // a probe
            }
            socket.write_all(SETTINGS).await.unwrap();
            while let Some((kind, stream)) = frame(&mut socket).await {
                if kind == HEADERS {
                    told.send(stream).unwrap();
                    let answer = if stream == 1 { NO_CONTENT } else { GOODBYE };
                    socket.write_all(answer).await.unwrap();
                }
            }
        }
    })
    .await;
    let gateway = to(upstream.address(), "");
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    for _ in 0..2 {
        assert_eq!(exchange(gateway.address(), post).await.status, 204);
    }

    let asked = [asked.recv().await, asked.recv().await, asked.recv().await];
    assert_eq!(asked, [Some(1), Some(3), Some(1)]);
}

/// A response of these many bytes, and how many of them were taken so far.
fn counted(bytes: usize) -> (Response<Boxed>, Arc<Mutex<usize>>) {
    let taken = Arc::new(Mutex::new(0));
    let count = taken.clone();
    let stream = async_stream::stream! {
        const PIECE: usize = 16 << 10;
        for _ in 0..bytes / PIECE {
            *count.lock().unwrap() += PIECE;
            yield Ok(Frame::data(Bytes::from(vec![0; PIECE])));
        }
    };
    let body = StreamBody::new(Box::pin(stream)).map_err(|error: std::io::Error| error.into());
    (Response::new(BodyExt::boxed(body)), taken)
}

/// Waits until a count no longer grows.
async fn stalled(count: &Mutex<usize>) {
    let look = || *count.lock().unwrap();
    let mut seen = None;
    while seen != Some(look()) {
        seen = Some(look());
        drop(timeout(Duration::from_millis(500), std::future::pending::<()>()).await);
    }
}

#[tokio::test]
async fn clients_that_do_not_read_hold_up_nobody_else_and_fill_no_memory() {
    const LARGE: usize = 64 << 20;
    let (told, mut counts) = mpsc::unbounded_channel();
    let upstream = Http2::serving(100, move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            if request.uri().path() == "/small" {
                return Response::new(full(vec![0; 1 << 20]));
            }
            let (response, taken) = counted(LARGE);
            told.send(taken).unwrap();
            response
        }
    })
    .await;
    let gateway = to(upstream.address(), "");

    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut client = Connection::open(gateway.address()).await;
        client.write("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
        timeout(Duration::from_secs(30), client.head()).await.expect("others are not held up");
        let taken = counts.recv().await.unwrap();
        stalled(&taken).await;
        idle.push((client, taken));
    }
    for _ in 0..5 {
        let small = timeout(Duration::from_secs(30), get(gateway.address(), "/small")).await;
        assert_eq!(small.expect("others are not held up").body.len(), 1 << 20);
    }

    assert_eq!(upstream.connections(), 1);
    for (_, taken) in idle {
        let taken = *taken.lock().unwrap();
        assert!(taken < LARGE / 2, "{taken} bytes are kept for a client that does not read");
    }
}

#[tokio::test]
async fn a_failure_is_counted_by_how_far_the_request_came() {
    let plain = Upstream::answering(OK).await;
    let gateway = to(plain.address(), "");

    let response = get(gateway.address(), "/").await;

    assert_eq!((response.status, reason(&response.body)), (502, "upstream_handshake".to_owned()));
    assert_eq!(failures(&gateway, "handshake").await, 1.0);
}

#[tokio::test]
async fn a_client_of_http_2_is_served_by_an_upstream_of_either_version() {
    let (upstream, _seen) = telling().await;
    let old = Upstream::answering(OK).await;
    for gateway in [
        to(upstream.address(), ""),
        gateway(&format!(
            "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
             route = [{{ path = '/', upstream = 'a' }}]",
            old.address()
        )),
    ] {
        let mut client = http2::<Empty<Bytes>>(gateway.address()).await;
        let request = Request::get("http://gateway.test/").body(Empty::new()).unwrap();
        let response = client.send_request(request).await.unwrap();

        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    }
}
