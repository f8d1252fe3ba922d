//! What is on the wire, to the byte.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame};
use portcullis_tests::{
    Connection, InProcess, Response, Upstream, dechunk, exchange, gateway, http2, read_request,
};
use tokio::io::AsyncWriteExt;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn to(upstream: &Upstream) -> String {
    format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    )
}

/// The connections to the replica that carried requests: probes are not among them.
async fn upstream_connections(gateway: &InProcess) -> f64 {
    let series = "portcullis_upstream_connections_total{upstream=\"a\",replica=\"a\"}";
    gateway.metric(series).await
}

#[tokio::test]
async fn the_upstream_is_asked_in_its_own_name_and_in_http_1() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));

    let request = "GET /a?b=c HTTP/1.0\r\nhost: client.test\r\n\r\n";
    let response = exchange(gateway.address(), request).await;
    let seen = upstream.seen().await;

    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert_eq!(seen.line(), "GET /a?b=c HTTP/1.1");
    assert_eq!(seen.header("host"), [upstream.address().to_string()]);
}

#[tokio::test]
async fn a_head_has_the_length_of_the_body_that_it_does_not_have() {
    let upstream = Upstream::answering_in_turn([
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\netag: \"e\"\r\n\r\n",
        OK,
    ])
    .await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.head().await;
    client.write("GET /b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let next = client.response().await;

    assert_eq!((head.status, head.header("content-length")), (200, vec!["5"]));
    assert_eq!((next.status, next.body.as_str()), (200, "ok"));
    assert_eq!(upstream_connections(&gateway).await, 1.0);
}

#[tokio::test]
async fn a_204_has_neither_a_body_nor_a_length() {
    let upstream = Upstream::answering_in_turn(["HTTP/1.1 204 No Content\r\n\r\n", OK]).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("DELETE /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.head().await;
    client.write("GET /b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let next = client.response().await;

    assert_eq!(head.status, 204);
    assert!(head.header("content-length").is_empty(), "{}", head.head);
    assert!(head.header("transfer-encoding").is_empty(), "{}", head.head);
    assert_eq!((next.status, next.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn a_304_keeps_its_headers_and_has_no_body() {
    let not_modified = "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\ncontent-length: 9\r\n\r\n";
    let upstream = Upstream::answering_in_turn([not_modified, OK]).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET /a HTTP/1.1\r\nhost: a\r\nif-none-match: \"e\"\r\n\r\n").await;
    let head = client.head().await;
    client.write("GET /b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let next = client.response().await;

    assert_eq!((head.status, head.header("etag")), (304, vec!["\"e\""]));
    assert_eq!((next.status, next.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_arrives_whole_and_properly_ended() {
    let upstream = closing_after("HTTP/1.1 200 OK\r\n\r\nwhole").await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let chunked = client.response().await;
    let closed = exchange(gateway.address(), "GET / HTTP/1.0\r\n\r\n").await;

    assert_eq!(dechunk(chunked.body), Some(("whole".to_owned(), vec![])));
    assert_eq!(closed.body, "whole");
    assert!(closed.header("transfer-encoding").is_empty(), "{}", closed.head);
}

#[tokio::test]
async fn chunks_pass_both_ways() {
    let answer =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nfgh\r\n1\r\ni\r\n0\r\n\r\n";
    let mut upstream = Upstream::answering(answer).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write(format!("{head}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")).await;
    let response = client.response().await;
    let seen = upstream.seen().await;

    assert_eq!(dechunk(&seen.body), Some(("abcde".to_owned(), vec![])));
    assert_eq!(seen.header("transfer-encoding"), ["chunked"]);
    assert!(seen.header("content-length").is_empty(), "{}", seen.head);
    assert_eq!(dechunk(&response.body), Some(("fghi".to_owned(), vec![])));
}

#[tokio::test]
async fn a_chunked_body_without_a_chunk_ends_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut upstream = Upstream::answering(answer).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    for _ in 0..2 {
        client
            .write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
            .await;
        let response = client.response().await;
        let seen = upstream.seen().await;

        assert_eq!(dechunk(&response.body), Some((String::new(), vec![])));
        assert_eq!(dechunk(&seen.body), Some((String::new(), vec![])));
    }
    assert_eq!(upstream_connections(&gateway).await, 1.0);
}

/// RFC 9110 §9.3.1: such a body has no meaning of its own, but it is the upstream's to say so.
#[tokio::test]
async fn the_chunked_body_of_a_get_is_not_lost() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    let head = "GET /search HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write(format!("{head}5\r\nquery\r\n0\r\n\r\n")).await;
    let response = client.response().await;
    let seen = upstream.seen().await;

    assert_eq!(response.status, 200);
    assert_eq!(dechunk(&seen.body), Some(("query".to_owned(), vec![])));
}

const WITH_TRAILERS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
    2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n";

#[tokio::test]
async fn trailers_reach_a_client_that_says_it_takes_them_and_no_other() {
    let mut upstream = Upstream::answering(WITH_TRAILERS).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n").await;
    let taken = client.response().await;
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let untaken = client.response().await;

    assert_eq!(dechunk(taken.body), Some(("ok".to_owned(), vec!["x-sum: 7".to_owned()])));
    assert_eq!(dechunk(untaken.body), Some(("ok".to_owned(), vec![])));
    assert_eq!(upstream.seen().await.header("te"), ["trailers"]);
    assert!(upstream.seen().await.header("te").is_empty());
}

#[tokio::test]
async fn trailers_reach_a_client_of_http_2() {
    let upstream = Upstream::answering(WITH_TRAILERS).await;
    let gateway = gateway(&to(&upstream));
    let mut client = http2(gateway.address()).await;

    let request = Request::get("http://gateway.test/").body(Empty::<Bytes>::new()).unwrap();
    let body = client.send_request(request).await.unwrap().into_body().collect().await.unwrap();

    assert_eq!(body.trailers().unwrap()["x-sum"], "7");
    assert_eq!(body.to_bytes(), "ok");
}

/// A body that does not say how long it is.
struct Unmeasured(BoxBody<Bytes, Infallible>);

impl Body for Unmeasured {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_upstream() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut over_1 = Connection::open(gateway.address()).await;
    let mut over_2 = http2(gateway.address()).await;

    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
    over_1.write(format!("{head}2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n")).await;
    over_1.response().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("8"));
    let body = Full::new(Bytes::from("cd")).with_trailers(async { Some(Ok(trailers)) });
    let body = Unmeasured(body.boxed());
    let request = Request::post("http://gateway.test/").header("trailer", "x-sum");
    over_2.send_request(request.body(body).unwrap()).await.unwrap();

    let (first, second) = (upstream.seen().await, upstream.seen().await);
    assert_eq!(dechunk(first.body), Some(("ab".to_owned(), vec!["x-sum: 7".to_owned()])));
    assert_eq!(dechunk(second.body), Some(("cd".to_owned(), vec!["x-sum: 8".to_owned()])));
}

#[tokio::test]
async fn who_waits_for_100_is_told_to_go_on_by_the_gateway_itself() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    client.write(head).await;
    let go_on = client.head().await;
    client.write("abc").await;
    let response = client.response().await;

    assert_eq!((go_on.status, response.status), (100, 200));
    let seen = upstream.seen().await;
    assert!(seen.header("expect").is_empty(), "{}", seen.head);
    assert_eq!(seen.body, b"abc");
}

#[tokio::test]
async fn who_waits_for_100_before_nothing_is_not_left_with_the_connection() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));

    let head = "PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 0\r\n\r\n";
    let response = exchange(gateway.address(), head).await;

    assert_eq!((response.status, response.header("connection")), (200, vec!["close"]));
}

#[tokio::test]
async fn two_requests_need_one_connection_on_either_side() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx").await;
    let first = client.response().await;
    client.write("GET /2 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let second = client.response().await;

    assert_eq!((first.body.as_str(), second.body.as_str()), ("ok", "ok"));
    assert_eq!(upstream.seen().await.line(), "POST /1 HTTP/1.1");
    assert_eq!(upstream.seen().await.line(), "GET /2 HTTP/1.1");
    assert_eq!(upstream_connections(&gateway).await, 1.0);
}

#[tokio::test]
async fn requests_sent_in_one_go_are_answered_in_their_order() {
    let upstream = Upstream::answering_in_turn([
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthree",
    ])
    .await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client
        .write(
            "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n\
             POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nGET \
             GET /3 HTTP/1.1\r\nhost: a\r\n\r\n",
        )
        .await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(client.response().await.body);
    }

    assert_eq!(bodies, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_client_of_http_1_0_may_keep_its_connection() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let kept = client.response().await;
    client.write("GET /2 HTTP/1.0\r\n\r\n").await;
    let closed = Response::parse(&client.rest().await);

    assert_eq!(kept.header("connection"), ["keep-alive"]);
    assert_eq!((kept.body.as_str(), closed.body.as_str()), ("ok", "ok"));
}

#[tokio::test]
async fn a_target_in_absolute_form_reaches_the_upstream_as_a_path() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', hosts = ['named.test'], upstream = 'a' }}]",
        upstream.address()
    ));

    let request =
        "GET http://named.test/a?b HTTP/1.1\r\nhost: NAMED.test:80\r\nconnection: close\r\n\r\n";
    let response = exchange(gateway.address(), request).await;
    let seen = upstream.seen().await;

    assert_eq!(response.status, 200);
    assert_eq!(seen.line(), "GET /a?b HTTP/1.1");
    assert_eq!(seen.header("host"), [upstream.address().to_string()]);
}

