//! Responses that are made smaller on the way, and those that must not be.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, VARY};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use portcullis_tests::{Connection, InProcess, Upstream, ask, gateway, http2, read_request};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::decompression::{DecompressionBody, DecompressionLayer};

/// What is worth it: 2,200 bytes.
fn text() -> String {
    "a gate of bars in a tower ".repeat(100).chars().take(2200).collect()
}

/// A response with this body and these lines.
fn saying(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}content-length: {}\r\n\r\n{body}", body.len())
}

const PLAIN: &str = "content-type: text/plain\r\n";

fn compressing(upstream: &Upstream, section: &str) -> InProcess {
    gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}], timeouts = {{ response_body = '300ms' }} }}
         route = [{{ path = '/', upstream = 'a', compression = {{ {section} }} }}]",
        upstream.address()
    ))
}

/// The response to a request with these headers.
async fn fetch(gateway: &InProcess, method: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
    let mut client = http2(gateway.address()).await;
    let request = Request::builder().method(method).uri("http://gateway.test/");
    let with = |request: http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    let request = headers.iter().fold(request, with).body(Empty::<Bytes>::new()).unwrap();
    client.send_request(request).await.unwrap()
}

/// The same response, whose body is decoded as it comes.
async fn decoded(response: Response<Incoming>) -> Response<DecompressionBody<Incoming>> {
    let mut once = Some(response);
    let service =
        service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(once.take().unwrap())));
    DecompressionLayer::new().layer(service).oneshot(Request::new(())).await.unwrap()
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_ENCODING)
}

#[tokio::test]
async fn a_client_gets_the_coding_that_it_likes_best_and_can_read_it() {
    let body = text();
    let upstream = Upstream::answering(saying("content-type: application/json\r\netag: \"a\"\r\naccept-ranges: bytes\r\ncontent-md5: x\r\n", &body)).await;
    let all = compressing(&upstream, "");
    let gzip = compressing(&upstream, "encodings = ['gzip'], level = 'best'");

    for (gateway, accepts, expected) in [
        (&all, "gzip", Some("gzip")),
        (&all, "gzip, deflate, br", Some("br")),
        (&all, "gzip, deflate, br, zstd", Some("zstd")),
        (&all, "zstd;q=0.1, br;q=0.2, gzip;q=0.9", Some("gzip")),
        (&all, "br;q=0, *", Some("zstd")),
        (&all, "identity", None),
        (&all, "deflate", None),
        (&gzip, "zstd, br, gzip;q=0.1", Some("gzip")),
        (&gzip, "zstd, br", None),
    ] {
        let response = fetch(gateway, "GET", &[("accept-encoding", accepts)]).await;
        let headers = response.headers().clone();
        let decoded = decoded(response).await.into_body().collect().await.unwrap().to_bytes();

        assert_eq!(decoded, body, "{accepts}");
        let coding = headers.get(CONTENT_ENCODING).map(|coding| coding.to_str().unwrap());
        assert_eq!(coding, expected, "{accepts}");
        assert_eq!(headers[VARY], "accept-encoding");
        let weak = if expected.is_some() { "W/\"a\"" } else { "\"a\"" };
        assert_eq!(headers[ETAG], weak, "{accepts}");
        for name in [ACCEPT_RANGES.as_str(), CONTENT_LENGTH.as_str(), "content-md5"] {
            assert_eq!(headers.contains_key(name), expected.is_none(), "{accepts} {name}");
        }
    }
    let response = fetch(&all, "GET", &[]).await;
    assert!(!is_encoded(response.headers()) && response.headers()[VARY] == "accept-encoding");
}

#[tokio::test]
async fn what_must_not_be_compressed_passes_as_it_is() {
    let body = text();
    let accepts = ("accept-encoding", "gzip, br, zstd");
    let small = "x".repeat(1023);
    let partial = saying(&format!("{PLAIN}content-range: bytes 0-2199/5000\r\n"), &body)
        .replace("200 OK", "206 Partial Content");
    for response in [
        saying("content-type: text/event-stream\r\n", &body),
        saying("content-type: Text/Event-Stream; charset=utf-8\r\n", &body),
        saying("content-type: application/grpc-web+proto\r\n", &body),
        saying("content-type: image/png\r\n", &body),
        saying("content-type: application/octet-stream\r\n", &body),
        saying("", &body),
        saying(PLAIN, &small),
        saying(&format!("{PLAIN}content-encoding: x-own\r\n"), &body),
        saying(&format!("{PLAIN}cache-control: public, No-Transform\r\n"), &body),
        partial,
    ] {
        let upstream = Upstream::answering(response.clone()).await;
        let gateway =
            compressing(&upstream, "content_types = ['text/*', 'application/grpc-web+proto']");

        let answer = fetch(&gateway, "GET", &[accepts]).await;
        let headers = answer.headers().clone();
        let passed = answer.into_body().collect().await.unwrap().to_bytes();

        let sent = response.split_once("\r\n\r\n").unwrap();
        assert_eq!(passed, sent.1, "{}", sent.0);
        assert_eq!(
            headers[CONTENT_LENGTH].to_str().unwrap(),
            sent.1.len().to_string(),
            "{}",
            sent.0
        );
    }
    let upstream = Upstream::answering(saying(PLAIN, &body)).await;
    let gateway = compressing(&upstream, "");
    let asked = fetch(&gateway, "GET", &[accepts, ("cache-control", "no-transform")]).await;
    assert!(!is_encoded(asked.headers()));
    assert!(is_encoded(fetch(&gateway, "GET", &[accepts]).await.headers()));
}

