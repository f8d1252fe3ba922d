//! What is said to those who are not served, in each of the three languages.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use portcullis_tests::{
    ISSUER, InProcess, Response, Upstream, ask, exchange, gateway, http2, in_an_hour, token,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A gateway with the upstream `a` at this URL, whose section also says `more`, and these routes.
fn with(url: &str, more: &str, routes: &str) -> InProcess {
    gateway(&format!(
        "request_guard = {{ max_uri = 200, max_header_block = 2000, max_body = 10 }}
         credentials.k = {{ access_key = 'AKTEST', secret_key = 'a secret key' }}
         {ISSUER}
         route = [{routes}]
         [upstream.a]
         replica = [{{ name = 'one', url = '{url}' }}]
         {more}"
    ))
}

/// A gateway whose one route leads to this URL.
fn to(url: &str, more: &str) -> InProcess {
    with(url, more, "{ path = '/', upstream = 'a' }")
}

/// Routes to S3: one for anybody, one for those with a token of a certain role, one to read only.
fn to_s3(url: &str) -> InProcess {
    let routes = "{ path = '/open', upstream = 'a' },
        { path = '/guarded', upstream = 'a', jwt_auth = \
          { issuers = ['test'], claims = [{ claim = 'role', equals = 'reader' }] } },
        { path = '/read', upstream = 'a', methods = ['GET', 'HEAD'] }";
    with(url, "sigv4_sign = { service = 's3', region = 'eu-west-1', credentials = 'k' }", routes)
}

fn url(upstream: &Upstream) -> String {
    format!("http://{}", upstream.address())
}

/// The URL of a server that is not there.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Checks that this is a problem document with all that belongs in it, and that it was counted once.
async fn assert_problem(
    gateway: &InProcess,
    response: &Response,
    status: u16,
    (route, reason): (&str, &str),
) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), ["application/problem+json"]);
    assert_eq!(response.header("content-length"), [response.body.len().to_string()]);
    let problem: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(problem["type"], "about:blank");
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["reason"], reason);
    assert_eq!(response.header("x-request-id"), [problem["request_id"].as_str().unwrap()]);
    assert_counted(gateway, route, reason).await;
}

/// Checks that this is an error as S3 has them, and that it was counted once.
async fn assert_s3_error(
    gateway: &InProcess,
    response: &Response,
    (status, code): (u16, &str),
    (route, reason): (&str, &str),
) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), ["application/xml"], "{response:?}");
    let id = response.header("x-request-id")[0];
    assert_eq!(response.header("x-amz-request-id"), [id]);
    assert!(
        response.body.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
        "{response:?}"
    );
    assert!(response.body.contains(&format!("<Error><Code>{code}</Code>")), "{response:?}");
    assert!(response.body.contains(&format!("<RequestId>{id}</RequestId>")), "{response:?}");
    assert_counted(gateway, route, reason).await;
}

async fn assert_counted(gateway: &InProcess, route: &str, reason: &str) {
    let series = format!("portcullis_refusals_total{{route=\"{route}\",reason=\"{reason}\"}}");
    gateway.until_metric(&series, 1.0).await;
}

async fn failures(gateway: &InProcess, phase: &str) -> f64 {
    let labels = format!("upstream=\"a\",replica=\"one\",phase=\"{phase}\"");
    gateway.metric(&format!("portcullis_upstream_failures_total{{{labels}}}")).await
}

async fn all_failures(gateway: &InProcess) -> f64 {
    let mut sum = 0.0;
    for phase in ["resolve", "connect", "handshake", "send", "headers", "body"] {
        sum += failures(gateway, phase).await;
    }
    sum
}

#[tokio::test]
async fn a_path_without_a_route_is_404() {
    let gateway = with("http://a.test", "", "{ path = '/a', upstream = 'a' }");

    let response = ask(gateway.address(), "GET /ab", &[]).await;

    assert_problem(&gateway, &response, 404, ("none", "no_route")).await;
}

#[tokio::test]
async fn a_method_that_the_path_has_not_is_405_with_those_that_it_has() {
    let routes = "{ path = '/a', upstream = 'a', methods = ['GET', 'PUT'] }";
    let gateway = with("http://a.test", "", routes);

    let response = ask(gateway.address(), "DELETE /a", &[]).await;

    assert_eq!(response.header("allow"), ["GET, PUT"]);
    assert_problem(&gateway, &response, 405, ("none", "method")).await;
}

