//! Who the client is taken for, by the gateway and by those behind it, and who is not let in.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use portcullis_tests::{
    Connection, InProcess, Process, Recorded, Response, Upstream, ask, gateway, get, http2, plan,
    send,
};
use serde_json::{Value, json};
use tokio::net::UnixStream;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What clients may make up, in all the forms that some server takes for the same.
const FORGED: [&str; 16] = [
    "x-forwarded-for: 203.0.113.1",
    "X-Forwarded-For: 203.0.113.2, 203.0.113.3",
    "x_forwarded_for: 203.0.113.1",
    "x-forwarded_for: 203.0.113.1",
    "x-forwarded-proto: https",
    "x_forwarded_proto: https",
    "x-forwarded-host: evil.test",
    "x-forwarded-port: 1",
    "x-forwarded-user: root",
    "x-forwarded-prefix: /evil",
    "x-real-ip: 203.0.113.1",
    "x_real_ip: 203.0.113.1",
    "forwarded: for=203.0.113.1;host=evil.test",
    "forwarded: for=203.0.113.2",
    "true-client-ip: 203.0.113.1",
    "true_client_ip: 203.0.113.1",
];

fn to(upstream: SocketAddr, more: &str) -> String {
    format!(
        "{more}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{upstream}' }}] }}
         route = [{{ path = '/', upstream = 'a' }}]"
    )
}

/// A policy that trusts whoever connects.
fn trusting(more: &str) -> String {
    format!("forwarded = {{ trusted = ['127.0.0.0/8', '10.0.0.0/8'], {more} }}")
}

/// What a recording upstream sees of who the client is.
fn told(seen: &Recorded) -> Vec<(&str, &str)> {
    let lines = seen.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let about = |name: &str| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        name.starts_with("x-forwarded-") || name.contains("-ip") || name == "forwarded"
    };
    lines.filter(|(name, _)| about(name)).collect()
}

/// What is written of the request that was answered so.
async fn logged(process: &mut Process, response: &Response) -> Value {
    let id = response.header("x-request-id")[0];
    let line = process.line(|line| line.contains("\"access\"") && line.contains(id)).await;
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn what_an_untrusted_client_makes_up_of_itself_does_not_get_through() {
    let mut upstream = Upstream::answering(OK).await;
    let policy = "forwarded = { trusted = ['10.0.0.0/8'], remove = ['true-client-ip'] }";
    let gateway = gateway(&to(upstream.address(), policy));
    let expected = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "gateway.test"),
        ("x-forwarded-port", "80"),
    ];

    ask(gateway.address(), "GET /", &FORGED).await;
    assert_eq!(told(&upstream.seen().await), expected);

    let mut client = http2(gateway.address()).await;
    let mut request = Request::get("http://gateway.test/");
    for line in FORGED {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(told(&upstream.seen().await), expected);
}

#[tokio::test]
async fn nobody_can_nominate_away_what_upstreams_are_told() {
    let mut upstream = Upstream::answering(OK).await;
    let policy = "forwarded = { forwarded = 'write' }\nvia = 'gateway-1'\n";
    let gateway = gateway(&to(upstream.address(), policy));

    let names = "x-forwarded-for, x-forwarded-proto, x-forwarded-host, x-forwarded-port";
    let nominations = [
        &format!("connection: {names}"),
        "connection: X-Forwarded-For, forwarded, via, x-request-id",
    ];
    ask(gateway.address(), "GET /", &nominations).await;
    let seen = upstream.seen().await;

    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"] {
        assert_eq!(seen.header(name).len(), 1, "{name} in {}", seen.head);
    }
    for name in ["forwarded", "via", "x-request-id"] {
        assert_eq!(seen.header(name).len(), 1, "{name} in {}", seen.head);
    }
}

#[tokio::test]
async fn by_default_nobody_is_believed() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(upstream.address(), ""));

    ask(gateway.address(), "GET /", &["x-forwarded-for: 203.0.113.1", "x-real-ip: a"]).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!((seen.header("x-real-ip"), seen.header("via")), (vec![], vec![]));
}

