//! One host and no other, whatever a client sends; and headers that an upstream may trust, since no client has a say in them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use portcullis_tests::{
    Connection, ISSUER, InProcess, Process, Recorded, Upstream, ask, exchange, gateway, http2,
    in_an_hour, plan, read_request, send, token,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// All that comes goes to `upstream`; `route` and `more` say the rest.
fn to(upstream: &Upstream, route: &str, more: &str) -> String {
    format!(
        "{more}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         route = [{{ path = '/', upstream = 'a', {route} }}]",
        upstream.address()
    )
}

/// Requests that name no host, or two, to the byte; and why each is refused.
const AMBIGUOUS: [(&str, &str); 23] = [
    ("GET / HTTP/1.1\r\n", "host_missing"),
    ("GET http://a.test/ HTTP/1.1\r\n", "host_missing"),
    ("GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\n", "host_repeated"),
    ("GET / HTTP/1.1\r\nhost: a.test\r\nHOST: a.test\r\n", "host_repeated"),
    ("GET / HTTP/1.0\r\nhost: a.test\r\nhost: b.test\r\n", "host_repeated"),
    ("GET http://a.test/ HTTP/1.1\r\nhost: a.test\r\nhost: a.test\r\n", "host_repeated"),
    ("GET http://a.test/ HTTP/1.1\r\nhost: b.test\r\n", "host_differs"),
    ("GET http://a.test/ HTTP/1.1\r\nhost: a.test:81\r\n", "host_differs"),
    ("GET http://a.test/ HTTP/1.0\r\nhost: b.test\r\n", "host_differs"),
    ("GET http://me@a.test/ HTTP/1.1\r\nhost: a.test\r\n", "host_userinfo"),
    ("GET http://me:secret@a.test/ HTTP/1.1\r\nhost: a.test\r\n", "host_userinfo"),
    ("GET / HTTP/1.1\r\nhost: me@a.test\r\n", "host_userinfo"),
    ("GET / HTTP/1.1\r\nhost:\r\n", "host_empty"),
    ("GET / HTTP/1.1\r\nhost: :80\r\n", "host_empty"),
    ("GET / HTTP/1.1\r\nhost: a.test, b.test\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: a.test b.test\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: a.test\tb.test\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: a.test/b\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: a.test:port\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: a.test:80:81\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: a%2etest\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: [::1\r\n", "host_malformed"),
    ("GET / HTTP/1.1\r\nhost: a.test\u{e9}\r\n", "host_malformed"),
];

#[tokio::test]
async fn who_names_two_hosts_is_told_so_and_reaches_nobody() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream, "", ""));

    for (head, reason) in AMBIGUOUS {
        let metric = format!("portcullis_refusals_total{{route=\"none\",reason=\"{reason}\"}}");
        let counted = format!("host_strip_rejected_total{{reason=\"{reason}\"}}");
        let before = (gateway.metric(&metric).await, gateway.metric(&counted).await);

        let request = format!("{head}connection: close\r\n\r\n");
        let response = exchange(gateway.address(), request).await;

        assert_eq!(response.status, 400, "{head}: {}", response.head);
        let problem: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(problem["reason"], reason, "{head}");
        let after = (gateway.metric(&metric).await, gateway.metric(&counted).await);
        assert_eq!(after, (before.0 + 1.0, before.1 + 1.0), "{head}");
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn over_http_2_there_is_one_host_too() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream, "", ""));
    let mut client = http2(gateway.address()).await;

    for (uri, hosts, status) in [
        ("http://a.test/", &["b.test"][..], 400),
        ("http://a.test/", &["a.test", "b.test"], 400),
        ("http://a.test/", &["a.test", "a.test"], 400),
        ("http://a.test/", &["me@a.test"], 400),
        ("http://a.test/", &["a.test, b.test"], 400),
        ("http://a.test/", &[], 200),
        ("http://a.test/", &["A.test.:80"], 200),
    ] {
        let request = hosts.iter().fold(Request::get(uri), |it, host| it.header("host", *host));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = client.send_request(request).await.unwrap();

        assert_eq!(response.status(), status, "{uri} {hosts:?}");
        if status == 200 {
            assert_eq!(upstream.seen().await.header("host"), [upstream.address().to_string()]);
        }
    }
    assert!(upstream.saw_nothing());
}

#[tokio::test]
async fn the_log_says_why_a_request_was_refused_for_its_host() {
    let upstream = Upstream::answering(OK).await;
    let config = format!(
        "workers = 1\nlistener = [{{ address = '127.0.0.1:0' }}]\n{}",
        to(&upstream, "", "")
    );
    let (mut process, gateway, _) = Process::serve(GATEWAY, &config).await;

    exchange(gateway, "GET /two HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n").await;

    let line = process.line(|line| line.contains("\"path\":\"/two\"")).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["status"], &line["reason"]), (&json!(400), &json!("host_repeated")));
}

