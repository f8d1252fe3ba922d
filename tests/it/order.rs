//! The reasons for the order of the stack, each as what would be seen if it were otherwise.

use std::fs::write;
use std::net::SocketAddr;

use portcullis_tests::{
    Connection, ISSUER, InProcess, Process, Response, Upstream, ask, exchange, gateway, get,
    in_an_hour, token,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const GUARDED: &str = "jwt_auth = { issuers = ['test'] }";

/// An upstream and a route to it, which also says `route`.
fn to(address: SocketAddr, route: &str) -> String {
    format!(
        "{ISSUER}
         upstream.a = {{ replica = [{{ name = 'one', url = 'http://{address}' }}] }}
         route = [{{ path = '/a', upstream = 'a', {route} }}]"
    )
}

/// The same for an upstream that wants signatures, and a route that injects `x-amz-meta-origin`.
fn signed_to(s3: SocketAddr, (access_key, secret_key): (&str, &str), route: &str) -> String {
    format!(
        "credentials.k = {{ access_key = '{access_key}', secret_key = '{secret_key}' }}
         [upstream.s3]
         replica = [{{ name = 'one', url = 'http://{s3}/photos' }}]
         sigv4_sign = {{ service = 's3', region = 'eu-west-1', credentials = 'k' }}
         [[route]]
         path = '/s3'
         upstream = 's3'
         strip_prefix = true
         header_inject.request = [{{ set = 'x-amz-meta-origin', value = 'gateway' }}]
         {route}"
    )
}

const KEYS: (&str, &str) = ("AKTEST", "a secret key");

fn bearer() -> String {
    format!("authorization: Bearer {}", token(&json!({ "sub": "alice", "exp": in_an_hour() })))
}

#[tokio::test]
async fn what_connection_names_is_gone_before_anything_is_injected() {
    let mut upstream = Upstream::answering(OK).await;
    let inject = "header_inject.request = [{ set = 'x-feature', value = 'on' }]";
    let gateway = gateway(&to(upstream.address(), inject));

    let headers = ["connection: x-feature, x-other", "x-feature: off", "x-other: 1"];
    ask(gateway.address(), "GET /a", &headers).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("x-feature"), ["on"]);
    assert_eq!((seen.header("connection"), seen.header("x-other")), (vec![], vec![]));
}

