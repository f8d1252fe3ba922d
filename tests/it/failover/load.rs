//! What failures cost the upstream.

use portcullis_tests::{Connection, Upstream, gateway};

use super::{FAILED, OK, arrivals, asked, over};

#[tokio::test]
async fn when_all_fail_the_upstream_has_little_more_to_bear_than_the_client_sends() {
    const SENT: usize = 200;
    let mut replicas = [Upstream::answering(FAILED).await, Upstream::answering(FAILED).await];
    let policy = "failover = { budget = { share = 20, per_second = 0 }, backoff = { base = '1ms', max = '1ms' } }\n\
        circuit_breaker = { mode = 'disabled' }";
    let addresses = [replicas[0].address(), replicas[1].address()];
    let gateway = gateway(&over(&addresses, policy));

    let mut client = Connection::open(gateway.address()).await;
    for _ in 0..SENT {
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(matches!(client.response().await.status, 500 | 502));
    }
    let borne: usize = replicas.iter_mut().map(arrivals).sum();

    assert!((SENT + 2..=SENT * 12 / 10 + 10).contains(&borne), "{borne} of {SENT}");
    let spent = r#"replica_failover_budget_exhausted_total{upstream="u"}"#;
    assert!(gateway.metric(spent).await > 0.0);
}

#[tokio::test]
async fn with_circuits_many_failures_cost_at_most_a_fifth_more_than_was_sent() {
    const SENT: usize = 1_500;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Upstream::answering(FAILED).await);
    }
    let addresses: Vec<_> = replicas.iter().map(Upstream::address).collect();
    let gateway =
        gateway(&over(&addresses, "failover = { budget = { share = 20, per_second = 1 } }"));

    let mut client = Connection::open(gateway.address()).await;
    for sent in 0..2 * SENT {
        if sent == SENT {
            // What has been borne so far is what it took to find out.
            for replica in &mut replicas {
                arrivals(replica);
            }
        }
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(client.response().await.status >= 500);
    }
    let borne: usize = replicas.iter_mut().map(arrivals).sum();

    assert!(borne <= SENT * 12 / 10, "{borne} of {SENT}");
}

#[tokio::test]
async fn one_of_ten_that_fails_at_once_attracts_nothing() {
    for order in ["round_robin", "weighted", "least_request", "peak_ewma", "hash"] {
        let failing = Upstream::answering(FAILED).await;
        let mut all = vec![failing.address()];
        let mut good = Vec::new();
        for _ in 1..10 {
            good.push(Upstream::answering(OK).await);
        }
        all.extend(good.iter().map(Upstream::address));
        let gateway = gateway(&over(&all, &format!("failover = {{ order = '{order}' }}")));

        let mut client = Connection::open(gateway.address()).await;
        let mut failed = 0;
        let mut ask = async |path: usize| {
            client.write(format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            failed += usize::from(client.response().await.status != 200);
        };
        for path in 0..500 {
            ask(path).await;
        }
        let before = asked(&gateway, "a").await;
        for path in 500..1000 {
            ask(path).await;
        }
        let share = (asked(&gateway, "a").await - before) / 500.0;

        assert_eq!(failed, 0, "{order}");
        assert!(before >= 1.0, "{order}: it was never asked");
        assert!(share < 0.03, "{order}: {share}");
    }
}
