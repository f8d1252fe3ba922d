//! What is answered when replicas have failed.

use std::net::SocketAddr;

use portcullis_tests::{Nowhere, Process, Upstream, ask, gateway, get};

use super::{FAILED, OK, over, reason, value};

#[tokio::test]
async fn when_all_have_failed_it_is_502_and_metric_and_log_say_what_was_tried() {
    let (one, other) = (Nowhere::take(), Upstream::answering(FAILED).await);
    let config = over(&[one.address(), other.address()], "");
    let listeners = "workers = 1\nlistener = [{ address = '127.0.0.1:0' }]\n\
        admin = { address = '127.0.0.1:0' }\nlog = { format = 'json' }\n";
    let program = env!("CARGO_BIN_EXE_gateway");
    let (mut process, address, admin) =
        Process::serve(program, &format!("{listeners}{config}")).await;

    let response = get(address, "/thing").await;
    let line = process.line(|line| line.contains("\"access\"")).await;

    assert_eq!(response.status, 502);
    assert_eq!(reason(&response), "all_replicas_failed");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let tried = line["tried"].as_str().unwrap();
    assert!(tried.starts_with("a: connect (") && tried.contains(", b: status 500 ("), "{tried}");
    assert_eq!(line["reason"], "all_replicas_failed");
    let admin = admin.unwrap();
    let unserved = r#"replica_failover_unserved_total{upstream="u",reason="all_replicas_failed"}"#;
    assert_eq!(value(admin, unserved).await, 1.0);
    let refused = r#"portcullis_refusals_total{route="all",reason="all_replicas_failed"}"#;
    assert_eq!(value(admin, refused).await, 1.0);
}

#[tokio::test]
async fn when_all_are_open_it_is_503_with_retry_after_in_each_voice_and_nobody_is_asked() {
    let upstreams = [Upstream::answering(OK).await, Upstream::answering(OK).await];
    let addresses = [upstreams[0].address(), upstreams[1].address()];
    let open = "circuit_breaker = { mode = 'forced_open' }";
    let keys = "credentials.k = { access_key = 'k', secret_key = 's' }\n";
    let signed = "sigv4_sign = { service = 's3', region = 'eu-west-1', credentials = 'k' }";
    let plain = gateway(&over(&addresses, open));
    let s3 = gateway(&format!("{keys}{}", over(&addresses, &format!("{open}\n{signed}"))));

    let problem = get(plain.address(), "/").await;
    let xml = get(s3.address(), "/").await;
    let grpc = ask(plain.address(), "POST /", &["content-type: application/grpc"]).await;

    assert_eq!((problem.status, problem.header("retry-after")), (503, vec!["1"]));
    assert_eq!(reason(&problem), "no_replica_available");
    assert_eq!((xml.status, xml.header("retry-after")), (503, vec!["1"]));
    assert!(xml.body.contains("<Code>ServiceUnavailable</Code>"), "{xml:?}");
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, vec!["14"]));
    for mut upstream in upstreams {
        assert!(upstream.saw_nothing());
    }
}

#[tokio::test]
async fn the_circuit_of_an_only_replica_counts_and_refuses_only_if_it_is_told_to() {
    let nowhere = Nowhere::take();
    let counting = gateway(&over(&[nowhere.address()], ""));
    let policy = "circuit_breaker = { consecutive_failures = 1, open = { first = '1h', longest = '1h', jitter = 0.0 } }";
    let refusing = gateway(&over(&[nowhere.address()], policy));

    for _ in 0..30 {
        assert_eq!(get(counting.address(), "/").await.status, 502);
    }
    let first = get(refusing.address(), "/").await;
    let second = get(refusing.address(), "/").await;

    assert_eq!(counting.metric(r#"circuit_breaker_state{name="u/a"}"#).await, 7.0);
    let failures = r#"circuit_breaker_calls_total{name="u/a",outcome="failure"}"#;
    assert_eq!(counting.metric(failures).await, 30.0);
    assert_eq!(counting.metric(r#"circuit_breaker_failure_rate{name="u/a"}"#).await, 1.0);
    assert_eq!((first.status, reason(&second).as_str()), (502, "circuit_open"));
    let wait: u32 = second.header("retry-after")[0].parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_lower_priority_is_asked_first_and_a_higher_one_when_it_fails() {
    let mut replicas = [Upstream::answering(OK).await, Upstream::answering(OK).await];
    let nowhere = Nowhere::take();
    let config = |first: SocketAddr| {
        format!(
            "[upstream.u]\nreplica = [\n\
             {{ name = 'spare', url = 'http://{}', priority = 2 }},\n\
             {{ name = 'first', url = 'http://{first}' }},\n]\n\
             [[route]]\npath = '/'\nupstream = 'u'\n",
            replicas[0].address()
        )
    };
    let (well, ill) = (config(replicas[1].address()), config(nowhere.address()));

    let asked_first = get(gateway(&well).address(), "/first").await;
    let asked_next = get(gateway(&ill).address(), "/next").await;

    assert_eq!((asked_first.status, asked_next.status), (200, 200));
    assert!(replicas[1].seen().await.line().starts_with("GET /first "));
    assert!(replicas[0].seen().await.line().starts_with("GET /next "));
}