#[tokio::test]
async fn path_and_query_pass_to_the_byte() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    for target in [
        "/",
        "//",
        "//a//b/",
        "/a/./b/.",
        "/a%2Fb%2f%7e~",
        "/a+b%20c",
        "/a?",
        "/a??b=c?d",
        "/a?b=%2F+%20&&c&=d;e",
        "/a;b=c/d@e:f!$&'()*,",
        "/a|b{c}\"d\"^",
    ] {
        client.write(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let response = client.response().await;

        assert_eq!(response.status, 200, "{target}");
        assert_eq!(upstream.seen().await.line(), format!("GET {target} HTTP/1.1"));
    }
}

#[tokio::test]
async fn a_header_that_is_sent_repeatedly_keeps_its_values_in_their_order() {
    let answer = "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nx-b: 1\r\nset-cookie: c=2; d, e\r\n\
        Set-Cookie: a=3\r\ncontent-length: 0\r\n\r\n";
    let mut upstream = Upstream::answering(answer).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client
        .write("GET / HTTP/1.1\r\nhost: a\r\nx-a: 2\r\nx-b: 0\r\nX-A: 1, 5\r\nx-a: 3\r\n\r\n")
        .await;
    let response = client.response().await;

    assert_eq!(upstream.seen().await.header("x-a"), ["2", "1, 5", "3"]);
    assert_eq!(response.header("set-cookie"), ["a=1", "c=2; d, e", "a=3"]);
}