#[tokio::test]
async fn a_trusted_chain_is_read_from_the_right_over_all_its_lines() {
    let mut upstream = Upstream::answering(OK).await;
    let (mut process, address, _) = Process::serve(
        env!("CARGO_BIN_EXE_gateway"),
        &format!(
            "listener = [{{ address = '127.0.0.1:0' }}]\n{}",
            to(upstream.address(), &trusting(""))
        ),
    )
    .await;

    for (lines, client, chain) in [
        (["192.0.2.7", "10.0.0.2"], "192.0.2.7", "192.0.2.7, 10.0.0.2, 127.0.0.1"),
        (["203.0.113.1, 192.0.2.7", "10.0.0.2:80"], "192.0.2.7", "192.0.2.7, 10.0.0.2, 127.0.0.1"),
        (["203.0.113.1", "[2001:db8::7]:4711"], "2001:db8::7", "2001:db8::7, 127.0.0.1"),
        (["203.0.113.1", "2001:db8::7"], "2001:db8::7", "2001:db8::7, 127.0.0.1"),
        (["203.0.113.1", "::ffff:192.0.2.7"], "192.0.2.7", "192.0.2.7, 127.0.0.1"),
        (["203.0.113.1, unknown", "10.0.0.2"], "10.0.0.2", "10.0.0.2, 127.0.0.1"),
        (["203.0.113.1", "_hidden"], "127.0.0.1", "127.0.0.1"),
        (["203.0.113.1", "not-an-address"], "127.0.0.1", "127.0.0.1"),
        (["", " ,, 10.0.0.3"], "10.0.0.3", "10.0.0.3, 127.0.0.1"),
    ] {
        let lines = lines.map(|line| format!("x-forwarded-for: {line}"));
        let response = ask(address, "GET /", &[&lines[0], &lines[1]]).await;
        let logged = logged(&mut process, &response).await;

        assert_eq!(logged["client"], client, "{lines:?}");
        let peer = if client == "127.0.0.1" { Value::Null } else { json!("127.0.0.1") };
        assert_eq!(logged["peer"], peer, "{lines:?}");
        assert_eq!(upstream.seen().await.header("x-forwarded-for"), [chain], "{lines:?}");
    }
}

