//! What is written of each request, what never is, and the id that ties it together.

use std::net::SocketAddr;

use portcullis_tests::{
    InProcess, Nowhere, Process, Upstream, exchange, gateway, get, read_request, send,
};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// One route for each test's purpose, all to one upstream.
fn to(upstream: SocketAddr) -> String {
    format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0' }}]
         log = {{ level = 'trace' }}
         request_id = {{ trusted = ['127.0.0.0/8'] }}
         credentials.a = {{ access_key = 'THE-ACCESS-KEY', secret_key = 'the-signing-secret' }}
         issuer.a = {{ keys = [{{ secret = '{TOKEN_SECRET}', algorithms = ['HS256'] }}] }}

         [upstream.a]
         replica = [{{ name = 'first', url = 'http://{upstream}' }}]

         [upstream.signed]
         replica = [{{ name = 'signed', url = 'http://{upstream}' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'a' }}

         [[route]]
         path = '/a'
         name = 'letters'
         methods = ['GET', 'POST']
         upstream = 'a'

         [[route]]
         path = '/token'
         upstream = 'signed'
         jwt_auth = {{ issuers = ['a'], sources = ['bearer', {{ query = 'token' }}, {{ cookie = 'session' }}] }}
         header_inject = {{ request = [{{ set = 'x-key', value = 'the-injected-secret', secret = true }}] }}"
    )
}

const TOKEN_SECRET: &str = "the-issuers-secret-0123456789abcdef";

fn token() -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(TOKEN_SECRET.as_bytes());
    let claims = serde_json::json!({ "sub": "the-subject", "exp": 4_102_444_800_u64 });
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

fn is_access(line: &str) -> bool {
    line.contains("\"target\":\"access\"")
}

/// What is written of the request of this path, which no other request of the test has.
async fn written_of(process: &mut Process, path: &str) -> Value {
    let path = format!("\"path\":\"{path}\"");
    let line = process.line(|line| is_access(line) && line.contains(&path)).await;
    serde_json::from_str(&line).expect("JSON")
}

#[tokio::test]
async fn a_request_is_a_line_of_json_that_tells_what_became_of_it() {
    let upstream = Upstream::answering(OK).await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(upstream.address())).await;

    let request = "POST /a/b?c=d HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
        content-length: 5\r\nx-request-id: id-1\r\n\r\nhello";
    exchange(gateway, request).await;
    let written = written_of(&mut process, "/a/b").await;

    let is = |key: &str, value: Value| assert_eq!(written[key], value, "{key} in {written}");
    is("level", "INFO".into());
    is("request_id", "id-1".into());
    is("method", "POST".into());
    is("path", "/a/b".into());
    is("route", "letters".into());
    is("replica", "first".into());
    is("attempts", 1.into());
    is("status", 200.into());
    is("request_bytes", 5.into());
    is("response_bytes", 2.into());
    is("reason", Value::Null);
    is("client", "127.0.0.1".into());
    assert!(written["client_port"].is_u64(), "{written}");
    is("peer", Value::Null);
    let (start, duration) = (written["start_ms"].as_f64(), written["duration_ms"].as_f64());
    assert!(0.0 < start.unwrap() && start <= duration, "{written}");
}

#[tokio::test]
async fn every_request_is_written_down_once() {
    let upstream = Upstream::answering(OK).await;
    let (process, gateway, _) = Process::serve(GATEWAY, &to(upstream.address())).await;

    for path in ["/a", "/a", "/none", "/token", "/a/../../x", "/a"] {
        get(gateway, path).await;
    }
    process.signal("TERM").await;
    let (_, written) = process.end().await;

    assert_eq!(written.iter().filter(|line| is_access(line)).count(), 6);
}