#[tokio::test]
async fn what_is_large_enough_is_for_the_file_to_say() {
    let upstream = Upstream::answering(saying("content-type: a/b\r\n", "ten bytes.")).await;
    let accepts = [("accept-encoding", "gzip")];

    for (size, expected) in [(10, true), (11, false), (0, true)] {
        let gateway =
            compressing(&upstream, &format!("min_size = {size}, content_types = ['a/b']"));
        assert_eq!(
            is_encoded(fetch(&gateway, "GET", &accepts).await.headers()),
            expected,
            "{size}"
        );
    }
    let nothing = Upstream::answering(saying("content-type: a/b\r\n", "")).await;
    let gateway = compressing(&nothing, "min_size = 0, content_types = ['a/b']");
    assert!(!is_encoded(fetch(&gateway, "GET", &accepts).await.headers()));
}

#[tokio::test]
async fn a_client_that_takes_nothing_as_it_is_is_told_what_was_done_nonetheless() {
    let upstream = Upstream::answering(saying("content-type: image/png\r\n", &text())).await;
    let gateway = compressing(&upstream, "");

    for accepts in ["identity;q=0", "*;q=0", "gzip, identity;q=0"] {
        let response = fetch(&gateway, "POST", &[("accept-encoding", accepts)]).await;

        assert_eq!(response.status(), 200, "{accepts}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 2200);
    }
}

#[tokio::test]
async fn head_is_told_what_get_would_be() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: \"a\"\r\ncontent-length: 2200\r\n\r\n";
    let upstream = Upstream::answering(head).await;
    let gateway = compressing(&upstream, "");

    let plain = fetch(&gateway, "HEAD", &[]).await;
    assert_eq!(
        (&plain.headers()[CONTENT_LENGTH], &plain.headers()[VARY]),
        (&"2200".parse().unwrap(), &"accept-encoding".parse().unwrap())
    );
    let response = fetch(&gateway, "HEAD", &[("accept-encoding", "br")]).await;
    assert_eq!(
        (&response.headers()[CONTENT_ENCODING], &response.headers()[ETAG]),
        (&"br".parse().unwrap(), &"W/\"a\"".parse().unwrap())
    );
    assert!(!response.headers().contains_key(CONTENT_LENGTH));
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());

    let mut client = Connection::open(gateway.address()).await;
    for _ in 0..2 {
        client.write("HEAD / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n").await;
        assert_eq!(client.head().await.header("content-encoding"), ["gzip"]);
    }
}

// RFC 9110 §15.4.5.
#[tokio::test]
async fn a_client_that_has_the_response_by_its_weak_tag_is_told_by_that() {
    let upstream = Upstream::answering("HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n").await;
    let gateway = compressing(&upstream, "");

    for (known, tag) in [("W/\"a\"", "W/\"a\""), ("\"a\"", "\"a\"")] {
        let response =
            fetch(&gateway, "GET", &[("accept-encoding", "gzip"), ("if-none-match", known)]).await;

        assert_eq!(
            (response.status().as_u16(), response.headers()[ETAG].to_str().unwrap()),
            (304, tag)
        );
        assert_eq!(response.headers()[VARY], "accept-encoding");
    }
}

#[tokio::test]
async fn a_slow_response_arrives_piece_by_piece() {
    let more = Arc::new(Notify::new());
    let wait = more.clone();
    let upstream = Upstream::serving(move |mut socket, _| {
        let more = wait.clone();
        async move {
            while read_request(&mut socket).await.is_some() {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
                socket.write_all(head.as_bytes()).await.unwrap();
                for piece in ["first", "again", "third"] {
                    socket.write_all(format!("5\r\n{piece}\r\n").as_bytes()).await.unwrap();
                    more.notified().await;
                }
                socket.write_all(b"0\r\n\r\n").await.unwrap();
            }
        }
    })
    .await;
    let gateway = gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a', compression = {{}} }}]",
        upstream.address()
    ));

    for coding in ["gzip", "br", "zstd"] {
        let response = fetch(&gateway, "GET", &[("accept-encoding", coding)]).await;
        assert_eq!(response.headers()[CONTENT_ENCODING], coding);
        let mut body = decoded(response).await.into_body();
        // The upstream says nothing more before the client has read what there is.
        for piece in ["first", "again", "third"] {
            let mut read = Vec::new();
            while read.len() < piece.len() {
                read.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
            }
            assert_eq!(read, piece.as_bytes(), "{coding}");
            more.notify_one();
        }
        assert!(body.collect().await.unwrap().to_bytes().is_empty(), "{coding}");
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_is_cut_and_the_upstreams_fault() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        read_request(&mut socket).await;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n{PLAIN}\r\n{}", text());
        socket.write_all(head.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = compressing(&upstream, "");

    let response = fetch(&gateway, "GET", &[("accept-encoding", "gzip")]).await;
    let cut = response.into_body().collect().await;

    assert!(cut.is_err());
    gateway
        .until_metric(
            "portcullis_refusals_total{route=\"/\",reason=\"upstream_body_timeout\"}",
            1.0,
        )
        .await;
    gateway.until_metric("portcullis_requests_in_flight", 0.0).await;
}

#[tokio::test]
async fn a_refusal_is_not_compressed_and_a_fixed_response_is() {
    let body = text();
    let gateway = gateway(&format!(
        "route = [{{ path = '/', respond = {{ status = 200, body = '{body}' }}, compression = {{ min_size = 1 }}, \
         request_guard = {{ methods = ['GET'] }} }}]"
    ));

    let accepts = "accept-encoding: gzip";
    let refused = ask(gateway.address(), "DELETE /", &[accepts]).await;
    let fixed = ask(gateway.address(), "GET /", &[accepts]).await;

    assert_eq!((refused.status, refused.header("content-encoding")), (405, vec![]));
    assert!(refused.body.contains("\"method\""), "{}", refused.body);
    assert_eq!(fixed.header("content-encoding"), ["gzip"]);
}