#[tokio::test]
async fn a_forged_header_that_a_rule_sets_or_removes_does_not_survive() {
    let mut upstream = Upstream::answering(OK).await;
    let inject = "header_inject.request = \
        [{ set = 'x-user', value = 'gateway' }, { remove = 'x-internal' }]";
    let gateway = gateway(&to(upstream.address(), inject));

    let forged = ["x-user: root", "X-User: root", "x_user: root", "x-internal: 1", "x_internal: 1"];
    ask(gateway.address(), "GET /a", &forged).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("x-user"), ["gateway"]);
    for name in ["x_user", "x-internal", "x_internal"] {
        assert_eq!(seen.header(name), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn a_consumed_token_is_gone_before_the_upstreams_own_credential_is_injected() {
    let mut upstream = Upstream::answering(OK).await;
    let inject = "header_inject.request = \
        [{ set_if_absent = 'authorization', value = 'Basic c2VjcmV0', allow_protected = true }]";
    let gateway = gateway(&to(upstream.address(), &format!("{GUARDED}, {inject}")));

    let response = ask(gateway.address(), "GET /a", &[&bearer()]).await;

    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(upstream.seen().await.header("authorization"), ["Basic c2VjcmV0"]);
}

#[tokio::test]
async fn nobody_connects_to_an_upstream_for_a_request_without_a_token() {
    let mut upstream = Upstream::answering(OK).await;
    // Without an admin listener there are no probes, which would connect, too.
    let listener = "workers = 1\nlistener = [{ address = '127.0.0.1:0' }]\n";
    let config = format!("{listener}{}", to(upstream.address(), GUARDED));
    let gateway = InProcess::start(&config);

    let refused = ask(gateway.address(), "GET /a", &[]).await;

    assert_eq!(refused.status, 401);
    assert_eq!((upstream.connections(), upstream.saw_nothing()), (0, true));
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_routed() {
    let upstream = Upstream::answering(OK).await;
    let ceilings = "request_guard = { max_uri = 100, max_header_block = 1000, max_body = 10 }\n";
    let gateway = gateway(&format!("{ceilings}{}", to(upstream.address(), GUARDED)));

    let uri = ask(gateway.address(), &format!("GET /nowhere/{}", "a".repeat(100)), &[]).await;
    let header = format!("x-large: {}", "a".repeat(1000));
    let header = ask(gateway.address(), "GET /nowhere", &[&header]).await;
    let body = "POST /nowhere HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\
        connection: close\r\n\r\nhello world";
    let body = exchange(gateway.address(), body).await;

    assert_eq!([uri.status, header.status, body.status], [414, 431, 413]);
}

#[tokio::test]
async fn what_is_unfit_is_refused_before_anyone_asks_for_a_token() {
    let mut upstream = Upstream::answering(OK).await;
    let guard = "request_guard = { methods = ['GET'] }";
    let gateway = gateway(&to(upstream.address(), &format!("{GUARDED}, {guard}")));

    assert_eq!(ask(gateway.address(), "DELETE /a", &[]).await.status, 405);
    assert_eq!(ask(gateway.address(), "GET /a/%252e%252e/b", &[]).await.status, 400);
    assert_eq!(ask(gateway.address(), "GET /a", &[]).await.status, 401);
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_preflight_is_answered_before_the_guard_and_before_anyone_asks_for_a_token() {
    let mut upstream = Upstream::answering(OK).await;
    let guard = "request_guard = { methods = ['GET'], headers = ['x-version'] }";
    let cors = "cors = { origins = ['https://app.test'] }";
    let gateway = gateway(&to(upstream.address(), &format!("{GUARDED}, {guard}, {cors}")));

    let headers = ["origin: https://app.test", "access-control-request-method: GET"];
    let preflight = ask(gateway.address(), "OPTIONS /a", &headers).await;
    let request = ask(gateway.address(), "DELETE /a", &headers[..1]).await;

    let allowed = |response: &Response| response.header("access-control-allow-origin").concat();
    assert_eq!((preflight.status, allowed(&preflight)), (200, "https://app.test".to_owned()));
    assert_eq!((request.status, allowed(&request)), (405, "https://app.test".to_owned()));
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn the_host_is_the_replicas_whatever_the_client_says() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(upstream.address(), ""));

    let absolute =
        "GET http://evil.test/a HTTP/1.1\r\nhost: evil.test\r\nconnection: close\r\n\r\n";
    exchange(gateway.address(), absolute).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("host"), [upstream.address().to_string()]);
    assert_eq!(seen.line(), "GET /a HTTP/1.1");
}

#[tokio::test]
async fn what_is_injected_and_the_host_of_the_replica_are_signed() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&signed_to(upstream.address(), KEYS, ""));

    ask(gateway.address(), "GET /s3/key", &["x-amz-meta-origin: client"]).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("x-amz-meta-origin"), ["gateway"]);
    assert_eq!(seen.header("host"), [upstream.address().to_string()]);
    let names = signed_headers(seen.header("authorization")[0]);
    assert_eq!(names, ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-origin"]);
}

fn signed_headers(authorization: &str) -> Vec<&str> {
    let names = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    names.split(';').collect()
}

#[tokio::test]
async fn nothing_is_changed_after_it_is_signed() {
    let (_process, facts) = Process::demo(env!("CARGO_BIN_EXE_gateway")).await;
    let s3 = facts["S3"].strip_prefix("http://").unwrap().parse().unwrap();
    let gateway = gateway(&signed_to(s3, (&facts["ACCESS_KEY"], &facts["SECRET_KEY"]), ""));

    let put = "PUT /s3/a%20new+key HTTP/1.1\r\nhost: client.test\r\ncontent-length: 5\r\n\
        content-type: text/plain\r\nconnection: close, x-amz-meta-origin\r\nte: trailers\r\n\r\nhello";
    let put = exchange(gateway.address(), put).await;
    let head = ask(gateway.address(), "HEAD /s3/a%20new%2Bkey", &[]).await;

    // The server computes each signature anew from what has reached it.
    assert_eq!((put.status, head.status), (200, 200), "{put:?}\n{head:?}");
    assert_eq!(head.header("x-amz-meta-origin"), ["gateway"]);
    assert_eq!(head.header("content-length"), ["5"]);
}