#[tokio::test]
async fn neither_query_nor_token_nor_credential_is_ever_written() {
    let upstream = Upstream::answering(OK).await;
    let (process, gateway, _) = Process::serve(GATEWAY, &to(upstream.address())).await;
    let token = token();

    let ask = async |target: &str, header: &str| {
        let head = "HTTP/1.1\r\nhost: a\r\nconnection: close";
        exchange(gateway, format!("GET {target} {head}\r\n{header}\r\n\r\n")).await.status
    };
    let answers = [
        ask(&format!("/token/a?token={token}&q=the-query-secret"), "x-a: the-header-secret").await,
        ask("/token/b?q=the-query-secret", &format!("authorization: Bearer {token}")).await,
        ask("/token/c", &format!("cookie: session={token}; other=the-cookie-secret")).await,
        ask("/token/d?token=the-query-secret", "cookie: session=the-cookie-secret").await,
        ask("/token/e", "authorization: Bearer the-header-secret").await,
        ask("/none?q=the-query-secret", "authorization: Basic dGhlLWhlYWRlci1zZWNyZXQ=").await,
    ];
    process.signal("TERM").await;
    let (_, written) = process.end().await;
    let written = written.join("\n");

    // The fourth names two tokens.
    assert_eq!(answers, [200, 200, 200, 400, 401, 404]);
    let signature = token.rsplit('.').next().unwrap();
    for secret in [signature, "-secret", "dGhlL", "THE-ACCESS-KEY", "AWS4-HMAC", "the-subject"] {
        assert!(!written.contains(secret), "{secret} is in {written}");
    }
    assert!(written.contains("/token/a") && written.contains("/none"), "{written}");
}

#[tokio::test]
async fn a_refused_request_is_written_down_with_its_reason() {
    let nowhere = Nowhere::take();
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(nowhere.address())).await;

    let put = "PUT /a/put HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    exchange(gateway, put).await;
    for path in ["/none", "/token", "/a/broken"] {
        get(gateway, path).await;
    }

    for (path, route, status, reason) in [
        ("/none", "none", 404, "no_route"),
        ("/a/put", "none", 405, "method"),
        ("/token", "/token", 401, "missing_token"),
        ("/a/broken", "letters", 502, "upstream_connect"),
    ] {
        let written = written_of(&mut process, path).await;
        let told = (&written["route"], &written["status"], &written["reason"]);
        assert_eq!(told, (&route.into(), &status.into(), &reason.into()));
    }
}

#[tokio::test]
async fn an_unreachable_upstream_is_written_down_with_its_error_for_the_operator() {
    let nowhere = Nowhere::take();
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(nowhere.address())).await;

    let told = get(gateway, "/a/broken").await;
    let written = written_of(&mut process, "/a/broken").await;

    let error = written["error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    assert!(!told.body.contains("refused"), "{}", told.body);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_written_down_as_499() {
    let mut upstream = Upstream::serving(|mut socket, seen| async move {
        let request = read_request(&mut socket).await.unwrap();
        seen.send(request).unwrap();
        // Never answered: the gateway hangs up when its client has.
        socket.read_u8().await.ok();
    })
    .await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(upstream.address())).await;

    let mut client = TcpStream::connect(gateway).await.unwrap();
    client.write_all(b"GET /a/left HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    upstream.seen().await;
    drop(client);
    let written = written_of(&mut process, "/a/left").await;

    assert_eq!(written["status"], 499);
    assert_eq!(written["reason"], "client_closed");
    assert_eq!(written["replica"], "first");
    assert_eq!(written["start_ms"], Value::Null);
}

#[tokio::test]
async fn a_client_that_leaves_within_the_answer_is_written_down_with_what_it_was_told() {
    let upstream = Upstream::serving(|mut socket, _| async move {
        read_request(&mut socket).await.unwrap();
        let begin = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin";
        socket.write_all(begin).await.unwrap();
        socket.read_u8().await.ok();
    })
    .await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(upstream.address())).await;

    let mut client = TcpStream::connect(gateway).await.unwrap();
    client.write_all(b"GET /a/left HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"begin") {
        bytes.push(client.read_u8().await.unwrap());
    }
    drop(client);
    let written = written_of(&mut process, "/a/left").await;

    assert_eq!(written["status"], 200);
    assert_eq!(written["reason"], "client_closed");
    assert_eq!(written["response_bytes"], 5);
}

#[tokio::test]
async fn bytes_that_are_no_request_are_written_down_too() {
    let upstream = Upstream::answering(OK).await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(upstream.address())).await;

    send(gateway, "this is no HTTP\r\n\r\n").await;
    let written = process.line(|line| line.contains("a connection was refused")).await;

    assert!(written.contains("\"reason\":\"not_http\""), "{written}");
}

#[tokio::test]
async fn text_is_for_people_where_it_is_asked_for() {
    let upstream = Upstream::answering(OK).await;
    let config = to(upstream.address());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, config.replace("level = 'trace'", "format = 'text'")).unwrap();

    let mut process = Process::start(GATEWAY, &["run", "--config", file.to_str().unwrap()]);
    let line = process.line(|line| line.contains("serving")).await;

    assert!(line.contains("INFO") && !line.starts_with('{'), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours where there is no terminal: {line}");
}