#[tokio::test]
async fn where_the_target_is_preferred_it_is_what_routes_and_rules_go_by() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(
        &upstream,
        "hosts = ['a.test'], header_inject = { request = [{ copy = 'host', to = 'x-named' }] }",
        "client_host = { on_ambiguity = 'prefer_authority' }",
    ));

    for request in [
        "GET http://a.test/x HTTP/1.1\r\nhost: b.test\r\n",
        "GET http://a.test/x HTTP/1.1\r\nhost: b.test\r\nhost: c.test\r\n",
        "GET http://me:secret@a.test/x HTTP/1.1\r\nhost: b.test\r\n",
        "GET http://a.test/x HTTP/1.1\r\n",
    ] {
        let response =
            exchange(gateway.address(), format!("{request}connection: close\r\n\r\n")).await;
        assert_eq!(response.status, 200, "{request}");
        let seen = upstream.seen().await;
        assert_eq!(seen.header("x-named"), ["a.test"], "{request}");
        assert_eq!(seen.header("host"), [upstream.address().to_string()]);
        assert!(!seen.head.contains("secret"));
    }
    let two = "GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(gateway.address(), two).await.status, 400);
    assert_eq!(gateway.metric("host_strip_ignored_total{reason=\"host_differs\"}").await, 1.0);
}

#[tokio::test]
async fn what_is_ignored_is_counted_and_the_upstream_still_has_one_host() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream, "", "client_host = { on_ambiguity = 'ignore' }"));

    let two = "GET / HTTP/1.1\r\nhost: a.test\r\nhost: b.test\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(gateway.address(), two).await.status, 200);

    assert_eq!(upstream.seen().await.header("host"), [upstream.address().to_string()]);
    assert_eq!(gateway.metric("host_strip_ignored_total{reason=\"host_repeated\"}").await, 1.0);
}

#[tokio::test]
async fn an_upstream_that_is_to_know_sees_the_host_that_the_client_asked_for() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&format!(
        "upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}], host = 'preserve' }}
         route = [{{ path = '/', upstream = 'a' }}]",
        upstream.address()
    ));
    let mut client = http2(gateway.address()).await;

    let one = "GET / HTTP/1.1\r\nhost: Client.test:8080\r\nconnection: close\r\n\r\n";
    exchange(gateway.address(), one).await;
    assert_eq!(upstream.seen().await.header("host"), ["Client.test:8080"]);
    let two = Request::get("http://other.test/").body(Empty::<Bytes>::new()).unwrap();
    client.send_request(two).await.unwrap();
    assert_eq!(upstream.seen().await.header("host"), ["other.test"]);
}

#[tokio::test]
async fn what_is_to_go_between_two_hops_goes_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\nx-debug: 1\r\nx-internal-a: 1\r\nx-kept: 1\r\ncontent-length: 0\r\n\r\n";
    let mut upstream = Upstream::answering(answer).await;
    let hop_by_hop = "hop_by_hop = { remove = ['X-Debug'], remove_prefixes = ['x-internal-'] }";
    let gateway = gateway(&to(&upstream, "", hop_by_hop));

    let headers = ["x-debug: 1", "X-Internal-B: 1", "x-kept: 1"];
    let response = ask(gateway.address(), "GET /", &headers).await;
    let seen = upstream.seen().await;

    assert_eq!((seen.header("x-kept").len(), response.header("x-kept").len()), (1, 1));
    for gone in ["x-debug", "x-internal-a", "x-internal-b"] {
        assert!(seen.header(gone).is_empty() && response.header(gone).is_empty(), "{gone}");
    }
    let removed = "host_strip_headers_removed_total{direction=\"response\",kind=\"extra\"}";
    assert_eq!(gateway.metric(removed).await, 2.0);
}

const IDENTITY: &str =
    "jwt_auth = { issuers = ['test'], optional = true }, header_inject = { request = [
    { set = 'x-user', from = 'claim:sub' },
    { set = 'x-client', from = 'client_address' },
    { set = 'x-request', from = 'request_id' },
    { set = 'x-route', from = 'route' },
    { set = 'x-scheme', from = 'client_scheme' },
    { set = 'x-host', from = 'client_host' },
    { set = 'x-admin', value = 'yes', when = { known = 'claim:admin' } },
    { remove_prefix = 'x-internal-' },
] }";