#[tokio::test]
async fn a_clients_own_signature_does_not_reach_the_replica() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&signed_to(upstream.address(), KEYS, ""));

    let forged = [
        "authorization: AWS4-HMAC-SHA256 Credential=EVIL/20200101/eu-west-1/s3/aws4_request",
        "x-amz-date: 20200101T000000Z",
        "x-amz-security-token: evil",
    ];
    ask(gateway.address(), "GET /s3/key", &forged).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("authorization").len(), 1);
    assert!(seen.header("authorization")[0].contains("Credential=AKTEST/"), "{}", seen.head);
    assert_ne!(seen.header("x-amz-date"), ["20200101T000000Z"]);
    assert_eq!(seen.header("x-amz-security-token"), [""; 0]);
}

#[tokio::test]
async fn the_time_of_a_request_runs_while_its_body_is_collected_for_the_signature() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&signed_to(upstream.address(), KEYS, "timeout = '100ms'"));
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();

    let half =
        "PUT /s3/key HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhel";
    socket.write_all(half.as_bytes()).await.unwrap();
    let response = Response::parse(&portcullis_tests::read_to_end(&mut socket).await);

    assert_eq!(response.status, 504, "{response:?}");
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn who_is_not_let_in_by_address_is_not_asked_for_a_token_nor_sent_elsewhere() {
    let upstream = Upstream::answering(OK).await;
    let nobody = "addresses = { allow = [] }";
    let gateway = gateway(&format!(
        "{},\n{{ path = '/moved', redirect = {{ host = 'b.test' }}, {GUARDED}, {nobody} }}]",
        to(upstream.address(), &format!("{GUARDED}, {nobody}")).trim_end_matches(']')
    ));

    for path in ["/a", "/moved"] {
        let response = ask(gateway.address(), &format!("GET {path}"), &[]).await;
        assert_eq!(response.status, 403, "{path}: {response:?}");
        assert_eq!(response.header("www-authenticate"), [""; 0], "{path}");
    }
}

#[tokio::test]
async fn what_the_gateway_tells_upstreams_does_not_count_among_what_a_client_may_send() {
    let mut upstream = Upstream::answering(OK).await;
    let most = "via = 'gateway-1'\nforwarded = { forwarded = 'write' }\n\
        request_guard = { max_header_count = 4 }\n";
    let gateway = gateway(&format!("{most}{}", to(upstream.address(), "")));

    // With `host` and the id; `connection` is gone by then.
    let response = ask(gateway.address(), "GET /a", &["x-own: 1", "x-two: 2"]).await;
    let seen = upstream.seen().await;

    assert_eq!(response.status, 200, "{response:?}");
    for name in ["via", "forwarded", "x-forwarded-for", "x-forwarded-port", "x-own"] {
        assert_eq!(seen.header(name).len(), 1, "{name} in {}", seen.head);
    }
    let more = ask(gateway.address(), "GET /a", &["x-own: 1", "x-two: 2", "x-three: 3"]).await;
    assert_eq!(more.status, 431, "{more:?}");
}

#[tokio::test]
async fn a_rule_of_a_route_has_the_last_word_on_what_upstreams_are_told() {
    let mut upstream = Upstream::answering(OK).await;
    let inject = "header_inject.request = \
        [{ remove = 'x-forwarded-for' }, { set = 'x-forwarded-host', value = 'own.test' }]";
    let gateway = gateway(&to(upstream.address(), inject));

    ask(gateway.address(), "GET /a", &[]).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("x-forwarded-for"), [""; 0]);
    assert_eq!(seen.header("x-forwarded-host"), ["own.test"]);
    assert_eq!(seen.header("x-forwarded-proto"), ["http"]);
}