/// What id the client, the upstream and the log know a request by.
async fn ids(headers: &str) -> [String; 3] {
    let mut upstream = Upstream::answering(OK).await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &to(upstream.address())).await;

    let request = format!("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let response = exchange(gateway, request).await;
    let seen = upstream.seen().await;
    let written = written_of(&mut process, "/a").await;

    let told = response.header("x-request-id");
    let passed = seen.header("x-request-id");
    assert_eq!((told.len(), passed.len()), (1, 1));
    let written = written["request_id"].as_str().unwrap().to_owned();
    [told[0].to_owned(), passed[0].to_owned(), written]
}

#[tokio::test]
async fn a_valid_id_of_a_trusted_client_is_kept_everywhere() {
    let ids = ids("x-request-id: Root=1-67891233:a/b+c.d_e\r\n").await;

    assert_eq!(ids, ["Root=1-67891233:a/b+c.d_e"; 3]);
}

#[tokio::test]
async fn an_id_that_is_not_valid_is_replaced_by_the_same_new_one_everywhere() {
    let long = format!("x-request-id: {}\r\n", "a".repeat(129));
    for headers in [
        "",
        "x-request-id:\r\n",
        "x-request-id: one two\r\n",
        "x-request-id: {\"a\":1}\r\n",
        "x-request-id: \u{fc}\r\n",
        "x-request-id: one\r\nx-request-id: two\r\n",
        &long,
    ] {
        let [told, passed, written] = ids(headers).await;

        assert_eq!((&passed, &written), (&told, &told), "{headers}");
        assert_eq!(told.len(), 36, "{headers}");
        assert_eq!(told.as_bytes()[14], b'7', "a UUID of version 7, unlike {told}");
    }
}

#[tokio::test]
async fn an_upstream_cannot_name_the_request() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-request-id: theirs\r\n\r\n";
    let mut upstream = Upstream::answering(answer).await;
    let gateway = gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    ));

    let response = get(gateway.address(), "/").await;
    let seen = upstream.seen().await;

    assert_eq!(response.header("x-request-id"), seen.header("x-request-id"));
}

#[tokio::test]
async fn every_response_of_the_stack_names_its_request() {
    let nowhere = Nowhere::take();
    let config = to(nowhere.address()).replace("level = 'trace'", "level = 'off'");
    let gateway = InProcess::start(&config);

    let long = format!("/a?{}", "a".repeat(20_000));
    for (target, status) in
        [("/none", 404), ("/token", 401), ("/a", 502), ("/a%2", 400), (long.as_str(), 414)]
    {
        let response = get(gateway.address(), target).await;

        assert_eq!(response.status, status, "{target:.20}");
        assert_eq!(response.header("x-request-id").len(), 1, "{target:.20}");
    }
}

/// The same, without what only those who look for a fault want to know.
fn quiet(upstream: SocketAddr) -> String {
    to(upstream).replace("level = 'trace'", "level = 'info'")
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_neither_requests_nor_the_drain() {
    let upstream = Upstream::answering(OK).await;
    let (mut process, gateway, _) = Process::serve(GATEWAY, &quiet(upstream.address())).await;

    // Many times what a pipe holds.
    let path = format!("/none/{}", "a".repeat(8000));
    for _ in 0..100 {
        assert_eq!(get(gateway, &path).await.status, 404);
    }
    process.signal("TERM").await;

    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn what_a_slow_reader_of_the_log_misses_is_counted() {
    let upstream = Upstream::answering(OK).await;
    let config = format!("admin.address = '127.0.0.1:0'\n{}", quiet(upstream.address()));
    let (process, gateway, admin) = Process::serve(GATEWAY, &config).await;
    let admin = admin.unwrap();

    let path = format!("/none/{}", "a".repeat(8000));
    let dropped = async || {
        let text = get(admin, "/metrics").await.body;
        let line = text.lines().find(|line| line.starts_with("portcullis_log_lines_dropped_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap()
    };
    let mut asked = 0;
    while dropped().await == 0 {
        for _ in 0..50 {
            get(gateway, &path).await;
        }
        asked += 50;
        assert!(asked < 5000, "never dropped");
    }
    let dropped = dropped().await;
    assert!(dropped < asked, "all of them");
    process.signal("TERM").await;
    let (status, written) = process.end().await;

    assert_eq!(status.code(), Some(0));
    let lines = written.iter().filter(|line| is_access(line)).count();
    assert_eq!(u64::try_from(lines).unwrap() + dropped, asked);
    assert!(written.iter().any(|line| line.contains("lines of the log were dropped")));
}
