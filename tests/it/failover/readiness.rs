//! How each route and replica does, in `/readyz`, metrics and log.

use portcullis_tests::{InProcess, Nowhere, Process, Upstream, gateway, get};

use super::{FAILED, OK, over, value};

#[tokio::test]
async fn readiness_tells_of_each_route_and_replica_by_its_circuit() {
    let (one, other) = (Upstream::answering(FAILED).await, Upstream::answering(OK).await);
    let open =
        "circuit_breaker = { consecutive_failures = 1, open = { first = '1h', longest = '1h' } }";
    let half = gateway(&over(&[one.address(), other.address()], open));
    let none = gateway(&over(&[one.address(), one.address()], open));
    let ready = async |gateway: &InProcess| {
        let response = get(gateway.admin(), "/readyz").await;
        let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        (response.status, body)
    };

    half.until_metric(r#"portcullis_replica_up{upstream="u",replica="b"}"#, 1.0).await;
    none.until_metric(r#"portcullis_replica_up{upstream="u",replica="b"}"#, 1.0).await;
    let (_, before) = ready(&half).await;
    get(half.address(), "/").await;
    get(none.address(), "/").await;
    let (status, degraded) = ready(&half).await;
    let (gone, unready) = ready(&none).await;

    assert_eq!(before["status"], "ready");
    assert_eq!(
        (status, &degraded["status"], &degraded["routes"]["all"]),
        (200, &"degraded".into(), &"degraded".into())
    );
    assert_eq!(degraded["upstreams"]["u"], serde_json::json!({ "a": "open", "b": "up" }));
    assert_eq!(
        (gone, &unready["status"], &unready["routes"]["all"]),
        (503, &"unready".into(), &"unready".into())
    );
}

/// A gateway as a process that writes JSON, over these replicas.
async fn process(
    replicas: &[std::net::SocketAddr],
) -> (Process, std::net::SocketAddr, std::net::SocketAddr) {
    let listeners = "workers = 1\nlistener = [{ address = '127.0.0.1:0' }]\n\
        admin = { address = '127.0.0.1:0' }\nlog = { format = 'json' }\n";
    let config = format!("{listeners}{}", over(replicas, ""));
    let (process, to, admin) = Process::serve(env!("CARGO_BIN_EXE_gateway"), &config).await;
    (process, to, admin.unwrap())
}

async fn line(process: &mut Process, wanted: &str) -> serde_json::Value {
    let line = process.line(|line| line.contains(wanted)).await;
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn a_request_that_goes_over_is_told_of_by_log_and_metrics() {
    let (nowhere, other) = (Nowhere::take(), Upstream::answering(OK).await);
    let (mut process, to, admin) = process(&[nowhere.address(), other.address()]).await;

    get(to, "/thing").await;
    let access = line(&mut process, "\"access\"").await;
    let failover = line(&mut process, "\"failover\"").await;

    assert_eq!(
        (&access["level"], &access["replica"], &access["status"]),
        (&"INFO".into(), &"b".into(), &200.into())
    );
    assert!(access["duration_ms"].as_f64().unwrap() >= 0.0);
    for (key, value) in [
        ("level", "WARN".into()),
        ("from", "a".into()),
        ("to", "b".into()),
        ("reason", "connect".into()),
        ("route", "all".into()),
        ("attempt", serde_json::Value::from(1)),
        ("request_id", access["request_id"].clone()),
    ] {
        assert_eq!(failover[key], value, "{key}");
    }
    let of = |replica: &str, more: &str| format!("{{upstream=\"u\",replica=\"{replica}\"{more}}}");
    for (series, count) in [
        ("replica_failover_failovers_total{upstream=\"u\",from=\"a\",to=\"b\",reason=\"connect\"}".to_owned(), 1.0),
        (format!("replica_failover_attempts_total{}", of("b", ",outcome=\"ok\"")), 1.0),
        (format!("replica_failover_attempts_total{}", of("a", ",outcome=\"connect\"")), 1.0),
        (format!("portcullis_upstream_failures_total{}", of("a", ",phase=\"connect\"")), 1.0),
        (format!("portcullis_replica_response_start_seconds_count{}", of("b", "")), 1.0),
        (format!("portcullis_replica_response_start_seconds_count{}", of("a", "")), 0.0),
        (format!("portcullis_replica_active{}", of("a", "")), 0.0),
        (format!("portcullis_replica_active{}", of("b", "")), 1.0),
    ] {
        assert_eq!(value(admin, &series).await, count, "{series}");
    }
}

#[tokio::test]
async fn a_request_that_all_have_failed_is_an_error_in_the_log() {
    let (nowhere, failing) = (Nowhere::take(), Upstream::answering(FAILED).await);
    let (mut process, to, _) = process(&[nowhere.address(), failing.address()]).await;

    assert_eq!(get(to, "/thing").await.status, 502);
    let all = line(&mut process, "\"all replicas failed\"").await;

    assert_eq!((&all["level"], &all["attempts"]), (&"ERROR".into(), &3.into()));
    let tried = all["tried"].as_str().unwrap();
    assert!(tried.starts_with("a: connect (") && tried.contains(", b: status 500 ("), "{tried}");
}
