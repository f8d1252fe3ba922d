//! By what id clients, upstreams and the log know a request, and whose ids are believed.

use std::net::SocketAddr;

use portcullis_tests::{
    Connection, Frames, ISSUER, InProcess, Nowhere, Process, Response, Upstream, ask, gateway, get,
    plan, send,
};
use serde_json::Value;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: theirs\r\n\r\nok";

fn to(upstream: SocketAddr, more: &str) -> String {
    format!(
        "{more}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    )
}

/// Whether the client's own id gets through, and is what it is told.
async fn is_believed(upstream: &mut Upstream, response: &Response, own: &str) -> bool {
    let seen = upstream.seen().await;
    let (told, passed) = (response.header("x-request-id"), seen.header("x-request-id"));
    assert_eq!(told, passed);
    assert_eq!(told.len(), 1);
    told == [own]
}

#[tokio::test]
async fn whoever_connects_is_believed_by_its_address_and_not_by_what_a_header_says() {
    let mut upstream = Upstream::answering(OK).await;
    let own = ["x-request-id: own", "x-forwarded-for: 10.0.0.7"];
    for (trusted, expected) in [
        ("'none'", false),
        ("'all'", true),
        ("['127.0.0.0/8']", true),
        ("['127.0.0.1']", true),
        ("['10.0.0.0/8']", false),
    ] {
        let policy = format!(
            "request_id = {{ trusted = {trusted} }}\nforwarded = {{ trusted = ['127.0.0.0/8'] }}"
        );
        let gateway = gateway(&to(upstream.address(), &policy));

        let response = ask(gateway.address(), "GET /", &own).await;

        assert_eq!(is_believed(&mut upstream, &response, "own").await, expected, "{trusted}");
        let source = if expected { "accepted" } else { "untrusted" };
        let counted = format!("request_id_total{{source=\"{source}\"}}");
        assert_eq!(gateway.metric(&counted).await, 1.0, "{trusted}");
    }
}

#[tokio::test]
async fn who_a_proxy_speaks_for_in_the_proxy_protocol_is_who_connects() {
    let mut upstream = Upstream::answering(OK).await;
    let listener = "workers = 1
        listener = [{ address = '127.0.0.1:0', proxy_protocol = { from = ['127.0.0.0/8'] } }]
        request_id = { trusted = ['10.0.0.0/8'] }";
    let gateway = InProcess::start(&to(upstream.address(), listener));

    for (client, expected) in [("10.0.0.7", true), ("192.0.2.7", false)] {
        let request = format!(
            "PROXY TCP4 {client} 198.51.100.1 4711 443\r\n\
             GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-request-id: own\r\n\r\n"
        );
        let response = Response::parse(&send(gateway.address(), request).await);

        assert_eq!(is_believed(&mut upstream, &response, "own").await, expected, "{client}");
    }
}

#[tokio::test]
async fn headers_and_form_are_what_the_file_says_and_nobody_nominates_them_away() {
    let mut upstream = Upstream::answering(OK).await;
    let policy = "request_id = { header = 'x-correlation-id', response_header = 'x-answer-id', \
        accept = ['x-correlation-id', 'x-trace'], format = 'ulid' }";
    let gateway = gateway(&to(upstream.address(), policy));

    let headers = [
        "connection: x-correlation-id",
        "x-correlation-id: forged",
        "x_correlation_id: forged",
        "x-trace: forged",
    ];
    let response = ask(gateway.address(), "GET /", &headers).await;
    let seen = upstream.seen().await;

    let [id] = response.header("x-answer-id")[..] else { panic!("{response:?}") };
    assert_eq!(id.len(), 26);
    assert_eq!(seen.header("x-correlation-id"), [id]);
    assert_eq!((seen.header("x_correlation_id"), seen.header("x-trace")), (vec![], vec![]));
}

#[tokio::test]
async fn whatever_answers_says_the_id_that_is_in_the_log() {
    let upstream = Upstream::answering(OK).await;
    let nowhere = Nowhere::take();
    let config = format!(
        "workers = 1
         via = 'gateway-1'
         listener = [{{ address = '127.0.0.1:0', timeouts = {{ request_body = '100ms' }} }}]
         addresses = {{ deny = ['192.0.2.66'] }}
         forwarded = {{ trusted = ['127.0.0.0/8'] }}
         request_guard = {{ max_uri = 100, max_body = 10 }}
         {ISSUER}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         upstream.gone = {{ replica = [{{ name = 'gone', url = 'http://{}' }}] }}
         [[route]]
         path = '/a'
         upstream = 'a'
         [[route]]
         path = '/token'
         upstream = 'a'
         jwt_auth.issuers = ['test']
         jwt_auth.resource_metadata = {{ resource = 'https://gateway.test/token' }}
         [[route]]
         path = '/gone'
         upstream = 'gone'
         [[route]]
         path = '/moved'
         redirect = {{ host = 'other.test' }}
         [[route]]
         path = '/said'
         methods = ['GET']
         respond = {{ status = 200, body = 'this' }}",
        upstream.address(),
        nowhere.address()
    );
    let (mut process, address, _) = Process::serve(GATEWAY, &config).await;

    let long = format!("GET /{}", "a".repeat(100));
    for (what, header, status) in [
        ("GET /a", "", 200),
        ("GET /a", "x-forwarded-for: 192.0.2.66", 403),
        ("GET /a", "via: 1.1 gateway-1", 508),
        ("POST /a", "content-length: 11", 413),
        ("POST /a", "content-length: 9", 408),
        (&long, "", 414),
        ("GET /a/%2e%2e/b", "", 400),
        ("GET /none", "", 404),
        ("POST /said", "", 405),
        ("GET /said", "", 200),
        ("GET /moved", "", 308),
        ("GET /token", "", 401),
        ("GET /.well-known/oauth-protected-resource/token", "", 200),
        ("GET /gone", "", 502),
    ] {
        let headers: &[&str] = if header.is_empty() { &[] } else { &[header] };
        let response = ask(address, what, headers).await;

        assert_eq!(response.status, status, "{what} {header}");
        let [id] = response.header("x-request-id")[..] else { panic!("{what}: {response:?}") };
        let line = process.line(|line| line.contains("\"access\"") && line.contains(id)).await;
        let logged: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(logged["request_id"], id, "{what}");
        assert_eq!(logged["status"], status, "{what}");
        if response.body.contains("request_id") {
            assert_eq!(serde_json::from_str::<Value>(&response.body).unwrap()["request_id"], id);
        }
    }
}

#[tokio::test]
async fn all_attempts_have_the_id_of_the_request_and_so_has_what_is_logged_on_the_way() {
    let failed = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let (mut one, mut two) = (Upstream::answering(failed).await, Upstream::answering(OK).await);
    let config = format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0' }}]
         upstream.a = {{ replica = [
            {{ name = 'one', url = 'http://{}' }}, {{ name = 'two', url = 'http://{}', priority = 2 }},
         ] }}
         route = [{{ path = '/', upstream = 'a' }}]",
        one.address(),
        two.address()
    );
    let (mut process, address, _) = Process::serve(GATEWAY, &config).await;

    let response = get(address, "/").await;
    let seen = [one.seen().await, two.seen().await];
    let line = process.line(|line| line.contains("\"message\":\"failover\"")).await;
    let warned: Value = serde_json::from_str(&line).unwrap();

    let id = response.header("x-request-id");
    assert_eq!(id.len(), 1);
    assert_eq!(seen.each_ref().map(|seen| seen.header("x-request-id")), [id.clone(), id.clone()]);
    assert_eq!(warned["request_id"], id[0], "{line}");
}

