//! What operators see and change while the gateway runs.

use std::net::SocketAddr;

use portcullis_tests::{InProcess, Process, Response, Upstream, ask, exchange, get};
use serde_json::{Value, json};

/// A response of an upstream that says who it is.
fn saying(name: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len())
}

/// A gateway in front of two replicas, of which the first is asked first.
async fn over_two() -> (InProcess, Upstream, Upstream) {
    let (one, two) =
        (Upstream::answering(saying("one")).await, Upstream::answering(saying("two")).await);
    let gateway = InProcess::start(&format!(
        "workers = 1
         listener = [{{ address = '127.0.0.1:0' }}]
         admin = {{ address = '127.0.0.1:0', token = 'the token' }}
         route = [{{ path = '/', upstream = 'a' }}]
         [upstream.a]
         replica = [{{ name = 'one', url = 'http://{}' }}, {{ name = 'two', url = 'http://{}', priority = 2 }}]",
        one.address(),
        two.address()
    ));
    (gateway, one, two)
}

/// Asks for a change as who has the token.
async fn change(admin: SocketAddr, path: &str) -> Response {
    ask(admin, &format!("POST {path}"), &["authorization: Bearer the token"]).await
}

/// Looks at something, by this name of the machine.
async fn look(admin: SocketAddr, path: &str, host: &str) -> Response {
    exchange(admin, format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
        .await
}

async fn status(admin: SocketAddr) -> Value {
    let response = look(admin, "/status", "localhost").await;
    assert_eq!(response.status, 200);
    serde_json::from_str(&response.body).unwrap()
}

#[tokio::test]
async fn a_replica_that_is_drained_has_no_requests_until_it_is_undrained() {
    let (gateway, _one, _two) = over_two().await;
    let admin = gateway.admin();
    assert_eq!(get(gateway.address(), "/").await.body, "one");

    let drained = change(admin, "/upstreams/a/replicas/one/drain").await;

    assert_eq!((drained.status, &*drained.body), (200, r#"{"drained":true,"outcome":"applied"}"#));
    assert_eq!(get(gateway.address(), "/").await.body, "two");
    let replica = &status(admin).await["upstreams"]["a"][0];
    assert_eq!([&replica["standing"], &replica["active"]], [&json!("drained"), &json!(false)]);
    assert_eq!(status(admin).await["readiness"]["status"], "degraded");

    let undrained = change(admin, "/upstreams/a/replicas/one/undrain").await;

    assert_eq!(
        (undrained.status, &*undrained.body),
        (200, r#"{"drained":false,"outcome":"applied"}"#)
    );
    assert_eq!(get(gateway.address(), "/").await.body, "one");
}

#[tokio::test]
async fn limits_say_what_they_allow_and_how_much_of_it_is_taken() {
    let gateway = InProcess::start(
        "workers = 1
         listener = [{ address = '127.0.0.1:0' }]
         admin = { address = '127.0.0.1:0' }
         limit.rate = { rate = { quota = '3/m', keys = 1024 }, key = 'address' }
         limit.few = { concurrency = { limit = 2 } }
         route = [{ path = '/', rate_limit = ['rate'], concurrency_limit = 'few', respond = { status = 200 } }]",
    );
    assert_eq!(get(gateway.address(), "/").await.status, 200);

    let limits = status(gateway.admin()).await["limits"].clone();

    let rate = json!({ "rate": "3/m burst 3", "keys": 1, "capacity": 1024, "waiting": 0 });
    let few = json!({ "concurrency": 2, "under_way": 0, "waiting": 0, "keys": 0 });
    assert_eq!(limits, json!({ "few": few, "rate": rate }));
}

#[tokio::test]
async fn a_circuit_is_what_an_operator_says_until_it_is_given_back() {
    let (gateway, _one, _two) = over_two().await;
    let admin = gateway.admin();
    let circuit = async || status(admin).await["upstreams"]["a"][0]["circuit"]["state"].clone();

    for (said, state, answers) in [
        ("open", "forced_open", "two"),
        ("closed", "forced_closed", "one"),
        ("auto", "closed", "one"),
    ] {
        let changed = change(admin, &format!("/upstreams/a/replicas/one/circuit/{said}")).await;

        let expected = format!(r#"{{"circuit":"{state}","outcome":"applied"}}"#);
        assert_eq!((changed.status, changed.body), (200, expected));
        assert_eq!(circuit().await, state);
        assert_eq!(get(gateway.address(), "/").await.body, answers, "{said}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_changed() {
    let (gateway, _one, _two) = over_two().await;

    for path in [
        "/upstreams/b/replicas/one/drain",
        "/upstreams/a/replicas/three/undrain",
        "/upstreams/a/replicas/three/circuit/open",
        "/upstreams/a/replicas/one/circuit/ajar",
        "/nothing",
    ] {
        assert_eq!(change(gateway.admin(), path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn nothing_changes_for_who_has_no_token_or_comes_from_a_web_page() {
    let (gateway, _one, _two) = over_two().await;
    let admin = gateway.admin();
    let token = "authorization: Bearer the token";
    let foreign = ["origin: http://evil.example", "sec-fetch-site: cross-site"];
    for path in [
        "/upstreams/a/replicas/one/drain",
        "/upstreams/a/replicas/one/circuit/open",
        "/log",
        "/reload",
    ] {
        let post = format!("POST {path}");

        assert_eq!(ask(admin, &post, &[]).await.status, 401, "{path}");
        assert_eq!(
            ask(admin, &post, &["authorization: Bearer another"]).await.status,
            401,
            "{path}"
        );
        let refused = ask(admin, &post, &[token, foreign[0], foreign[1]]).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.header("access-control-allow-origin").is_empty());
        // No link and no image of a page asks for anything but this.
        assert_eq!(ask(admin, &format!("GET {path}"), &[token]).await.status, 405, "{path}");
    }
    // A preflight is answered nothing that would let a page go on.
    let preflight =
        ask(admin, "OPTIONS /log", &[foreign[0], "access-control-request-method: POST"]).await;
    assert!(preflight.header("access-control-allow-origin").is_empty());
    assert_eq!(preflight.status, 403);

    assert_eq!(get(gateway.address(), "/").await.body, "one");
    for (reason, count) in [("wrong_token", 8.0), ("browser", 5.0)] {
        let series = format!("portcullis_admin_changes_total{{outcome=\"{reason}\"}}");
        assert_eq!(gateway.metric(&series).await, count, "{reason}");
    }
}

#[tokio::test]
async fn a_name_that_a_web_page_gave_to_this_machine_shows_nothing() {
    let (gateway, _one, _two) = over_two().await;

    for path in ["/", "/status", "/config"] {
        for (host, expected) in
            [("evil.example:9090", 403), ("localhost:9090", 200), ("[::1]", 200)]
        {
            assert_eq!(look(gateway.admin(), path, host).await.status, expected, "{path} {host}");
        }
    }
}

#[tokio::test]
async fn the_configuration_is_shown_as_it_is_written_and_its_secrets_are_not() {
    let (gateway, one, _) = over_two().await;

    let shown = look(gateway.admin(), "/config", "127.0.0.1").await;

    assert!(!shown.body.contains("the token"), "{}", shown.body);
    assert_eq!(shown.header("cache-control"), ["no-store"]);
    let shown: Value = serde_json::from_str(&shown.body).unwrap();
    assert_eq!(shown["generation"], 1);
    assert_eq!(shown["config"]["admin"], json!({ "address": "127.0.0.1:0", "token": "…" }));
    let replica = &shown["config"]["upstream"]["a"]["replica"][0];
    assert_eq!(*replica, json!({ "name": "one", "url": format!("http://{}", one.address()) }));
}

#[tokio::test]
async fn all_there_is_can_be_seen() {
    let (gateway, _one, _two) = over_two().await;
    get(gateway.address(), "/").await;

    let status = status(gateway.admin()).await;

    assert_eq!(status["state"], "running");
    assert_eq!(status["needs_token"], true);
    assert_eq!(status["readiness"]["config"]["generation"], 1);
    assert_eq!(status["routes"], json!([{ "name": "/", "path": "/", "upstream": "a" }]));
    assert_eq!(status["listeners"][0]["limits"]["connections"], 20000);
    let replica = &status["upstreams"]["a"][0];
    assert_eq!([&replica["name"], &replica["circuit"]["state"]], [&json!("one"), &json!("closed")]);
    assert_eq!([&replica["active"], &replica["in_flight"]], [&json!(true), &json!(0)]);
}

#[tokio::test]
async fn the_log_says_as_much_as_it_is_told_to() {
    let config = "workers = 1
        listener = [{ address = '127.0.0.1:0' }]
        admin = { address = '127.0.0.1:0' }
        route = [{ path = '/', respond = { status = 204 } }]";
    let (mut process, gateway, admin) = Process::serve(env!("CARGO_BIN_EXE_gateway"), config).await;
    let admin = admin.unwrap();
    let level = async |level: &str, kind: &str| {
        let body = format!("{{\"level\":\"{level}\"}}");
        let head = format!(
            "POST /log HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        exchange(admin, head + &body).await.status
    };

    assert_eq!(level("warn", "text/plain").await, 415);
    assert_eq!(level("a=b=c", "application/json").await, 422);
    assert_eq!(level("warn", "application/json").await, 200);
    get(gateway, "/unheard").await;
    assert_eq!(level("info", "application/json").await, 200);
    get(gateway, "/heard").await;

    process.line(|line| line.contains("/heard")).await;
    process.signal("KILL").await;
    let (_, lines) = process.end().await;
    assert!(!lines.iter().any(|line| line.contains("/unheard")), "{lines:#?}");
}