#[tokio::test]
async fn forwarded_is_believed_and_written_where_the_file_says_so() {
    let mut upstream = Upstream::answering(OK).await;
    let policy = trusting("source = 'forwarded', forwarded = 'write', x_forwarded = 'strip'");
    let gateway = gateway(&to(upstream.address(), &policy));
    let headers = [
        "forwarded: for=203.0.113.1, for=\"[2001:db8::7]:4711\";proto=https;host=shop.test",
        "Forwarded: for=10.0.0.2;by=_here",
        "x-forwarded-for: 203.0.113.9",
    ];

    ask(gateway.address(), "GET /", &headers).await;
    let seen = upstream.seen().await;

    let [forwarded] = seen.header("forwarded")[..] else { panic!("{}", seen.head) };
    let chain =
        "for=\"[2001:db8::7]:4711\";host=shop.test;proto=https, for=10.0.0.2, for=\"127.0.0.1:";
    assert!(forwarded.starts_with(chain), "{forwarded}");
    assert_eq!(told(&seen).len(), 1);
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_scheme_host_and_port_is_passed_on() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(upstream.address(), &trusting("")));
    let headers = [
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.test",
        "x-forwarded-port: 8443",
    ];

    ask(gateway.address(), "GET /", &headers).await;
    let seen = upstream.seen().await;

    assert_eq!(seen.header("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.header("x-forwarded-host"), ["shop.test"]);
    assert_eq!(seen.header("x-forwarded-port"), ["8443"]);
}

#[tokio::test]
async fn the_proxy_of_the_proxy_protocol_speaks_for_its_client_and_not_for_itself() {
    let mut upstream = Upstream::answering(OK).await;
    let listener = "workers = 1
        listener = [{ address = '127.0.0.1:0', proxy_protocol = { from = ['127.0.0.0/8'] } }]\n";
    let policy = "forwarded = { trusted = ['127.0.0.0/8', '10.0.0.0/8'] }";
    let gateway = InProcess::start(&format!("{listener}{}", to(upstream.address(), policy)));
    let request =
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-forwarded-for: 203.0.113.1\r\n\r\n";

    for (peer, chain) in [("192.0.2.7", "192.0.2.7"), ("10.0.0.2", "203.0.113.1, 10.0.0.2")] {
        let header = format!("PROXY TCP4 {peer} 198.51.100.1 4711 443\r\n{request}");
        assert_eq!(Response::parse(&send(gateway.address(), header).await).status, 200);
        assert_eq!(upstream.seen().await.header("x-forwarded-for"), [chain], "{peer}");
    }
}

#[tokio::test]
async fn who_comes_by_a_unix_socket_is_believed_if_that_is_said() {
    let mut upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = format!("workers = 1\nlistener = [{{ address = 'unix:{}' }}]\n", path.display());
    let request = "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.1, 192.0.2.7\r\n\r\n";

    for (policy, chain, status) in [
        ("", vec![], 200),
        ("forwarded = { trusted = ['unix'] }", vec!["192.0.2.7"], 200),
        ("addresses = { deny = ['0.0.0.0/0', '::/0'] }", vec![], 200),
        ("addresses = { allow = ['0.0.0.0/0', '::/0'] }", vec![], 403),
        (
            "forwarded = { trusted = ['unix'] }\naddresses = { allow = ['192.0.2.7'] }",
            vec!["192.0.2.7"],
            200,
        ),
        ("forwarded = { trusted = ['unix'] }\naddresses = { deny = ['192.0.2.7'] }", vec![], 403),
    ] {
        let mut gateway =
            InProcess::start(&format!("{listener}{}", to(upstream.address(), policy)));
        let mut client = Connection::over(UnixStream::connect(&path).await.unwrap());
        client.write(request).await;

        assert_eq!(client.response().await.status, status, "{policy}");
        if status == 200 {
            let seen = upstream.seen().await;
            assert_eq!(seen.header("x-forwarded-for"), chain, "{policy}");
            assert_eq!(seen.header("x-forwarded-host"), ["a"], "{policy}");
        }
        drop(client);
        gateway.stop();
        gateway.stopped().await;
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn a_route_that_leads_back_to_the_gateway_is_found_out_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gateway = InProcess::start(&format!(
        "workers = 1
         via = 'gateway-1'
         listener = [{{ address = '{address}' }}]
         admin = {{ address = '127.0.0.1:0' }}
         upstream.itself = {{ replica = [{{ name = 'a', url = 'http://{address}' }}] }}
         route = [{{ path = '/', upstream = 'itself' }}]"
    ));

    let response = get(address, "/").await;

    assert_eq!(response.status, 508, "{response:?}");
    assert_eq!(json_of(&response)["reason"], "loop_detected");
    let refused = "portcullis_refusals_total{route=\"none\",reason=\"loop_detected\"}";
    gateway.until_metric(refused, 1.0).await;
}

fn json_of(response: &Response) -> Value {
    serde_json::from_str(&response.body).unwrap()
}

#[tokio::test]
async fn upstreams_are_told_by_whom_a_request_came_and_others_hops_are_kept() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(upstream.address(), "via = 'gateway-1'"));

    ask(gateway.address(), "GET /", &["via: 1.0 other, 2 gateway-10"]).await;

    assert_eq!(upstream.seen().await.header("via"), ["1.0 other, 2 gateway-10", "1.1 gateway-1"]);
}

