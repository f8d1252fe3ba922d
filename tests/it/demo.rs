//! The demo, as its user meets it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use portcullis_tests::{Process, Response, ask, get};

struct Demo {
    process: Process,
    facts: BTreeMap<String, String>,
}

impl Demo {
    async fn start() -> Self {
        let (process, facts) = Process::demo(env!("CARGO_BIN_EXE_gateway")).await;
        Self { process, facts }
    }

    fn address(&self, fact: &str) -> SocketAddr {
        self.facts[fact].strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// Asks the gateway in the name of `TOKEN`, `STRANGER` or nobody.
    async fn ask(&self, who: &str, what: &str, headers: &[&str]) -> Response {
        let token = self.facts.get(who).map(|token| format!("authorization: Bearer {token}"));
        let headers: Vec<_> = token.as_deref().into_iter().chain(headers.iter().copied()).collect();
        ask(self.address("GATEWAY"), what, &headers).await
    }

    /// What the upstream was asked.
    async fn echo(&self, what: &str, headers: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ask("nobody", what, headers).await.body).unwrap()
    }
}

const HELLO: &str = "Hello from the other side of the gateway.\n";

#[tokio::test]
async fn an_object_comes_with_a_token() {
    let demo = Demo::start().await;

    let response = demo.ask("TOKEN", "GET /photos/hello.txt", &[]).await;

    assert_eq!((response.status, response.body.as_str()), (200, HELLO));
}

#[tokio::test]
async fn without_a_token_no_object_comes() {
    let demo = Demo::start().await;

    let response = demo.ask("nobody", "GET /photos/hello.txt", &[]).await;

    assert_eq!(response.status, 401);
    assert_eq!(response.header("www-authenticate"), ["Bearer"]);
    assert!(response.body.contains("<Code>AccessDenied</Code>"), "{response:?}");
}

#[tokio::test]
async fn a_token_without_the_claim_is_forbidden() {
    let demo = Demo::start().await;

    let response = demo.ask("STRANGER", "GET /photos/hello.txt", &[]).await;

    assert_eq!(response.status, 403);
    assert!(response.header("www-authenticate")[0].contains("insufficient_scope"), "{response:?}");
}

#[tokio::test]
async fn a_token_may_stand_in_the_query() {
    let demo = Demo::start().await;

    let what = format!("GET /photos/hello.txt?token={}", demo.facts["TOKEN"]);
    let response = demo.ask("nobody", &what, &[]).await;

    assert_eq!((response.status, response.body.as_str()), (200, HELLO));
}

#[tokio::test]
async fn a_range_is_a_part_of_the_object() {
    let demo = Demo::start().await;

    let response = demo.ask("TOKEN", "GET /photos/hello.txt", &["range: bytes=6-9"]).await;

    assert_eq!((response.status, response.body.as_str()), (206, "from"));
    assert_eq!(response.header("content-range"), ["bytes 6-9/42"]);
}

#[tokio::test]
async fn a_head_tells_the_length_and_has_no_body() {
    let demo = Demo::start().await;

    let response = demo.ask("TOKEN", "HEAD /photos/hello.txt", &[]).await;

    assert_eq!((response.status, response.body.as_str()), (200, ""));
    assert_eq!(response.header("content-length"), ["42"]);
}

#[tokio::test]
async fn an_empty_object_is_empty() {
    let demo = Demo::start().await;

    let response = demo.ask("TOKEN", "GET /photos/empty", &[]).await;

    assert_eq!((response.status, response.body.as_str()), (200, ""));
    assert_eq!(response.header("content-length"), ["0"]);
}

#[tokio::test]
async fn a_missing_key_is_missing_in_the_words_of_s3() {
    let demo = Demo::start().await;

    let response = demo.ask("TOKEN", "GET /photos/nothing.txt", &[]).await;

    assert_eq!(response.status, 404);
    assert_eq!(response.header("content-type"), ["application/xml"]);
    assert!(response.body.contains("<Code>NoSuchKey</Code>"), "{response:?}");
}

#[tokio::test]
async fn a_key_with_a_space_a_plus_a_percent_sign_and_an_umlaut_is_found() {
    let demo = Demo::start().await;

    for path in ["/photos/a%20b%2Bc%25/%C3%BC.txt", "/photos/a%20b+c%25/%c3%bc.txt"] {
        let response = demo.ask("TOKEN", &format!("GET {path}"), &[]).await;

        assert_eq!(response.status, 200, "{path}: {response:?}");
        assert!(response.body.starts_with("This key has a space"), "{path}: {response:?}");
    }
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_there_are() {
    let demo = Demo::start().await;

    let response = demo.ask("TOKEN", "DELETE /photos/hello.txt", &[]).await;

    assert_eq!(response.status, 405);
    assert_eq!(response.header("allow"), ["GET, HEAD"]);
}

#[tokio::test]
async fn the_s3_server_serves_nobody_who_does_not_sign() {
    let demo = Demo::start().await;

    let response = get(demo.address("S3"), "/photos/hello.txt").await;

    assert_eq!(response.status, 403, "{response:?}");
}

#[tokio::test]
async fn the_upstream_sees_what_is_injected_and_the_client_what_is_added() {
    let demo = Demo::start().await;

    let response = demo.ask("nobody", "GET /api/echo?a=b", &[]).await;
    let echo: serde_json::Value = serde_json::from_str(&response.body).unwrap();

    assert_eq!(echo["target"], "/echo?a=b");
    assert_eq!(echo["headers"]["x-feature"], serde_json::json!(["on"]));
    assert_eq!(response.header("x-served-by"), ["portcullis"]);
}

#[tokio::test]
async fn connection_x_feature_does_not_delete_what_is_injected() {
    let demo = Demo::start().await;

    let headers = ["connection: x-feature", "x-feature: off", "connection: x-other", "x-other: 1"];
    let echo = demo.echo("GET /api/echo", &headers).await;

    assert_eq!(echo["headers"]["x-feature"], serde_json::json!(["on"]));
    assert_eq!(echo["headers"].get("x-other"), None);
}

#[tokio::test]
async fn the_facts_stand_one_a_line_and_are_true() {
    let demo = Demo::start().await;

    let ready = get(demo.address("ADMIN"), "/readyz").await;
    let names: Vec<_> = demo.facts.keys().map(String::as_str).collect();

    let known = ["ACCESS_KEY", "ADMIN", "GATEWAY", "S3", "SECRET_KEY", "STRANGER", "TOKEN"];
    assert_eq!(names, known);
    assert!(demo.facts.values().all(|fact| !fact.is_empty() && !fact.contains(' ')));
    assert_eq!(ready.status, 200, "{ready:?}");
}

#[tokio::test]
async fn the_demo_ends_well_by_sigterm() {
    let Demo { process, .. } = Demo::start().await;

    process.signal("TERM").await;
    let (status, _) = process.end().await;

    assert_eq!(status.code(), Some(0));
}