/// A client that would be believed, by every trick that makes headers go, stay or pass for others.
const FORGED: [&str; 16] = [
    "x-user: root",
    "X-User: root",
    "x_user: root",
    "X_USER: root",
    "x-client: root",
    "x_client: root",
    "x-request: root",
    "x-route: root",
    "x-scheme: root",
    "x-host: root",
    "x-admin: root",
    "x_admin: root",
    "x-internal-role: root",
    "x_internal_role: root",
    "connection: x-user, x-client, x-request, x-route, x-admin, x-scheme, x-host",
    "connection: x_user",
];

fn assert_trusted(seen: &Recorded, user: &[&str], admin: &[&str]) {
    assert!(!seen.head.contains("root"), "{}", seen.head);
    assert_eq!(seen.header("x-user"), user);
    assert_eq!(seen.header("x-admin"), admin);
    assert_eq!(seen.header("x-client"), ["127.0.0.1"]);
    assert_eq!(seen.header("x-request"), seen.header("x-request-id"));
    assert_eq!(seen.header("x-request").len(), 1);
    assert_eq!(seen.header("x-route"), ["/"]);
    assert_eq!(seen.header("x-scheme"), ["http"]);
    assert_eq!(seen.header("x-host"), ["a.test"]);
}

#[tokio::test]
async fn no_client_has_a_say_in_what_the_upstream_trusts() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&upstream, IDENTITY, ISSUER));
    let bearer = |claims: Value| format!("authorization: Bearer {}", token(&claims));
    let alice = bearer(json!({ "sub": "alice", "exp": in_an_hour() }));
    let admin = bearer(json!({ "sub": "bob", "admin": true, "exp": in_an_hour() }));
    let mut client = http2(gateway.address()).await;

    for (bearer, user, is_admin) in [
        (None, &[][..], &[][..]),
        (Some(&alice), &["alice"], &[]),
        (Some(&admin), &["bob"], &["yes"]),
    ] {
        let lines = FORGED.iter().copied().chain(bearer.map(String::as_str));
        let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
        let request = format!("GET / HTTP/1.1\r\nhost: a.test\r\n{lines}connection: close\r\n\r\n");
        assert_eq!(exchange(gateway.address(), request).await.status, 200);
        assert_trusted(&upstream.seen().await, user, is_admin);

        // HTTP/2 has no `Connection`.
        let lines = FORGED.iter().filter(|line| !line.starts_with("connection")).copied();
        let lines = lines.chain(bearer.map(String::as_str));
        let request = lines
            .filter_map(|line| line.split_once(": "))
            .fold(Request::get("http://a.test/"), |request, (name, value)| {
                request.header(name, value)
            });
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), 200);
        assert_trusted(&upstream.seen().await, user, is_admin);
    }
}

