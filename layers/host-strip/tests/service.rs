//! What passes the layers, in both directions, by the public API alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TE, TRAILER, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use portcullis_host_strip::{
    HopByHop, HopByHopFuture, HopByHopHandle, HopByHopLayer, HopByHopService, HostPolicy,
    HostStrip, HostStripFuture, HostStripLayer, Ignored, InvalidProtocol, NoAuthority, OnViolation,
    OriginalHost, Protocol, Stripped, Upgrade, Violation,
};
use portcullis_refusal::Refused;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok};
use tower::limit::{ConcurrencyLimit, ConcurrencyLimitLayer};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock, Spawn};

type Inner = Mock<Request<()>, Response<()>>;
type Upstream = mock::Handle<Request<()>, Response<()>>;

fn request(headers: &[(HeaderName, &str)]) -> Request<()> {
    let mut request = Request::builder().uri("/");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(()).unwrap()
}

fn response(status: u16, headers: &[(HeaderName, &str)]) -> Response<()> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, *value);
    }
    response.body(()).unwrap()
}

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn spawn(layer: HopByHopLayer) -> (Spawn<HopByHopService<Inner>>, Upstream) {
    mock::spawn_layer(layer)
}

/// Sends `request` through a layer with `policy`, answers it with `answer`, and returns what came out on both sides.
async fn exchange(
    policy: HopByHop,
    request: Request<()>,
    answer: Response<()>,
) -> (HeaderMap, Response<()>) {
    let (mut service, mut upstream) = spawn(HopByHopLayer::new(policy));
    assert_ready_ok!(service.poll_ready());
    let response = service.call(request);

    let (request, reply) = upstream.next_request().await.unwrap();
    reply.send_response(answer);
    (request.headers().clone(), response.await.unwrap())
}

fn websocket() -> Request<()> {
    request(&[
        (CONNECTION, "keep-alive, Upgrade"),
        (UPGRADE, "h2c, WebSocket"),
        (name("sec-websocket-key"), "x"),
    ])
}

fn switching() -> Response<()> {
    let lines = [
        (CONNECTION, "Upgrade, keep-alive"),
        (UPGRADE, "WebSocket"),
        (name("sec-websocket-accept"), "y"),
    ];
    response(101, &lines)
}

#[tokio::test]
async fn both_directions_are_stripped_and_the_rest_passes() {
    let sent = [(CONNECTION, "x-mine"), (name("x-mine"), "1"), (HOST, "a"), (TE, "trailers, gzip")];
    let answered =
        [(CONNECTION, "x-its"), (name("x-its"), "1"), (TRAILER, "x-sum"), (CONTENT_LENGTH, "3")];

    let (seen, received) =
        exchange(HopByHop::default(), request(&sent), response(200, &answered)).await;

    assert_eq!(seen.len(), 2);
    assert_eq!((&seen[HOST], &seen[TE]), (&"a".parse().unwrap(), &"trailers".parse().unwrap()));
    assert_eq!(received.headers().len(), 2);
    assert_eq!(received.headers()[TRAILER], "x-sum");
    assert_eq!(received.headers()[CONTENT_LENGTH], "3");
}

#[tokio::test]
async fn an_allowed_upgrade_is_one_plain_line_each_way() {
    let policy = HopByHop::default().upgrade(Upgrade::WebSocket);
    let (seen, received) = exchange(policy, websocket(), switching()).await;

    for (headers, key) in
        [(&seen, "sec-websocket-key"), (received.headers(), "sec-websocket-accept")]
    {
        assert_eq!(headers.len(), 3);
        assert_eq!(headers[CONNECTION], "upgrade");
        assert_eq!(headers[UPGRADE], "websocket");
        assert!(headers.contains_key(key));
    }
    assert_eq!(received.status(), StatusCode::SWITCHING_PROTOCOLS);
}

#[tokio::test]
async fn an_upgrade_the_upstream_declines_leaves_no_trace() {
    let policy = HopByHop::default().upgrade(Upgrade::WebSocket);
    let declined = response(426, &[(CONNECTION, "upgrade"), (UPGRADE, "websocket")]);
    let (_, received) = exchange(policy, websocket(), declined).await;

    assert_eq!(received.status(), 426);
    assert!(received.headers().is_empty());
}

#[tokio::test]
async fn switching_protocols_unasked_is_a_bad_gateway() {
    let (seen, received) = exchange(HopByHop::default(), websocket(), switching()).await;

    assert_eq!(seen.len(), 1); // denied: only the key is left
    assert_eq!(received.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(received.extensions().get(), Some(&Violation::UnaskedUpgrade));
}

#[tokio::test]
async fn an_offence_is_answered_without_the_upstream() {
    let (mut service, mut upstream) =
        spawn(HopByHopLayer::new(HopByHop::default().on_violation(OnViolation::Reject)));
    assert_ready_ok!(service.poll_ready());

    let refused = service.call(request(&[(CONNECTION, "host")])).await.unwrap();

    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(refused.extensions().get(), Some(&Violation::ProtectedNomination));
    let reason: &Refused = refused.extensions().get().unwrap();
    assert_eq!(reason.reason(), "protected_nomination");
    assert_pending!(tokio_test::task::spawn(upstream.next_request()).poll());
}

#[tokio::test]
async fn grpc_clients_are_refused_in_their_own_dialect() {
    let grpc = (http::header::CONTENT_TYPE, "application/grpc");
    let policy = HopByHop::default().on_violation(OnViolation::Reject);
    let mut hop_by_hop = HopByHopLayer::new(policy).layer(answering(()));
    let mut host = HostStripLayer::new(HostPolicy::FromUri).layer(answering(()));

    let bad = hop_by_hop.ready().await.unwrap().call(request(&[grpc.clone(), (CONNECTION, "via")]));
    let lost = host.ready().await.unwrap().call(request(&[grpc]));

    for (response, status) in [(bad.await.unwrap(), "13"), (lost.await.unwrap(), "2")] {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], status);
    }
}