#[tokio::test]
async fn a_request_has_one_id_at_the_client_at_the_upstream_and_in_between() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(upstream.address(), ""));

    let own = ask(gateway.address(), "GET /a", &["x-request-id: my-own", "x_request_id: b"]).await;
    let own_seen = upstream.seen().await;
    let given = ask(gateway.address(), "GET /a", &[]).await;
    let given_seen = upstream.seen().await;

    assert_eq!(own.header("x-request-id"), own_seen.header("x-request-id"));
    assert_ne!(own.header("x-request-id"), ["my-own"], "nobody is trusted by default");
    assert_eq!(own_seen.header("x_request_id"), [""; 0]);
    assert_eq!(given.header("x-request-id"), given_seen.header("x-request-id"));
    assert_eq!(given.header("x-request-id")[0].len(), 36);
}

#[tokio::test]
async fn whatever_refuses_is_counted_and_logged_with_the_id_that_the_client_has() {
    let upstream = Upstream::answering(OK).await;
    let dead = closed_port().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let config = format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0' }}
         request_guard = {{ max_body = 10 }}
         {ISSUER}
         upstream.a = {{ replica = [{{ name = 'one', url = 'http://{}' }}] }}
         upstream.dead = {{ replica = [{{ name = 'gone', url = 'http://{dead}' }}] }}
         route = [
           {{ path = '/a', upstream = 'a', {GUARDED} }},
           {{ path = '/dead', upstream = 'dead' }},
         ]",
        upstream.address()
    );
    write(&file, config).unwrap();
    let program = env!("CARGO_BIN_EXE_gateway");
    let (mut process, address, admin) = Process::run(program, &file).await;

    for (what, length, status, route, reason) in [
        ("POST /nowhere", 11, 413, "none", "body_too_large"),
        ("GET /nowhere", 0, 404, "none", "no_route"),
        ("GET /a", 0, 401, "/a", "missing_token"),
        ("GET /dead", 0, 502, "/dead", "upstream_connect"),
    ] {
        let response = ask(address, what, &[&format!("content-length: {length}")]).await;
        let id = response.header("x-request-id")[0];
        let line = process.line(|line| line.contains(id)).await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let metrics = get(admin.unwrap(), "/metrics").await.body;

        assert_eq!(response.status, status, "{what}");
        assert_eq!(line["request_id"], id, "{what}");
        assert_eq!(line["status"], status, "{what}");
        assert_eq!((&line["route"], &line["reason"]), (&json!(route), &json!(reason)), "{what}");
        let series =
            format!("portcullis_refusals_total{{route=\"{route}\",reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&series), "{series} in:\n{metrics}");
    }
}