#[tokio::test]
async fn the_form_changes_by_reload_for_connections_that_are_open() {
    let upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let write = |more: &str| {
        let listener = "workers = 1\nlistener = [{ address = '127.0.0.1:0' }]\n";
        std::fs::write(&file, format!("{listener}{}", to(upstream.address(), more))).unwrap();
    };
    write("");
    let gateway = InProcess::reading(&file);
    let mut client = Connection::open(gateway.address()).await;
    let mut length = async || {
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        client.response().await.header("x-request-id")[0].len()
    };

    assert_eq!(length().await, 36);
    write("request_id = { format = 'hex' }");
    gateway.inner().reload().await.unwrap();
    assert_eq!(length().await, 32);
}

#[tokio::test]
async fn mistakes_are_explained() {
    let upstream = Upstream::answering(OK).await;
    for (section, expected) in [
        ("request_id = { trust = 'all' }", "request_id.trust: unknown key `trust`"),
        ("request_id = { trusted = 'some' }", "request_id.trusted: \"none\", \"all\" or a list"),
        ("request_id = { trusted = ['10'] }", "request_id.trusted: \"10\" is no network"),
        ("request_id = { format = 'uuid' }", "request_id.format: "),
        ("request_id = { header = 'a b' }", "request_id.header: \"a b\" is no header name"),
    ] {
        let listener = "listener = [{ address = '127.0.0.1:0' }]\n";
        let complaint = plan(&format!("{listener}{}", to(upstream.address(), section)));
        let complaint = complaint.unwrap_err();

        assert!(complaint.contains(expected), "{section}: {complaint}");
    }
}

#[tokio::test]
async fn over_http_2_no_id_takes_a_place_in_the_table_of_its_compression() {
    // RFC 7541 §6.2.3: a literal that is never indexed, whose name is in Huffman's code, and takes nine bytes.
    const NEVER_INDEXED: [u8; 2] = [0x10, 0x80 | 9];
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(upstream.address(), ""));
    let mut client = Frames::open(gateway.address(), &[]).await;

    for stream in [1, 3, 5] {
        client.get(stream, "/").await;
        let head = loop {
            let frame = client.next().await.unwrap();
            if frame.kind == Frames::HEADERS && frame.stream == stream {
                break frame.payload;
            }
        };

        // One that is in the table is not named again.
        assert!(head.windows(2).any(|bytes| bytes == NEVER_INDEXED), "{stream}: {head:x?}");
    }
}