#[tokio::test]
async fn the_handle_counts_what_both_sides_had_ignored() {
    let layer = HopByHopLayer::new(HopByHop::default().max_nominations(1));
    let handle = layer.clone().handle();
    let (mut service, mut upstream) = spawn(layer);
    assert_ready_ok!(service.poll_ready());

    let response_future = service.call(request(&[(CONNECTION, "a, b, c, host, @, close")]));
    let (_, reply) = upstream.next_request().await.unwrap();
    reply.send_response(response(200, &[(CONNECTION, "cache-control")]));
    response_future.await.unwrap();

    let ignored = handle.ignored_in_requests();
    assert_eq!((ignored.malformed(), ignored.protected(), ignored.excess()), (1, 1, 2));
    let ignored = handle.ignored_in_responses();
    assert_eq!((ignored.malformed(), ignored.protected(), ignored.excess()), (0, 1, 0));
}

#[tokio::test]
async fn an_upstream_that_cannot_be_named_is_our_own_error() {
    let (mut service, mut upstream) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(HostStripLayer::new(HostPolicy::FromUri));
    assert_ready_ok!(service.poll_ready());

    let refused = service.call(request(&[(HOST, "client")])).await.unwrap();

    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(refused.extensions().get::<NoAuthority>().is_some());
    assert_pending!(tokio_test::task::spawn(upstream.next_request()).poll());
}

#[tokio::test]
async fn the_upstream_sees_the_host_of_its_uri() {
    let (mut service, mut upstream) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(HostStripLayer::new(HostPolicy::FromUri));
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        assert_ready_ok!(service.poll_ready());
        let mut request = request(&[(HOST, "client")]);
        *request.uri_mut() = "http://upstream:8080/".parse().unwrap();
        *request.version_mut() = version;
        drop(service.call(request));

        let (seen, _) = upstream.next_request().await.unwrap();
        assert_eq!(seen.headers().get_all(HOST).iter().collect::<Vec<_>>(), ["upstream:8080"]);
    }
}

#[tokio::test]
async fn bodies_without_a_default_are_served_by_a_closure() {
    struct NoDefault;
    let reject = HopByHop::default().on_violation(OnViolation::Reject);
    let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(NoDefault)));

    let hop_by_hop = HopByHopLayer::new(reject).refuse_with(|| NoDefault).layer(inner);
    let host = HostStripLayer::new(HostPolicy::FromUri).refuse_with(|| NoDefault);
    let refused = hop_by_hop.oneshot(request(&[(CONNECTION, "via")])).await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let refused = host.layer(inner).oneshot(request(&[])).await.unwrap();
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn readiness_is_the_inner_services() {
    let (mut hop_by_hop, mut below) = spawn(HopByHopLayer::new(HopByHop::default()));
    let (mut host, mut below_host) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(HostStripLayer::new(HostPolicy::Strip));

    below.allow(0);
    below_host.allow(0);
    assert_pending!(hop_by_hop.poll_ready());
    assert_pending!(host.poll_ready());

    below.allow(1);
    below_host.allow(1);
    assert_ready_ok!(hop_by_hop.poll_ready());
    assert_ready_ok!(host.poll_ready());
}

#[tokio::test]
async fn an_error_of_the_inner_service_stays_what_it_is() {
    let (mut service, mut upstream) = spawn(HopByHopLayer::new(HopByHop::default()));
    upstream.send_error("broken");

    assert_eq!(assert_ready!(service.poll_ready()).unwrap_err().to_string(), "broken");
}

/// One slot for all, below both layers.
fn limited() -> impl Service<Request<()>, Response = Response<()>, Error = (), Future: Unpin> + Clone
{
    let reject = HopByHop::default().on_violation(OnViolation::Reject);
    let inner: ConcurrencyLimit<_> = ConcurrencyLimitLayer::new(1).layer(answering(()));
    let host = HostStripLayer::new(HostPolicy::FromUri).layer(inner);
    HopByHopLayer::new(reject).layer(host)
}

fn answering(
    body: (),
) -> impl Service<Request<()>, Response = Response<()>, Error = (), Future: Unpin> + Clone {
    service_fn(move |_: Request<()>| std::future::ready(Ok(Response::new(body))))
}

#[tokio::test]
async fn neither_a_refusal_nor_a_dropped_future_keeps_the_only_slot() {
    let mut service = limited();
    let bad = || request(&[(CONNECTION, "via")]);
    let mut good = request(&[]);
    *good.uri_mut() = "http://upstream/".parse().unwrap();

    for refused in [bad(), request(&[])] {
        service.ready().await.unwrap().call(refused).await.unwrap();
    }
    drop(service.ready().await.unwrap().call(good.clone()));
    assert_eq!(service.ready().await.unwrap().call(good.clone()).await.unwrap().status(), 200);

    // What was readied and then refused is let go with the service.
    let mut other = service.clone();
    service.ready().await.unwrap().call(bad()).await.unwrap();
    drop(service);
    assert_eq!(other.ready().await.unwrap().call(good).await.unwrap().status(), 200);
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(HopByHop, HopByHopHandle, HopByHopLayer, HopByHopService<()>)>();
    check::<(HopByHopFuture<(), ()>, Ignored, OnViolation, Stripped, Violation)>();
    check::<(Upgrade, Protocol, InvalidProtocol)>();
    check::<(HostPolicy, HostStrip<()>, HostStripFuture<(), ()>, HostStripLayer)>();
    check::<(NoAuthority, OriginalHost)>();
}