#[tokio::test]
async fn who_is_denied_is_told_so_logged_and_counted_and_reaches_no_upstream() {
    let mut upstream = Upstream::answering(OK).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let config = format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0' }}
         forwarded = {{ trusted = ['127.0.0.0/8'] }}
         addresses = {{ deny = ['192.0.2.66'] }}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [
           {{ path = '/', upstream = 'a' }},
           {{ path = '/inner', upstream = 'a', addresses = {{ allow = ['10.0.0.0/8'] }} }},
           {{ path = '/moved', redirect = {{ path = '/' }}, addresses = {{ allow = ['10.0.0.0/8'] }} }},
         ]",
        upstream.address()
    );
    std::fs::write(&file, config).unwrap();
    let (mut process, address, admin) = Process::run(env!("CARGO_BIN_EXE_gateway"), &file).await;

    for (client, path, status, route) in [
        ("192.0.2.66", "/", 403, "none"),
        ("192.0.2.66", "/nowhere", 403, "none"),
        ("192.0.2.7", "/inner", 403, "/inner"),
        ("192.0.2.7", "/moved", 403, "/moved"),
        ("192.0.2.7", "/", 200, "/"),
        ("10.0.0.2", "/inner", 200, "/inner"),
        ("10.0.0.2", "/moved", 308, "/moved"),
    ] {
        let header = format!("x-forwarded-for: {client}");
        let response = ask(address, &format!("GET {path}"), &[&header]).await;
        let logged = logged(&mut process, &response).await;

        assert_eq!(response.status, status, "{client} {path}");
        assert_eq!((&logged["client"], &logged["route"]), (&json!(client), &json!(route)));
        if status == 403 {
            assert_eq!(json_of(&response)["reason"], "address_denied");
            assert_eq!(logged["reason"], "address_denied");
            assert_eq!(response.header("x-request-id"), [logged["request_id"].as_str().unwrap()]);
            assert!(upstream.saw_nothing(), "{client} {path}");
        } else if status == 200 {
            upstream.seen().await;
        }
    }
    let metrics = get(admin.unwrap(), "/metrics").await.body;
    for (route, times) in [("none", 2), ("/inner", 1), ("/moved", 1)] {
        let series = format!(
            "portcullis_refusals_total{{route=\"{route}\",reason=\"address_denied\"}} {times}"
        );
        assert!(metrics.contains(&series), "{series} in:\n{metrics}");
    }
}

#[tokio::test]
async fn who_is_let_in_changes_by_reload() {
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
    let mut status = async || {
        client.write("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.7\r\n\r\n").await;
        client.response().await.status
    };

    assert_eq!(status().await, 200);
    write("addresses = { allow = ['192.0.2.7'] }");
    gateway.inner().reload().await.unwrap();
    assert_eq!(status().await, 403);
    write("forwarded = { trusted = ['127.0.0.1'] }\naddresses = { allow = ['192.0.2.7'] }");
    gateway.inner().reload().await.unwrap();
    assert_eq!(status().await, 200);
}

#[tokio::test]
async fn mistakes_are_explained() {
    let upstream = Upstream::answering(OK).await;
    for (section, expected) in [
        (
            "forwarded = { trusted = ['10.0.0.1/8'] }",
            "forwarded.trusted[0]: \"10.0.0.1/8\" is no network",
        ),
        (
            "forwarded = { trust = [] }",
            "forwarded.trust: unknown key `trust`; did you mean `trusted`?",
        ),
        ("forwarded = { source = 'x-real-ip' }", "forwarded.source: "),
        ("forwarded = { remove = ['a b'] }", "forwarded.remove: \"a b\" is no header name"),
        ("addresses = { allow = ['unix'] }", "addresses.allow: \"unix\" is no network"),
        ("via = 'a b'", "via: a name in Via has"),
    ] {
        let complaint = plan(&format!(
            "listener = [{{ address = '127.0.0.1:0' }}]\n{}",
            to(upstream.address(), section)
        ));
        let complaint = complaint.unwrap_err();

        assert!(complaint.contains(expected), "{section}: {complaint}");
    }
}
