//! The network between the gateway and its replicas breaks, and heals.
//!
//! A relay in front of each replica takes connections and bytes, and passes nothing on: what a partition looks like to who
//! has connected already. What it looks like to who has not is a full backlog, in which connections wait for ever.

use std::time::Duration;

use portcullis_tests::{Relay, Upstream, Way, gateway, get};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use super::{A_WHILE, OK, over, reason};

/// What a busy machine may take beyond a limit.
const SLACK: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_partition_from_all_replicas_is_answered_by_the_limits_and_heals() {
    let upstreams = [Upstream::answering(OK).await, Upstream::answering(OK).await];
    let relays = [Relay::to(upstreams[0].address()).await, Relay::to(upstreams[1].address()).await];
    let policy = "timeouts = { response_header = '200ms' }\n\
        circuit_breaker = { consecutive_failures = 2, open = { first = '50ms', longest = '100ms' } }";
    let gateway = gateway(&over(&[relays[0].address(), relays[1].address()], policy));
    assert_eq!(get(gateway.address(), "/").await.status, 200);

    relays.iter().for_each(|relay| relay.go(Way::Nowhere));
    for _ in 0..3 {
        let began = Instant::now();
        let response = get(gateway.address(), "/").await;
        let reason = reason(&response);
        assert!(["all_replicas_failed", "no_replica_available"].contains(&&*reason), "{reason}");
        assert!(began.elapsed() < 3 * Duration::from_millis(200) + SLACK);
    }

    relays.iter().for_each(|relay| relay.go(Way::Through));
    let heals = async { while get(gateway.address(), "/").await.status != 200 {} };
    timeout(A_WHILE, heals).await.expect("an answer");
}

#[tokio::test]
async fn one_side_of_a_partition_serves() {
    let upstreams = [Upstream::answering(OK).await, Upstream::answering(OK).await];
    let relay = Relay::to(upstreams[0].address()).await;
    let policy = "timeouts = { response_header = '200ms' }";
    let gateway = gateway(&over(&[relay.address(), upstreams[1].address()], policy));
    get(gateway.address(), "/").await;

    relay.go(Way::Nowhere);

    for _ in 0..20 {
        assert_eq!(get(gateway.address(), "/").await.status, 200);
    }
}

#[tokio::test]
async fn the_first_request_that_goes_over_waits_as_long_as_the_limit_of_its_phase() {
    let other = Upstream::answering(OK).await;
    let limit = Duration::from_millis(300);

    let full = TcpSocket::new_v4().unwrap();
    full.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let full = full.listen(0).unwrap();
    let _waiting = TcpStream::connect(full.local_addr().unwrap()).await.unwrap();
    let silent = Upstream::serving(|socket, _| async move {
        let _open = socket;
        std::future::pending::<()>().await;
    })
    .await;

    for (first, phase) in
        [(full.local_addr().unwrap(), "connect"), (silent.address(), "response_header")]
    {
        let timeouts = format!("timeouts = {{ {phase} = '300ms' }}");
        let gateway = gateway(&over(&[first, other.address()], &timeouts));

        let began = Instant::now();
        let response = get(gateway.address(), "/").await;
        let took = began.elapsed();

        assert_eq!(response.status, 200, "{phase}");
        assert!(took >= limit && took < limit + SLACK, "{phase}: {took:?}");
        let gone_over =
            r#"replica_failover_failovers_total{upstream="u",from="a",to="b",reason="timeout"}"#;
        assert_eq!(gateway.metric(gone_over).await, 1.0, "{phase}");
    }
}