#[tokio::test]
async fn what_is_for_one_hop_only_passes_in_neither_direction() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: x-its\r\nx-its: 1\r\n\
        keep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nx-kept: 1\r\n\r\n";
    let mut upstream = Upstream::answering(answer).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client
        .write(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: x-mine\r\nConnection: keep-alive, x-other\r\n\
             x-mine: 1\r\nx-other: 1\r\nkeep-alive: 5\r\nproxy-connection: keep-alive\r\n\
             te: gzip\r\nproxy-authorization: Basic YTpi\r\nx-kept: 1\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    let seen = upstream.seen().await;

    for gone in [
        "connection",
        "x-mine",
        "x-other",
        "keep-alive",
        "proxy-connection",
        "te",
        "proxy-authorization",
    ] {
        assert!(seen.header(gone).is_empty(), "{gone}: {}", seen.head);
    }
    for gone in ["connection", "x-its", "keep-alive", "proxy-authenticate"] {
        assert!(response.header(gone).is_empty(), "{gone}: {}", response.head);
    }
    assert_eq!((seen.header("x-kept"), response.header("x-kept")), (vec!["1"], vec!["1"]));
}

#[tokio::test]
async fn an_upgrade_is_not_passed_on() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client
        .write(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\n\
             upgrade: h2c, websocket\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    let seen = upstream.seen().await;

    assert_eq!(response.status, 200);
    for gone in ["connection", "upgrade", "http2-settings"] {
        assert!(seen.header(gone).is_empty(), "{gone}: {}", seen.head);
    }
}

