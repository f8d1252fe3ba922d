//! Health, readiness and metrics.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::gateway::Gateway;
#[cfg(feature = "peers")]
use portcullis_tests::Process;
use portcullis_tests::{InProcess, Nowhere, Response, Upstream, ask, gateway, get, plan};
use tokio::process::Command;
use tokio::time::timeout;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An upstream and a route for each of these addresses: `/0`, `/1`, …
fn to(addresses: &[SocketAddr]) -> String {
    let sections = addresses.iter().enumerate().map(|(index, address)| {
        format!(
            "[upstream.u{index}]
             replica = [{{ name = 'r', url = 'http://{address}' }}]
             [[route]]
             path = '/{index}'
             upstream = 'u{index}'\n"
        )
    });
    sections.collect()
}

/// Asks until readiness says this, which it does as soon as the probes have been there.
async fn until_ready(admin: SocketAddr, word: &str) -> Response {
    let found = async {
        loop {
            let response = get(admin, "/readyz").await;
            if response.body.contains(word) {
                return response;
            }
        }
    };
    let found = timeout(Duration::from_secs(30), found).await;
    assert!(found.is_ok(), "it is never {word}");
    found.unwrap()
}

#[tokio::test]
async fn a_gateway_that_runs_is_alive_whatever_its_upstreams_are() {
    let nowhere = Nowhere::take();
    let gateway = gateway(&to(&[nowhere.address()]));
    until_ready(gateway.admin(), "unready").await;

    for path in ["/livez", "/health"] {
        let response = get(gateway.admin(), path).await;

        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("content-type"), ["application/json"]);
        let expected = format!(r#"{{"status":"alive","state":"running","version":"{VERSION}"}}"#);
        assert_eq!(response.body, expected);
    }
}

const VERSION: &str = "0.1.0";

#[tokio::test]
async fn it_is_ready_when_all_replicas_are_up() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&[upstream.address()]));
    until_ready(gateway.admin(), "\"up\"").await;

    for path in ["/readyz", "/ready"] {
        let response = get(gateway.admin(), path).await;

        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("cache-control"), ["no-store"]);
        let expected =
            r#"{"status":"ready","routes":{"/0":"ready"},"upstreams":{"u0":{"r":"up"}},"config":"#;
        assert!(response.body.starts_with(expected), "{}", response.body);
    }
}

#[tokio::test]
async fn it_is_degraded_and_still_ready_when_one_of_two_upstreams_is_down() {
    let upstream = Upstream::answering(OK).await;
    let nowhere = Nowhere::take();
    let gateway = gateway(&to(&[upstream.address(), nowhere.address()]));
    until_ready(gateway.admin(), "\"up\"").await;

    let response = until_ready(gateway.admin(), "\"down\"").await;

    assert_eq!(response.status, 200);
    let expected = r#"{"status":"degraded","routes":{"/0":"ready","/1":"unready"},"upstreams":{"u0":{"r":"up"},"u1":{"r":"down"}},"#;
    assert!(response.body.starts_with(expected), "{}", response.body);
}

#[tokio::test]
async fn it_is_not_ready_when_all_upstreams_are_down() {
    let nowhere = Nowhere::take();
    let gateway = gateway(&to(&[nowhere.address()]));

    let response = until_ready(gateway.admin(), "\"down\"").await;

    assert_eq!(response.status, 503);
    let expected =
        r#"{"status":"unready","routes":{"/0":"unready"},"upstreams":{"u0":{"r":"down"}},"#;
    assert!(response.body.starts_with(expected), "{}", response.body);
}

#[tokio::test]
async fn a_replica_that_comes_back_is_noticed() {
    let nowhere = Nowhere::take();
    let gateway = gateway(&to(&[nowhere.address()]));
    until_ready(gateway.admin(), "\"down\"").await;

    let _listener = nowhere.listen();
    let response = until_ready(gateway.admin(), "\"up\"").await;

    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn to_ask_whether_it_is_ready_connects_to_nobody() {
    let upstream = Upstream::answering(OK).await;
    let config = "workers = 1\n\
        listener = [{ address = '127.0.0.1:0' }]\n\
        admin = { address = '127.0.0.1:0', probe_interval = '1h' }\n";
    let gateway = InProcess::start(&format!("{config}{}", to(&[upstream.address()])));
    until_ready(gateway.admin(), "\"up\"").await;

    for _ in 0..50 {
        get(gateway.admin(), "/readyz").await;
    }
    // Connections are accepted in their order: those of before have been when this is answered.
    get(gateway.address(), "/0").await;

    assert_eq!(upstream.connections(), 2, "a probe and a request");
}

#[tokio::test]
async fn a_second_instance_does_not_share_the_admin_port() {
    let nowhere = Nowhere::take();
    let first = gateway(&to(&[nowhere.address()]));
    get(first.admin(), "/livez").await;

    let config = format!(
        "listener = [{{ address = '127.0.0.1:0' }}]\nadmin = {{ address = '{}' }}\n{}",
        first.admin(),
        to(&[nowhere.address()])
    );
    let second = Gateway::start(plan(&config).unwrap());

    let message = second.unwrap_err().to_string();
    let expected = format!("cannot listen on {}: Address already in use", first.admin());
    assert!(message.starts_with(&expected), "{message}");
}

#[tokio::test]
async fn metrics_are_in_the_form_that_scrapers_read() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&[upstream.address()]));
    get(gateway.address(), "/0").await;

    let response = get(gateway.admin(), "/metrics").await;

    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), ["text/plain; version=0.0.4; charset=utf-8"]);
}