/// An address where nobody listens.
async fn closed_port() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_client_that_leaves_before_it_is_answered_is_counted_all_the_same() {
    let mut upstream = Upstream::answering("").await;
    let gateway = gateway(&to(upstream.address(), ""));
    let mut socket = TcpStream::connect(gateway.address()).await.unwrap();

    socket.write_all(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    upstream.seen().await;
    drop(socket);

    let answered = r#"portcullis_requests_total{route="/a",method="GET",status="499"}"#;
    gateway.until_metric(answered, 1.0).await;
    let reason = r#"portcullis_refusals_total{route="/a",reason="client_closed"}"#;
    gateway.until_metric(reason, 1.0).await;
}

#[tokio::test]
async fn a_request_that_will_be_refused_is_in_flight_until_it_is() {
    let upstream = Upstream::answering(OK).await;
    let ceiling = "request_guard = { max_body = 10 }\n";
    let gateway = gateway(&format!("{ceiling}{}", to(upstream.address(), "")));
    let mut client = Connection::open(gateway.address()).await;

    client.write("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.write("8\r\nhello wo\r\n").await;
    let opened = r#"portcullis_upstream_connections_total{upstream="a",replica="one"}"#;
    gateway.until_metric(opened, 1.0).await;
    let during = gateway.inner().drain().in_flight();
    client.write("8\r\nrld, you\r\n0\r\n\r\n").await;
    let response = client.response().await;
    gateway.until_metric("portcullis_requests_in_flight", 0.0).await;

    assert_eq!((during, response.status), (1, 413));
    assert_eq!(gateway.inner().drain().in_flight(), 0);
}

#[tokio::test]
async fn a_refusal_asks_the_client_to_leave_like_any_response() {
    let upstream = Upstream::answering(OK).await;
    let drain = "drain = { linger = '1h', deadline = '2h' }\nrequest_guard = { max_body = 10 }\n";
    let gateway = gateway(&format!("{drain}{}", to(upstream.address(), GUARDED)));
    let exchange = async |request: &str| {
        let mut client = Connection::open(gateway.address()).await;
        client.write(request).await;
        client.response().await
    };
    let requests = [
        "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world",
        "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: a\r\n\r\n",
    ];

    for (request, status) in requests.into_iter().zip([413, 404, 401]) {
        let response = exchange(request).await;
        assert_eq!((response.status, response.header("connection")), (status, vec![]));
    }
    gateway.stop();
    gateway.until_metric("portcullis_drain_phase", 1.0).await;
    for (request, status) in requests.into_iter().zip([413, 404, 401]) {
        let response = exchange(request).await;
        assert_eq!((response.status, response.header("connection")), (status, vec!["close"]));
    }
}

/// An upstream `a` with the replicas `one` and `two`, each signed for with keys of its own, and the route `/a`.
fn both_signed(one: SocketAddr, two: SocketAddr, more: &str) -> String {
    let sign =
        |key: &str| format!("{{ service = 's3', region = 'eu-{key}', credentials = '{key}' }}");
    let (first, second) = (sign("one"), sign("two"));
    format!(
        "credentials.one = {{ access_key = 'AKONE', secret_key = 's' }}
         credentials.two = {{ access_key = 'AKTWO', secret_key = 's' }}
         [upstream.a]
         replica = [
           {{ name = 'one', url = 'http://{one}/first', sigv4_sign = {first} }},
           {{ name = 'two', url = 'http://{two}/second', sigv4_sign = {second}, priority = 2 }},
         ]
         [[route]]
         path = '/a'
         strip_prefix = true
         upstream = 'a'
         header_inject.request = [{{ append = 'x-amz-meta-origin', value = 'gateway' }}]
         {more}"
    )
}

const FAILED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn each_attempt_is_addressed_and_signed_anew() {
    let (mut one, mut two) = (Upstream::answering(FAILED).await, Upstream::answering(OK).await);
    let gateway = gateway(&both_signed(one.address(), two.address(), ""));

    let response = get(gateway.address(), "/a/key").await;
    let attempts =
        [(one.seen().await, &one, "first", "ONE"), (two.seen().await, &two, "second", "TWO")];

    assert_eq!(response.status, 200, "{response:?}");
    for (seen, upstream, base, key) in &attempts {
        assert_eq!(seen.line(), format!("GET /{base}/key HTTP/1.1"));
        assert_eq!(seen.header("host"), [upstream.address().to_string()]);
        let [authorization] = seen.header("authorization")[..] else { panic!("{seen:?}") };
        assert!(authorization.contains(&format!("Credential=AK{key}/")), "{authorization}");
        let region = format!("/eu-{}/s3/aws4_request", key.to_lowercase());
        assert!(authorization.contains(&region), "{authorization}");
    }
}

#[tokio::test]
async fn what_is_done_once_for_a_request_is_not_done_again_for_the_next_attempt() {
    let (one, mut two) = (Upstream::answering(FAILED).await, Upstream::answering(OK).await);
    let gateway = gateway(&both_signed(one.address(), two.address(), ""));

    get(gateway.address(), "/a/key").await;
    let seen = two.seen().await;

    assert_eq!(seen.header("x-amz-meta-origin"), ["gateway"]);
    assert_eq!(seen.line(), "GET /second/key HTTP/1.1");
}

#[tokio::test]
async fn a_circuit_sees_what_a_storage_said_though_clients_are_told_otherwise() {
    const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    let (one, two) = (Upstream::answering(ERROR).await, Upstream::answering(OK).await);
    let gateway = gateway(&both_signed(one.address(), two.address(), ""));

    let response = get(gateway.address(), "/a/key").await;

    assert_eq!(response.status, 200, "{response:?}");
    let failure = r#"circuit_breaker_calls_total{name="a/one",outcome="failure"}"#;
    assert_eq!(gateway.metric(failure).await, 1.0);
}

#[tokio::test]
async fn a_storage_that_does_not_know_the_gateway_is_left_for_the_next_and_not_blamed() {
    const DENIED: &str = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\n\
        content-length: 47\r\n\r\n<Error><Code>SignatureDoesNotMatch</Code></Error>";
    let denied = DENIED.replace("47", &DENIED.split("\r\n\r\n").nth(1).unwrap().len().to_string());
    let (one, two) = (Upstream::answering(denied).await, Upstream::answering(OK).await);
    let gateway = gateway(&both_signed(one.address(), two.address(), ""));

    let response = get(gateway.address(), "/a/key").await;

    assert_eq!(response.status, 200, "{response:?}");
    let neutral = r#"circuit_breaker_calls_total{name="a/one",outcome="neutral"}"#;
    assert_eq!(gateway.metric(neutral).await, 1.0);
}

#[tokio::test]
async fn a_circuit_sees_the_time_of_its_replica_run_out() {
    let silent = Upstream::serving(|mut socket, _| async move {
        drop(tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut Vec::new()).await);
    })
    .await;
    let two = Upstream::answering(OK).await;
    let config = format!(
        "[upstream.a]
         replica = [{{ name = 'one', url = 'http://{}' }}, {{ name = 'two', url = 'http://{}' }}]
         timeouts = {{ response_header = '100ms' }}
         [[route]]\npath = '/'\nupstream = 'a'\n",
        silent.address(),
        two.address()
    );
    let gateway = gateway(&config);

    let response = get(gateway.address(), "/").await;

    assert_eq!(response.status, 200, "{response:?}");
    let failure = r#"circuit_breaker_calls_total{name="a/one",outcome="failure"}"#;
    assert_eq!(gateway.metric(failure).await, 1.0);
    let late =
        r#"replica_failover_failovers_total{upstream="a",from="one",to="two",reason="timeout"}"#;
    assert_eq!(gateway.metric(late).await, 1.0);
}

#[tokio::test]
async fn a_client_that_breaks_its_upload_off_is_not_held_against_the_replica_nor_sent_on() {
    let one = Upstream::serving(|mut socket, seen| async move {
        drop(portcullis_tests::read_request(&mut socket).await.map(|request| seen.send(request)));
    })
    .await;
    let mut two = Upstream::answering(OK).await;
    let config = format!(
        "[upstream.a]
         replica = [{{ name = 'one', url = 'http://{}' }}, {{ name = 'two', url = 'http://{}' }}]
         [[route]]\npath = '/'\nupstream = 'a'\n",
        one.address(),
        two.address()
    );
    let gateway = gateway(&config);

    let mut client = Connection::open(gateway.address()).await;
    client
        .write("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n")
        .await;
    let told = client.response().await;

    assert_eq!(told.status, 400, "{told:?}");
    let neutral = r#"circuit_breaker_calls_total{name="a/one",outcome="neutral"}"#;
    gateway.until_metric(neutral, 1.0).await;
    assert!(two.saw_nothing());
}

/// The same as [`to`], for clients that are told by a proxy, and these limits.
fn limited_to(address: SocketAddr, limits: &str, route: &str) -> InProcess {
    InProcess::start(&format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0', proxy_protocol = {{ from = ['127.0.0.0/8'] }} }}]
         admin = {{ address = '127.0.0.1:0' }}
         {limits}
         {}",
        to(address, route)
    ))
}