#[tokio::test]
async fn an_upstream_that_switches_protocols_unasked_is_not_believed() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let upstream = Upstream::answering(answer).await;
    let gateway = gateway(&to(&upstream));

    let response = portcullis_tests::get(gateway.address(), "/").await;

    assert_eq!(response.status, 502, "{}", response.head);
}

#[tokio::test]
async fn what_the_upstream_says_in_the_meantime_does_not_reach_the_client() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
        HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let upstream = Upstream::answering(answer).await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let response = client.response().await;

    assert_eq!((response.status, response.body.as_str()), (200, "ok"));
    assert!(response.header("link").is_empty(), "{}", response.head);
}

#[tokio::test]
async fn a_redirect_is_the_clients_to_follow() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: /elsewhere?a=b\r\ncontent-length: 0\r\n\r\n";
    let mut upstream = Upstream::answering(answer).await;
    let gateway = gateway(&to(&upstream));

    let response = portcullis_tests::get(gateway.address(), "/a").await;

    assert_eq!((response.status, response.header("location")), (302, vec!["/elsewhere?a=b"]));
    assert_eq!(upstream.seen().await.line(), "GET /a HTTP/1.1");
    assert!(upstream.saw_nothing());
}

/// Answers with these bytes, and then closes.
async fn closing_after(answer: &'static str) -> Upstream {
    Upstream::serving(move |mut socket, _| async move {
        if read_request(&mut socket).await.is_some() {
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn a_body_that_is_shorter_than_its_length_looks_broken_to_the_client() {
    let upstream = closing_after("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    let gateway = gateway(&to(&upstream));
    let mut over_1 = Connection::open(gateway.address()).await;
    let mut over_2 = http2(gateway.address()).await;

    over_1.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let short = Response::parse(&over_1.rest().await);
    let request = Request::get("http://gateway.test/").body(Empty::<Bytes>::new()).unwrap();
    let reset = over_2.send_request(request).await.unwrap().into_body().collect().await;

    assert_eq!((short.header("content-length"), short.body.as_str()), (vec!["10"], "abc"));
    assert!(reset.is_err());
}

#[tokio::test]
async fn chunks_without_a_last_one_look_broken_to_the_client() {
    let upstream =
        closing_after("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    let gateway = gateway(&to(&upstream));
    let mut client = Connection::open(gateway.address()).await;

    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let broken = Response::parse(&client.rest().await);

    assert_eq!(broken.body, "3\r\nabc\r\n");
}

#[tokio::test]
async fn a_method_that_nobody_knows_passes() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));

    let request = "BREW-2 /pot HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let response = exchange(gateway.address(), request).await;

    assert_eq!(response.status, 200);
    assert_eq!(upstream.seen().await.line(), "BREW-2 /pot HTTP/1.1");
}

#[tokio::test]
async fn nobody_gets_a_tunnel() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));

    let request = "CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\nconnection: close\r\n\r\n";
    let response = exchange(gateway.address(), request).await;

    assert_eq!(response.status, 501, "{}", response.head);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn over_http_2_the_authority_is_the_host_that_is_routed_by_and_replaced() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', hosts = ['named.test'], upstream = 'a' }}]",
        upstream.address()
    ));
    let mut client = http2(gateway.address()).await;

    let request = Request::post("http://named.test/a?b").body(Full::new(Bytes::from("c"))).unwrap();
    let response = client.send_request(request).await.unwrap();
    let seen = upstream.seen().await;

    assert_eq!(response.status(), 200);
    assert_eq!(seen.line(), "POST /a?b HTTP/1.1");
    assert_eq!(seen.header("host"), [upstream.address().to_string()]);
    assert_eq!((seen.header("content-length"), seen.body.as_slice()), (vec!["1"], &b"c"[..]));
}

/// RFC 9113 §8.2.3: HTTP/2 may split what HTTP/1.1 has in one line.
#[tokio::test]
async fn cookies_that_http_2_has_split_are_one_line_again() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream));
    let mut client = http2(gateway.address()).await;

    let request = Request::get("http://gateway.test/").header("cookie", "a=1").header("x-a", "1");
    let request = request.header("cookie", "b=2; c=3").header("cookie", "d=4");
    client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();

    assert_eq!(upstream.seen().await.header("cookie"), ["a=1; b=2; c=3; d=4"]);
}
