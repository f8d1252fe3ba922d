//! Replicas are asked for their health, and one that is ill has no requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis_tests::{
    Connection, Identity, InProcess, Nowhere, Upstream, exchange, gateway, get, read_request,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{OK, asked, over, reason};

/// A policy of checks that come often, and may take long: the machine may be busy.
fn checks(probe: &str, more: &str) -> String {
    let often = "interval = '2s', fast_interval = '20ms', time_limit = '1900ms', jitter = 0";
    format!("health_check = {{ probe = {probe}, {often}, {more} }}\n")
}

/// A replica that is well for checks of `/healthz` as long as the switch is on, and always answers requests.
async fn switched(well: &Arc<AtomicBool>) -> Upstream {
    let well = well.clone();
    Upstream::serving(move |mut socket, seen| {
        let well = well.clone();
        async move {
            while let Some(request) = read_request(&mut socket).await {
                let is_check = request.line().contains(" /healthz ");
                let ill = is_check && !well.load(Ordering::Relaxed);
                seen.send(request).ok();
                let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                if socket.write_all(if ill { answer } else { OK }.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

async fn ready(gateway: &InProcess) -> (u16, serde_json::Value) {
    let response = get(gateway.admin(), "/readyz").await;
    (response.status, serde_json::from_str(&response.body).unwrap())
}

fn state(replica: &str) -> String {
    format!("health_state{{upstream=\"u\",replica=\"{replica}\"}}")
}

fn checked(replica: &str, outcome: &str) -> String {
    format!("health_check_total{{upstream=\"u\",replica=\"{replica}\",outcome=\"{outcome}\"}}")
}

#[tokio::test]
async fn an_ill_replica_has_no_requests_and_comes_back_and_all_places_say_so() {
    let well = Arc::new(AtomicBool::new(true));
    let (mut a, b) = (switched(&well).await, Upstream::answering(OK).await);
    let policy = checks("{ http = { path = '/healthz' } }", "rise = 1, fall = 2");
    let gateway = gateway(&over(&[a.address(), b.address()], &policy));
    let meter = |name: &str, replica: &str| {
        format!("portcullis_replica_{name}{{upstream=\"u\",replica=\"{replica}\"}}")
    };
    for replica in ["a", "b"] {
        gateway.until_above(&checked(replica, "ok"), 0.0).await;
        assert_eq!(gateway.metric(&meter("up", replica)).await, 1.0);
    }
    assert_eq!(ready(&gateway).await.1["status"], "ready");
    let actives = async || {
        [gateway.metric(&meter("active", "a")).await, gateway.metric(&meter("active", "b")).await]
    };
    assert_eq!(actives().await, [1.0, 0.0]);

    well.store(false, Ordering::Relaxed);
    gateway.until_metric(&state("a"), 0.0).await;
    while !a.saw_nothing() {}
    for _ in 0..20 {
        assert_eq!(get(gateway.address(), "/").await.status, 200);
    }
    let requests_to_a = asked(&gateway, "a").await;
    let (status, degraded) = ready(&gateway).await;
    assert_eq!((requests_to_a, asked(&gateway, "b").await), (0.0, 20.0));
    assert_eq!((status, &degraded["status"]), (200, &"degraded".into()));
    assert_eq!(degraded["routes"]["all"], "degraded");
    assert_eq!(degraded["upstreams"]["u"], serde_json::json!({ "a": "down", "b": "up" }));
    assert_eq!(gateway.metric(&meter("up", "a")).await, 0.0);
    assert_eq!(actives().await, [0.0, 1.0]);
    assert!(gateway.metric(&checked("a", "status")).await >= 2.0);
    assert!(a.seen().await.line().starts_with("GET /healthz "));

    well.store(true, Ordering::Relaxed);
    gateway.until_metric(&state("a"), 1.0).await;
    get(gateway.address(), "/").await;
    assert_eq!(asked(&gateway, "a").await, 1.0);
    assert_eq!(ready(&gateway).await.1["upstreams"]["u"]["a"], "up");
}

#[tokio::test]
async fn a_replica_that_takes_no_connection_is_left_out_before_a_request_finds_out() {
    let (nowhere, b) = (Nowhere::take(), Upstream::answering(OK).await);
    let policy = checks("'tcp'", "initial = 'first_check'");
    let gateway = gateway(&over(&[nowhere.address(), b.address()], &policy));
    gateway.until_metric(&state("b"), 1.0).await;
    gateway.until_above(&checked("a", "error"), 0.0).await;

    for _ in 0..5 {
        assert_eq!(get(gateway.address(), "/").await.status, 200);
    }

    assert_eq!(asked(&gateway, "a").await, 0.0);
}

#[tokio::test]
async fn a_check_goes_to_the_root_with_the_host_and_the_signature_of_the_replica() {
    let a = Upstream::answering(OK).await;
    let mut signed = Upstream::answering(OK).await;
    let mut named = Upstream::answering(OK).await;
    let config = |upstream: &str, to: &Upstream, probe: &str, more: &str| {
        format!(
            "[upstream.{upstream}]\nreplica = [{{ name = 'a', url = 'http://{}/bucket' }}]\n{more}\n{}",
            to.address(),
            checks(probe, "rise = 1")
        )
    };
    let signing = "sigv4_sign = { service = 's3', region = 'eu-west-1', credentials = 'k' }";
    let _gateway = gateway(&format!(
        "credentials.k = {{ access_key = 'AKID', secret_key = 's' }}\n{}{}{}",
        config("s", &signed, "{ http = { path = '/bucket?max-keys=0' } }", signing),
        config(
            "n",
            &named,
            "{ http = { path = '/healthz', host = 'photos.internal' } }",
            "host = { set = 'other' }"
        ),
        config("u", &a, "'tcp'", "") + "[[route]]\npath = '/'\nupstream = 'u'\n",
    ));

    let (signed_check, named_check) = (signed.seen().await, named.seen().await);

    assert_eq!(signed_check.line(), "GET /bucket?max-keys=0 HTTP/1.1");
    assert_eq!(signed_check.header("host"), [signed.address().to_string()]);
    assert!(
        signed_check.header("authorization")[0].starts_with("AWS4-HMAC-SHA256 Credential=AKID/")
    );
    assert_eq!(named_check.line(), "GET /healthz HTTP/1.1");
    assert_eq!(named_check.header("host"), ["photos.internal"]);
    assert!(named_check.header("authorization").is_empty());
}

#[tokio::test]
async fn each_check_has_a_connection_of_its_own_and_requests_keep_theirs() {
    let a = Upstream::answering(OK).await;
    let policy = checks("{ http = { path = '/healthz' } }", "rise = 9");
    let gateway = gateway(&over(&[a.address()], &policy));
    let opened = "portcullis_upstream_connections_total{upstream=\"u\",replica=\"a\"}";

    gateway.until_above(&checked("a", "ok"), 3.0).await;
    for _ in 0..3 {
        get(gateway.address(), "/").await;
    }

    assert!(a.connections() >= 5, "{}", a.connections());
    assert_eq!(gateway.metric(opened).await, 1.0);
}

#[tokio::test]
async fn a_check_trusts_whom_requests_trust() {
    let identity = Identity::new(&["127.0.0.1"]);
    let acceptor = TlsAcceptor::from(identity.server());
    let serving = Upstream::serving(move |socket, seen| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            while let Some(request) = read_request(&mut socket).await {
                seen.send(request).ok();
                socket.write_all(OK.as_bytes()).await.unwrap();
                socket.flush().await.unwrap();
            }
        }
    })
    .await;
    let trust = format!("ca_file = '{}'\n", identity.certificate().display());
    for (trust, outcome) in [(trust.as_str(), "ok"), ("", "error")] {
        let policy = checks("{ http = { path = '/' } }", "") + trust;
        let config = over(&[serving.address()], &policy).replace("http://", "https://");
        let gateway = gateway(&config);

        gateway.until_above(&checked("a", outcome), 0.0).await;
    }
}

/// A gRPC server whose health is as the switch says.
async fn grpc(serving: watch::Receiver<bool>) -> Upstream {
    Upstream::serving(move |socket, _| {
        let serving = serving.clone();
        let answer = move |request: hyper::Request<Incoming>| {
            let state = if *serving.borrow() { 1 } else { 2 };
            async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert!(
                    request.uri().authority().is_some() && !request.headers().contains_key("host")
                );
                assert_eq!(request.headers()["te"], "trailers");
                let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, state]);
                let trailers = HeaderMap::from_iter([(
                    http::HeaderName::from_static("grpc-status"),
                    http::HeaderValue::from_static("0"),
                )]);
                let body = Full::new(message).with_trailers(async { Some(Ok(trailers)) });
                let response =
                    hyper::Response::builder().header("content-type", "application/grpc");
                Ok::<_, http::Error>(response.body(body).unwrap())
            }
        };
        async move {
            let server = http2::Builder::new(TokioExecutor::new());
            drop(server.serve_connection(TokioIo::new(socket), service_fn(answer)).await);
        }
    })
    .await
}

#[tokio::test]
async fn the_health_protocol_of_grpc_is_spoken_over_http2() {
    let (switch, serving) = watch::channel(true);
    let a = grpc(serving).await;
    let policy = checks("{ grpc = {} }", "fall = 1");
    let gateway = gateway(&over(&[a.address()], &policy));
    gateway.until_above(&checked("a", "ok"), 0.0).await;

    switch.send_replace(false);

    gateway.until_above(&checked("a", "not_serving"), 0.0).await;
    gateway.until_metric(&state("a"), 0.0).await;
}

#[tokio::test]
async fn when_none_is_healthy_it_is_503_and_unready_or_panic_if_that_is_wanted() {
    for (panic_below, status, standing, word) in
        [(0, 503, "down", "unready"), (1, 200, "panicking", "degraded")]
    {
        let (a, b) = (Upstream::answering(OK).await, Upstream::answering(OK).await);
        let probe = "{ http = { path = '/healthz', statuses = [204] } }";
        let policy = checks(probe, &format!("fall = 1, panic_below = {panic_below}"));
        let gateway = gateway(&over(&[a.address(), b.address()], &policy));
        for replica in ["a", "b"] {
            gateway.until_metric(&state(replica), 0.0).await;
        }

        let response = get(gateway.address(), "/").await;
        let (_, readiness) = ready(&gateway).await;

        assert_eq!(response.status, status);
        if status == 503 {
            assert_eq!(reason(&response), "no_replica_available");
        }
        assert_eq!(readiness["upstreams"]["u"]["a"], standing);
        assert_eq!(readiness["status"], word);
    }
}

#[tokio::test]
async fn who_has_no_requests_before_its_first_check_is_not_ready_before_it() {
    let a = Upstream::answering(OK).await;
    let policy =
        "health_check = { initial = 'unhealthy', interval = '1h', fast_interval = '1h', rise = 9 }";
    let gateway = gateway(&over(&[a.address()], policy));

    let response = get(gateway.address(), "/").await;
    let (status, readiness) = ready(&gateway).await;

    assert_eq!((response.status, status), (503, 503));
    assert_eq!(readiness["upstreams"]["u"]["a"], "waiting");
}

#[tokio::test]
async fn checks_go_on_while_it_drains_and_end_with_it() {
    let a = Upstream::serving(|mut socket, seen| async move {
        while let Some(request) = read_request(&mut socket).await {
            let is_check = request.line().contains(" /healthz ");
            seen.send(request).ok();
            // Requests are answered by nobody until the connection ends.
            if is_check {
                socket.write_all(OK.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let policy = checks("{ http = { path = '/healthz' } }", "rise = 99");
    let config = over(&[a.address()], &policy) + "[drain]\ndeadline = '1h'\n";
    let mut gateway = gateway(&config);
    let hanging = tokio::spawn(exchange(
        gateway.address(),
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ));
    gateway.until_metric("portcullis_requests_in_flight", 1.0).await;

    gateway.stop();
    gateway.until_metric("portcullis_drain_phase", 2.0).await;
    let before = gateway.metric(&checked("a", "ok")).await;
    gateway.until_above(&checked("a", "ok"), before + 3.0).await;
    gateway.stop();
    gateway.stopped().await;
    drop(hanging.await);

    // Connections are accepted in their order: those of before have been when this is answered.
    let accepted = async || {
        let mut client = Connection::open(a.address()).await;
        client.write("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
        client.response().await;
        a.connections()
    };
    let before = accepted().await;
    // Checks came every 20 ms; with round trips this takes longer than several of them.
    for more in 1..=300 {
        assert_eq!(accepted().await, before + more);
    }
}