#[tokio::test]
async fn a_path_that_could_be_read_in_two_ways_is_400() {
    let gateway = to("http://a.test", "");

    let response = ask(gateway.address(), "GET /a/..%2fb", &[]).await;

    assert_problem(&gateway, &response, 400, ("none", "bad_path")).await;
}

#[tokio::test]
async fn a_uri_that_is_too_long_is_414() {
    let gateway = to("http://a.test", "");

    let response = ask(gateway.address(), &format!("GET /{}", "a".repeat(200)), &[]).await;

    assert_problem(&gateway, &response, 414, ("none", "uri_too_long")).await;
}

#[tokio::test]
async fn headers_that_are_too_large_are_431() {
    let gateway = to("http://a.test", "");

    let header = format!("x-large: {}", "a".repeat(2000));
    let response = ask(gateway.address(), "GET /", &[&header]).await;

    assert_problem(&gateway, &response, 431, ("none", "header_block_too_large")).await;
}

#[tokio::test]
async fn a_body_that_is_declared_too_large_is_413() {
    let gateway = to("http://a.test", "");

    let request =
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\nconnection: close\r\n\r\nhello world";
    let response = exchange(gateway.address(), request).await;

    assert_problem(&gateway, &response, 413, ("none", "body_too_large")).await;
}

const CHUNKED: &str = "host: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
    8\r\nhello wo\r\n8\r\nrld, you\r\n0\r\n\r\n";

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_413_and_no_failure_of_the_upstream() {
    let upstream = Upstream::answering(OK).await;
    let gateway = to(&url(&upstream), "");

    let response = exchange(gateway.address(), format!("POST / HTTP/1.1\r\n{CHUNKED}")).await;

    assert_problem(&gateway, &response, 413, ("/", "body_too_large")).await;
    assert_eq!(all_failures(&gateway).await, 0.0);
}