#[tokio::test]
async fn durations_are_histograms_whose_buckets_add_up() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&[upstream.address()]));
    for _ in 0..3 {
        get(gateway.address(), "/0").await;
    }

    let name = "portcullis_request_duration_seconds";
    let count = format!("{name}_count{{route=\"/0\"}}");
    gateway.until_metric(&count, 3.0).await;
    let scrape = get(gateway.admin(), "/metrics").await.body;

    assert!(scrape.contains(&format!("# TYPE {name} histogram")), "{scrape}");
    let of_route = format!("{name}_bucket{{route=\"/0\",le=\"");
    let buckets = scrape.lines().filter_map(|line| line.strip_prefix(&of_route));
    let buckets: Vec<_> = buckets.map(|line| line.split_once("\"} ").unwrap()).collect();
    assert!(buckets.len() > 10, "{scrape}");
    assert!(buckets.is_sorted_by_key(|(_, count)| count.parse::<u64>().unwrap()), "{buckets:?}");
    assert_eq!(buckets.last(), Some(&("+Inf", "3")));
}

#[tokio::test]
async fn a_method_that_a_client_invents_is_no_label() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&[upstream.address()]));

    for method in ["INVENTED", "MADE-UP"] {
        ask(gateway.address(), &format!("{method} /0"), &[]).await;
    }

    let other = "portcullis_requests_total{route=\"/0\",method=\"other\",status=\"200\"}";
    gateway.until_metric(other, 2.0).await;
    let scrape = get(gateway.admin(), "/metrics").await.body;
    assert!(!scrape.contains("INVENTED") && !scrape.contains("MADE-UP"), "{scrape}");
}

#[tokio::test]
async fn nothing_that_a_client_sends_makes_new_series() {
    let upstream = Upstream::answering(OK).await;
    let gateway = gateway(&to(&[upstream.address()]));
    let series = async || {
        let scrape = get(gateway.admin(), "/metrics").await.body;
        scrape.lines().filter(|line| !line.starts_with('#')).count()
    };
    let requests = async |round: usize| {
        ask(gateway.address(), &format!("GET /none{round}?q={round}"), &[]).await;
        ask(gateway.address(), &format!("GET /0/{round}"), &[&format!("host: h{round}")]).await;
        ask(gateway.address(), &format!("ODD{round} /0"), &[&format!("x-{round}: a")]).await;
        let none = "portcullis_requests_total{route=\"none\",method=\"GET\",status=\"404\"}";
        gateway.until_metric(none, f64::from(u32::try_from(round).unwrap())).await;
    };
    requests(1).await;
    let other = "portcullis_requests_total{route=\"/0\",method=\"other\",status=\"200\"}";
    gateway.until_metric(other, 1.0).await;
    let before = series().await;

    for round in 2..10 {
        requests(round).await;
    }

    gateway.until_metric(other, 9.0).await;
    assert_eq!(series().await, before);
}

#[tokio::test]
async fn two_gateways_in_one_process_count_apart() {
    let upstream = Upstream::answering(OK).await;
    let config = to(&[upstream.address()]);
    let (one, other) = (gateway(&config), gateway(&config));

    get(one.address(), "/0").await;

    let series = "portcullis_requests_total{route=\"/0\",method=\"GET\",status=\"200\"}";
    one.until_metric(series, 1.0).await;
    assert_eq!(other.metric(series).await.to_bits(), 0.0_f64.to_bits());
}

#[cfg(feature = "peers")]
#[tokio::test]
async fn probes_are_answered_while_no_worker_can_do_anything() {
    let upstream = Upstream::answering(OK).await;
    let config = "workers = 1\n\
        listener = [{ address = '127.0.0.1:0' }]\n\
        admin = { address = '127.0.0.1:0', probe_interval = '50ms' }\n";
    let config = format!("{config}{}", to(&[upstream.address()]));
    let program = env!("CARGO_BIN_EXE_gateway");
    let (process, gateway, admin) = Process::serve(program, &config).await;
    let admin = admin.unwrap();

    let _stopped = crate::peers::stop(process.thread("worker-0")).await;
    let unanswered = timeout(Duration::from_millis(200), get(gateway, "/0")).await;
    assert!(unanswered.is_err(), "somebody works");

    for path in ["/livez", "/readyz", "/metrics"] {
        let response = timeout(Duration::from_secs(30), get(admin, path)).await;
        assert_eq!(response.unwrap().status, 200, "{path}");
    }
}

/// What `portcullis health` answers, and what it complains of.
async fn health(admin: SocketAddr) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_gateway");
    let asked = Command::new(program).arg("health").arg(admin.to_string()).output().await.unwrap();
    (asked.status.code(), String::from_utf8(asked.stderr).unwrap())
}

#[tokio::test]
async fn its_health_is_an_exit_code() {
    let nowhere = Nowhere::take();
    let gateway = gateway(&to(&[nowhere.address()]));
    until_ready(gateway.admin(), "unready").await;

    // Whoever restarts what is not healthy is to look at the process alone.
    assert_eq!(health(gateway.admin()).await, (Some(0), String::new()));

    let (code, complaint) = health(nowhere.address()).await;
    let expected = format!("portcullis: {} does not answer: ", nowhere.address());
    assert!(code == Some(1) && complaint.starts_with(&expected), "{complaint}");

    let other = Upstream::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let (code, complaint) = health(other.address()).await;
    let expected =
        format!("portcullis: {} is not alive: it says \"HTTP/1.1 404\"\n", other.address());
    assert_eq!((code, complaint), (Some(1), expected));
}