#[tokio::test]
async fn rules_go_by_methods_statuses_types_and_headers() {
    let answer = |status: &str, rest: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\ncache-control: max-age=5\r\n{rest}\r\n")
    };
    let (fine, gone) = (
        answer("200 OK", "content-type: text/html; charset=utf-8\r\n"),
        answer("404 Not Found", ""),
    );
    let mut upstream = Upstream::serving(move |mut socket, seen| {
        let (fine, gone) = (fine.clone(), gone.clone());
        async move {
            while let Some(request) = read_request(&mut socket).await {
                let answer = if request.line().contains("/gone") { &gone } else { &fine };
                seen.send(request).ok();
                socket.write_all(answer.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let gateway = gateway(&to(
        &upstream,
        "header_inject = { request = [
            { set = 'x-mode', value = 'write', when = { method = ['POST', 'PUT'], no_header = 'x-dry-run' } },
            { replace_if_present = 'x-tenant', value = 'acme' },
         ], response = [
            { set = 'cache-control', value = 'no-store', when = { status = ['4xx', 503] } },
            { set = 'x-frame-options', value = 'DENY', when = { content_type = 'text/html' } },
         ] }",
        "",
    ));

    let got = ask(gateway.address(), "GET /", &["x-mode: forged", "x-tenant: forged"]).await;
    let seen = upstream.seen().await;
    assert_eq!((seen.header("x-mode"), seen.header("x-tenant")), (vec![], vec!["acme"]));
    assert_eq!(got.header("cache-control"), ["max-age=5"]);
    assert_eq!(got.header("x-frame-options"), ["DENY"]);

    let gone = ask(gateway.address(), "POST /gone", &["content-length: 0"]).await;
    let seen = upstream.seen().await;
    assert_eq!((seen.header("x-mode"), seen.header("x-tenant")), (vec!["write"], vec![]));
    assert_eq!(gone.header("cache-control"), ["no-store"]);
    assert!(gone.header("x-frame-options").is_empty());

    ask(gateway.address(), "POST /", &["content-length: 0", "x-dry-run: 1"]).await;
    assert!(upstream.seen().await.header("x-mode").is_empty());
    let skipped = "header_inject_skipped_total{reason=\"condition\"}";
    assert!(gateway.metric(skipped).await >= 4.0);
}

#[tokio::test]
async fn who_lacks_what_the_upstream_must_know_is_refused_and_so_are_headers_that_grow_too_large() {
    let mut upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(
        &upstream,
        "jwt_auth = { issuers = ['test'], optional = true }, header_inject = { max_header_block = '400B', request = [
            { set = 'x-user', from = 'claim:sub', on_missing = 'reject' },
            { set = 'x-long', from = 'claim:long', prefix = 'so ' },
         ] }",
        ISSUER,
    ));
    let bearer = |claims: Value| format!("authorization: Bearer {}", token(&claims));
    let reason = |body: &str| serde_json::from_str::<Value>(body).unwrap()["reason"].clone();

    let nobody = ask(gateway.address(), "GET /", &[]).await;
    assert_eq!((nobody.status, reason(&nobody.body)), (403, json!("header_value_missing")));
    let short = bearer(json!({ "sub": "alice", "long": "it goes", "exp": in_an_hour() }));
    assert_eq!(ask(gateway.address(), "GET /", &[&short]).await.status, 200);
    assert_eq!(upstream.seen().await.header("x-long"), ["so it goes"]);
    let long = "a".repeat(400);
    let long = bearer(json!({ "sub": "alice", "long": long, "exp": in_an_hour() }));
    let large = ask(gateway.address(), "GET /", &[&long]).await;
    assert_eq!((large.status, reason(&large.body)), (431, json!("injected_headers_too_large")));
    assert!(upstream.saw_nothing());
}

/// An upstream that says which key it was shown.
async fn saying_the_key() -> Upstream {
    Upstream::serving(|mut socket, _| async move {
        while let Some(request) = read_request(&mut socket).await {
            let key = request.header("authorization").join("|");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{key}", key.len());
            socket.write_all(answer.as_bytes()).await.ok();
        }
    })
    .await
}

const KEYED: &str = "header_inject = { request = [
    { set = 'authorization', from = 'file:key', prefix = 'Bearer ', on_missing = 'reject', allow_protected = true },
] }";

/// Replaces a file as tools do that mean it to be whole at any time.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn a_secret_is_replaced_under_load_and_nobody_notices_but_the_upstream() {
    let upstream = saying_the_key().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    replace(&key, "the-old-key\n");
    let config = format!(
        "workers = 2
         listener = [{{ address = '127.0.0.1:0' }}]
         log = {{ level = 'trace' }}
         reload = {{ watch = true, watch_interval = '20ms' }}
         {}",
        to(&upstream, KEYED, "")
    );
    let file = folder.path().join("gateway.toml");
    fs::write(&file, config).unwrap();
    let (process, gateway, _) = Process::run(GATEWAY, &file).await;

    let swapped = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let swapped = swapped.clone();
        clients.spawn(async move {
            let mut client = Connection::open(gateway).await;
            let mut seen = Vec::new();
            loop {
                let was_swapped = swapped.load(Ordering::Relaxed);
                client.write("GET / HTTP/1.1\r\nhost: a\r\nauthorization: mine\r\n\r\n").await;
                let response = client.response().await;
                assert_eq!(response.status, 200, "{response:?}");
                seen.dedup();
                seen.push(response.body);
                if was_swapped && seen.last().is_some_and(|key| key == "Bearer the-new-key") {
                    seen.dedup();
                    return seen;
                }
            }
        });
    }
    // All of them are under way before it changes.
    let mut first = Connection::open(gateway).await;
    for _ in 0..100 {
        first.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(first.response().await.body, "Bearer the-old-key");
    }
    replace(&key, "the-new-key\n");
    swapped.store(true, Ordering::Relaxed);

    // One or the other, never none, never both, and never the old one after the new one.
    for seen in clients.join_all().await {
        assert!(
            seen == ["Bearer the-old-key", "Bearer the-new-key"] || seen == ["Bearer the-new-key"],
            "{seen:?}"
        );
    }
    process.signal("TERM").await;
    let (status, lines) = process.end().await;
    assert!(status.success());
    let told =
        lines.iter().find(|line| line.contains("the-old-key") || line.contains("the-new-key"));
    assert_eq!(told, None);
}