/// Asks on behalf of a client.
async fn ask_for(gateway: &InProcess, client: &str, what: &str, headers: &[&str]) -> u16 {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let proxy = format!("PROXY TCP4 {client} 198.51.100.1 4711 80\r\n");
    let head = format!("{what} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    exchange(gateway.address(), proxy + &head).await.status
}

const BY_ADDRESS: &str =
    "limit.address = { rate = { quota = '2/h' }, key = 'address', exempt = { preflight = true } }
         edge = { rate_limit = ['address'] }";

#[tokio::test]
async fn a_scan_of_paths_that_are_not_there_pays_by_its_address() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = limited_to(upstream.address(), BY_ADDRESS, "");

    let one = "192.0.2.1";
    assert_eq!(ask_for(&gateway, one, "GET /.env", &[]).await, 404);
    assert_eq!(ask_for(&gateway, one, "GET /wp-login.php", &[]).await, 404);

    assert_eq!(ask_for(&gateway, one, "GET /a", &[]).await, 429);
    assert!(upstream.saw_nothing(), "who is refused reaches nobody");
    assert_eq!(ask_for(&gateway, "192.0.2.2", "GET /a", &[]).await, 200);
    let series = r#"portcullis_refusals_total{route="none",reason="rate_limited"}"#;
    gateway.until_metric(series, 1.0).await;
}