#[tokio::test]
async fn a_missing_token_is_401_with_a_challenge() {
    let routes = "{ path = '/', upstream = 'a', jwt_auth = { issuers = ['test'], realm = 'r' } }";
    let gateway = with("http://a.test", "", routes);

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_eq!(response.header("www-authenticate"), ["Bearer realm=\"r\""]);
    assert_problem(&gateway, &response, 401, ("/", "missing_token")).await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_502_by_the_connection() {
    let gateway = to(&nobody().await, "");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_problem(&gateway, &response, 502, ("/", "upstream_connect")).await;
    assert_eq!(failures(&gateway, "connect").await, 1.0);
}

#[tokio::test]
async fn an_upstream_without_tls_is_502_by_the_handshake() {
    let upstream = Upstream::answering(OK).await;
    let plain = Upstream::serving(|mut socket: TcpStream, _| async move {
        drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
    })
    .await;
    let gateway = to(&format!("https://{}", plain.address()), "");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_problem(&gateway, &response, 502, ("/", "upstream_handshake")).await;
    assert_eq!(failures(&gateway, "handshake").await, 1.0);
    drop(upstream);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_504() {
    let silent = Upstream::answering("").await;
    let gateway =
        to(&format!("https://{}", silent.address()), "timeouts = { tls_handshake = '100ms' }");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_problem(&gateway, &response, 504, ("/", "upstream_handshake_timeout")).await;
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_502_by_the_headers() {
    let upstream = Upstream::answering("220 mail.test ESMTP\r\n\r\n").await;
    let gateway = to(&url(&upstream), "");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_problem(&gateway, &response, 502, ("/", "upstream_headers")).await;
    assert_eq!(failures(&gateway, "headers").await, 1.0);
}

#[tokio::test]
async fn an_upstream_that_closes_instead_of_answering_is_502_by_the_headers() {
    let upstream = Upstream::serving(|mut socket: TcpStream, _| async move {
        drop(portcullis_tests::read_request(&mut socket).await);
    })
    .await;
    let gateway = to(&url(&upstream), "");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_problem(&gateway, &response, 502, ("/", "upstream_headers")).await;
    assert_eq!(failures(&gateway, "headers").await, 1.0);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_504() {
    let upstream = Upstream::answering("").await;
    let gateway = to(&url(&upstream), "timeouts = { response_header = '100ms' }");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_problem(&gateway, &response, 504, ("/", "upstream_headers_timeout")).await;
    assert_eq!(failures(&gateway, "headers").await, 1.0);
}

#[tokio::test]
async fn a_request_that_is_out_of_time_is_504() {
    let upstream = Upstream::answering("").await;
    let routes = "{ path = '/', upstream = 'a', timeout = '100ms' }";
    let gateway = with(&url(&upstream), "", routes);

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_problem(&gateway, &response, 504, ("/", "request_timeout")).await;
}

#[tokio::test]
async fn a_response_that_breaks_off_breaks_off_at_the_client_and_is_counted() {
    let upstream = Upstream::serving(|mut socket: TcpStream, _| async move {
        drop(portcullis_tests::read_request(&mut socket).await);
        drop(socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello").await);
    })
    .await;
    let gateway = to(&url(&upstream), "");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_eq!((response.status, response.body.as_str()), (200, "hello"));
    assert_eq!(response.header("content-length"), ["10"]);
    assert_counted(&gateway, "/", "upstream_body").await;
}

#[tokio::test]
async fn a_request_body_that_is_no_body_is_400_and_no_failure_of_the_upstream() {
    let upstream = Upstream::answering(OK).await;
    let gateway = to(&url(&upstream), "");

    let request =
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nno size\r\n";
    let response = exchange(gateway.address(), request).await;

    assert_problem(&gateway, &response, 400, ("/", "client_body")).await;
    assert_eq!(all_failures(&gateway).await, 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body_is_499_and_no_failure_of_the_upstream() {
    let upstream = Upstream::serving(|socket: TcpStream, seen| async move {
        // The head is enough to know that the request is on its way.
        socket.readable().await.unwrap();
        drop(seen);
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = to(&url(&upstream), "");
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();

    socket
        .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello")
        .await
        .unwrap();
    let opened = r#"portcullis_upstream_connections_total{upstream="a",replica="one"}"#;
    gateway.until_metric(opened, 1.0).await;
    drop(socket);
    gateway.until_metric("portcullis_requests_in_flight", 0.0).await;

    let labels = r#"route="/",method="POST",status="#;
    let left = gateway.metric(&format!("portcullis_requests_total{{{labels}\"499\"}}")).await;
    assert_eq!(left, 1.0);
    assert_eq!(all_failures(&gateway).await, 0.0);
}

#[tokio::test]
async fn a_refusal_does_not_tell_which_upstream_failed_and_how() {
    let url = nobody().await;
    let gateway = to(&url, "");

    let response = ask(gateway.address(), "GET /", &[]).await;

    assert_eq!(response.status, 502, "{response:?}");
    let port = url.rsplit(':').next().unwrap();
    for secret in [port, "one", "127.0.0.1", "os error"] {
        assert!(!response.body.contains(secret), "{secret} in {response:?}");
    }
}

#[tokio::test]
async fn an_error_of_the_upstreams_own_is_passed_on_as_it_is() {
    let answer =
        "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nmine";
    let upstream = Upstream::answering(answer).await;
    let gateway = to(&url(&upstream), "");

    let response = ask(gateway.address(), "GET /", &[]).await;
    let scrape = ask(gateway.admin(), "GET /metrics", &[]).await.body;

    assert_eq!((response.status, response.body.as_str()), (502, "mine"));
    assert_eq!(response.header("content-type"), ["text/plain"]);
    assert!(!scrape.contains("portcullis_refusals_total{"), "{scrape}");
}

#[tokio::test]
async fn a_refused_head_has_the_headers_of_the_words_alone() {
    let gateway = with("http://a.test", "", "{ path = '/a', upstream = 'a' }");

    let response = ask(gateway.address(), "HEAD /b", &[]).await;

    assert_eq!((response.status, response.body.as_str()), (404, ""));
    assert_eq!(response.header("content-type"), ["application/problem+json"]);
}

#[tokio::test]
async fn s3_clients_are_asked_for_a_token_in_xml() {
    let gateway = to_s3("http://a.test");

    let response = ask(gateway.address(), "GET /guarded/key", &[]).await;

    assert_eq!(response.header("www-authenticate"), ["Bearer"]);
    let counted = ("/guarded", "missing_token");
    assert_s3_error(&gateway, &response, (401, "AccessDenied"), counted).await;
    assert!(response.body.contains("<Resource>/guarded/key</Resource>"), "{response:?}");
}

#[tokio::test]
async fn s3_clients_are_forbidden_in_xml() {
    let gateway = to_s3("http://a.test");

    let token = token(&json!({ "role": "stranger", "exp": in_an_hour() }));
    let header = format!("authorization: Bearer {token}");
    let response = ask(gateway.address(), "GET /guarded/key", &[&header]).await;

    let counted = ("/guarded", "forbidden");
    assert_s3_error(&gateway, &response, (403, "AccessDenied"), counted).await;
}

#[tokio::test]
async fn s3_clients_are_told_in_xml_that_a_body_is_too_large() {
    let upstream = Upstream::answering(OK).await;
    let gateway = to_s3(&url(&upstream));

    let response =
        exchange(gateway.address(), format!("PUT /open/key HTTP/1.1\r\n{CHUNKED}")).await;

    let counted = ("/open", "body_too_large");
    assert_s3_error(&gateway, &response, (413, "EntityTooLarge"), counted).await;
}

#[tokio::test]
async fn s3_clients_are_told_in_xml_that_their_body_did_not_come() {
    let upstream = Upstream::answering(OK).await;
    let gateway = InProcess::start(&format!(
        "listener = [{{ address = '127.0.0.1:0', timeouts = {{ request_body = '100ms' }} }}]
         admin = {{ address = '127.0.0.1:0' }}
         credentials.k = {{ access_key = 'AKTEST', secret_key = 'a secret' }}
         route = [{{ path = '/', upstream = 'a' }}]
         [upstream.a]
         replica = [{{ name = 'one', url = '{}' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'k' }}",
        url(&upstream)
    ));

    // A small body is collected before it is signed, a large one signed on its way.
    for length in [9, 9 << 20] {
        let head = format!("PUT /key HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\nhalf");
        let response = exchange(gateway.address(), head).await;

        assert_eq!(response.status, 408, "{length}: {response:?}");
        assert!(response.body.contains("<Error><Code>RequestTimeout</Code>"), "{response:?}");
    }
    let series = "circuit_breaker_calls_total{name=\"a/one\",outcome=\"failure\"}";
    assert_eq!(gateway.metric(series).await, 0.0);
}

#[tokio::test]
async fn s3_clients_are_told_in_xml_what_is_wrong_with_their_signature() {
    let route =
        "{ path = '/', upstream = 'a', sigv4_verify = { service = 's3', credentials = ['k'] } }";
    let gateway = with("http://a.test", "", route);
    let signature = format!(
        "authorization: AWS4-HMAC-SHA256 Credential=AKTEST/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}",
        "0".repeat(64)
    );
    let date = "x-amz-date: 20130524T000000Z";
    let hash = "x-amz-content-sha256: UNSIGNED-PAYLOAD";

    let unsigned = ask(gateway.address(), "GET /key", &[]).await;
    let late = ask(gateway.address(), "GET /key", &[&signature, date, hash]).await;

    for (response, code) in [(unsigned, "AccessDenied"), (late, "RequestTimeTooSkewed")] {
        assert_eq!(response.status, 403, "{response:?}");
        assert!(response.body.contains(&format!("<Error><Code>{code}</Code>")), "{response:?}");
    }
}

#[tokio::test]
async fn s3_clients_are_told_in_xml_what_is_refused_before_it_comes_to_its_route() {
    let gateway = to_s3("http://a.test");

    let rest = "host: a\r\ncontent-length: 11\r\nconnection: close\r\n\r\nhello world";
    let response = exchange(gateway.address(), format!("PUT /open/key HTTP/1.1\r\n{rest}")).await;

    let counted = ("none", "body_too_large");
    assert_s3_error(&gateway, &response, (413, "EntityTooLarge"), counted).await;
}

#[tokio::test]
async fn s3_clients_are_told_in_xml_that_the_storage_does_not_know_the_gateway() {
    let error =
        "<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKTEST</AWSAccessKeyId></Error>";
    let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{error}", error.len());
    let upstream = Upstream::answering(answer).await;
    let gateway = to_s3(&url(&upstream));

    let response = ask(gateway.address(), "GET /open/key", &[]).await;

    assert!(!response.body.contains("AKTEST"), "{response:?}");
    let counted = ("/open", "upstream_credentials");
    assert_s3_error(&gateway, &response, (502, "ServiceUnavailable"), counted).await;
}

#[tokio::test]
async fn s3_clients_are_told_in_xml_that_the_upstream_is_away() {
    let gateway = to_s3(&nobody().await);

    let response = ask(gateway.address(), "GET /open/key", &[]).await;

    let counted = ("/open", "upstream_connect");
    assert_s3_error(&gateway, &response, (502, "ServiceUnavailable"), counted).await;
}

#[tokio::test]
async fn s3_clients_are_told_in_xml_that_a_method_is_not_allowed() {
    let gateway = to_s3("http://a.test");

    let response = ask(gateway.address(), "PUT /read/key", &[]).await;

    assert_eq!(response.header("allow"), ["GET, HEAD"]);
    let counted = ("none", "method");
    assert_s3_error(&gateway, &response, (405, "MethodNotAllowed"), counted).await;
}

/// What a gRPC call of a message of this length is answered: headers that end the stream.
async fn grpc(to: SocketAddr, path: &str, length: usize) -> HeaderMap {
    let mut client = http2(to).await;
    let request = Request::post(format!("http://a.test{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(vec![0; length])));
    let response = client.send_request(request.unwrap()).await.unwrap();

    let (head, body) = response.into_parts();
    assert_eq!(
        (head.status.as_u16(), &head.headers["content-type"]),
        (200, &"application/grpc".parse().unwrap())
    );
    assert!(head.headers.contains_key("x-request-id"));
    let body = body.collect().await.unwrap();
    assert!(body.trailers().is_none(), "a refusal has no trailers but its headers");
    assert!(body.to_bytes().is_empty());
    head.headers
}

#[tokio::test]
async fn a_grpc_call_without_a_token_is_unauthenticated() {
    let routes = "{ path = '/', upstream = 'a', jwt_auth = { issuers = ['test'] } }";
    let gateway = with("http://a.test", "", routes);

    let told = grpc(gateway.address(), "/s/m", 5).await;

    assert_eq!(
        (&told["grpc-status"], &told["grpc-message"]),
        (&"16".parse().unwrap(), &"a token is required".parse().unwrap())
    );
    assert_eq!(told["www-authenticate"], "Bearer");
    assert_counted(&gateway, "/", "missing_token").await;
}

#[tokio::test]
async fn a_grpc_call_of_an_unknown_path_is_unimplemented() {
    let gateway = with("http://a.test", "", "{ path = '/a', upstream = 'a' }");

    let told = grpc(gateway.address(), "/s/m", 5).await;

    assert_eq!(told["grpc-status"], "12");
    assert_counted(&gateway, "none", "no_route").await;
}

#[tokio::test]
async fn a_grpc_call_of_an_upstream_that_is_not_there_is_unavailable() {
    let gateway = to(&nobody().await, "");

    let told = grpc(gateway.address(), "/s/m", 5).await;

    assert_eq!(told["grpc-status"], "14");
    assert_counted(&gateway, "/", "upstream_connect").await;
}

#[tokio::test]
async fn a_grpc_call_that_is_too_large_has_exhausted_a_resource() {
    let gateway = to("http://a.test", "");

    let told = grpc(gateway.address(), "/s/m", 11).await;

    assert_eq!(told["grpc-status"], "8");
    assert_counted(&gateway, "none", "body_too_large").await;
}

#[tokio::test]
async fn a_grpc_call_that_the_upstream_does_not_answer_has_exceeded_its_deadline() {
    let upstream = Upstream::answering("").await;
    let gateway = to(&url(&upstream), "timeouts = { response_header = '100ms' }");

    let told = grpc(gateway.address(), "/s/m", 5).await;

    assert_eq!(told["grpc-status"], "4");
    assert_counted(&gateway, "/", "upstream_headers_timeout").await;
}

#[tokio::test]
async fn a_grpc_call_that_is_out_of_time_has_exceeded_its_deadline() {
    let upstream = Upstream::answering("").await;
    let routes = "{ path = '/', upstream = 'a', timeout = '100ms' }";
    let gateway = with(&url(&upstream), "", routes);

    let told = grpc(gateway.address(), "/s/m", 5).await;

    assert_eq!(told["grpc-status"], "4");
    assert_counted(&gateway, "/", "request_timeout").await;
}