#[tokio::test]
async fn a_secret_that_is_no_value_leaves_the_one_of_before() {
    let upstream = saying_the_key().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    replace(&key, "first");
    let file = folder.path().join("gateway.toml");
    let listeners = "listener = [{ address = '127.0.0.1:0' }]\nadmin = { address = '127.0.0.1:0' }";
    fs::write(&file, format!("{listeners}\n{}", to(&upstream, KEYED, ""))).unwrap();
    let gateway = InProcess::reading(&file);

    for wrong in ["", "hun\u{0}ter2", "hun\r\nx-forged: ter2", "h\u{fc}nter2"] {
        replace(&key, wrong);
        let error = gateway.inner().reload().await.unwrap_err().to_string();
        assert!(
            error.contains("route[0].header_inject: `authorization` comes from \"file:key\""),
            "{error}"
        );
        assert!(!error.contains("ter2") && !error.contains("x-forged"), "{error}");
        assert_eq!(ask(gateway.address(), "GET /", &[]).await.body, "Bearer first");
    }
    fs::remove_file(&key).unwrap();
    let error = gateway.inner().reload().await.unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
    replace(&key, "second");
    gateway.inner().reload().await.unwrap();
    assert_eq!(ask(gateway.address(), "GET /", &[]).await.body, "Bearer second");
}

#[test]
fn what_a_rule_cannot_know_is_a_mistake_in_the_file() {
    let problem = |rules: &str| {
        plan(&format!(
            "listener = [{{ address = '127.0.0.1:0' }}]
             upstream.a = {{ replica = [{{ name = 'a', url = 'http://127.0.0.1:1' }}] }}
             route = [{{ path = '/', upstream = 'a', header_inject = {{ {rules} }} }}]"
        ))
        .unwrap_err()
    };
    for (rules, expected) in [
        ("request = [{ set = 'x-a', from = 'client' }]", "a source is a claim, as in"),
        ("request = [{ set = 'x-a', from = 'file:/nowhere' }]", "cannot read /nowhere"),
        ("request = [{ remove = 'x-a', when = { known = 'claim:a' } }]", "no `jwt_auth`"),
        ("request = [{ remove = 'x-a', when = { status = 404 } }]", "asks for the status of"),
        ("response = [{ remove = 'x-a', when = { method = 'GET' } }]", "is a response's"),
        ("response = [{ set = 'x-a', from = 'client_address' }]", "is a response's"),
    ] {
        let said = problem(rules);
        assert!(
            said.contains("route[0].header_inject: ") && said.contains(expected),
            "{rules}: {said}"
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_sent_as_grpc_has_them() {
    let mut upstream = Upstream::answering(OK).await;
    let rules = "header_inject = { request = [
        { set = 'x-raw-bin', value = \"a\\u0000\", base64 = true },
        { set = 'x-host-bin', from = 'client_host', base64 = true },
    ], response = [{ set = 'x-gateway', from = 'route' }] }";
    let gateway = gateway(&to(&upstream, rules, ""));

    let response =
        send(gateway.address(), "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n")
            .await;
    let seen = upstream.seen().await;

    assert_eq!(
        (seen.header("x-raw-bin"), seen.header("x-host-bin")),
        (vec!["YQA"], vec!["YS50ZXN0"])
    );
    assert!(String::from_utf8_lossy(&response).contains("x-gateway: /\r\n"));
}

#[tokio::test]
async fn the_rules_of_the_readme_are_right() {
    let readme = include_str!("../../server/README.md");
    let sections = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let rules = sections.skip(1).find(|section| section.contains("[route.header_inject]")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    replace(&folder.path().join("api.key"), "the key");
    let file = folder.path().join("gateway.toml");
    let mut upstream = Upstream::answering(OK).await;
    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0' }}
         {ISSUER}
         upstream.a = {{ replica = [{{ name = 'a', url = 'http://{}' }}] }}
         [[route]]
         path = '/'
         upstream = 'a'
         jwt_auth = {{ issuers = ['test'] }}
         {rules}",
        upstream.address()
    );
    fs::write(&file, config).unwrap();
    let gateway = InProcess::reading(&file);

    let bearer = token(&json!({ "sub": "alice", "admin": true, "exp": in_an_hour() }));
    let bearer = format!("authorization: Bearer {bearer}");
    ask(gateway.address(), "POST /", &[&bearer, "content-length: 0"]).await;

    let seen = upstream.seen().await;
    assert_eq!((seen.header("x-user"), seen.header("x-api-key")), (vec!["alice"], vec!["the key"]));
    assert_eq!(seen.header("x-admin"), ["yes"]);
}