#[tokio::test]
async fn what_is_too_large_takes_of_no_allowance() {
    let upstream = Upstream::answering(OK).await;
    let ceilings = format!("request_guard = {{ max_uri = 100 }}\n{BY_ADDRESS}");
    let gateway = limited_to(upstream.address(), &ceilings, "");

    let long = format!("GET /a?{}", "a".repeat(100));
    for _ in 0..3 {
        assert_eq!(ask_for(&gateway, "192.0.2.1", &long, &[]).await, 414);
    }

    assert_eq!(ask_for(&gateway, "192.0.2.1", "GET /a", &[]).await, 200);
}

#[tokio::test]
async fn a_preflight_that_is_exempt_takes_nothing_and_is_let_through() {
    let upstream = Upstream::answering(OK).await;
    let gateway = limited_to(upstream.address(), BY_ADDRESS, "");
    let preflight = ["origin: https://b.test", "access-control-request-method: PUT"];

    for _ in 0..4 {
        assert_eq!(ask_for(&gateway, "192.0.2.1", "OPTIONS /a", &preflight).await, 200);
    }
    for status in [200, 200, 429] {
        assert_eq!(ask_for(&gateway, "192.0.2.1", "GET /a", &[]).await, status);
    }
    assert_eq!(ask_for(&gateway, "192.0.2.1", "OPTIONS /a", &preflight).await, 200);
}

#[tokio::test]
async fn who_shows_no_valid_token_uses_up_nobodys_allowance_and_takes_no_place() {
    let mut upstream = Upstream::answering(OK).await;
    let limits = "limit.who = { rate = { quota = '2/h' }, key = 'claim:sub' }
         limit.all = { rate = { quota = '2/h' } }
         limit.places = { concurrency = { limit = 10 } }\n";
    let route = format!("{GUARDED}, rate_limit = ['who', 'all'], concurrency_limit = 'places'");
    let gateway = gateway(&format!("{limits}{}", to(upstream.address(), &route)));
    let forged = bearer().replace("Bearer ey", "Bearer eY");

    for headers in [&[][..], &[forged.as_str()]] {
        for _ in 0..3 {
            assert_eq!(ask(gateway.address(), "GET /a", headers).await.status, 401);
        }
    }
    assert!(upstream.saw_nothing());
    assert_eq!(gateway.metric(r#"rate_limit_keys{limit="all"}"#).await, 0.0);
    for status in [200, 200, 429, 429] {
        assert_eq!(ask(gateway.address(), "GET /a", &[&bearer()]).await.status, status);
    }

    upstream.seen().await;
    upstream.seen().await;
    assert!(upstream.saw_nothing(), "who is refused reaches nobody");
    let admitted = r#"concurrency_limit_requests_total{name="places",outcome="admitted"}"#;
    assert_eq!(gateway.metric(admitted).await, 2.0, "and asks for no place");
}
