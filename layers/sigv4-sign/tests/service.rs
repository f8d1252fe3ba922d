//! When the inner service is called, and when it is not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use portcullis_refusal::{DefaultBody, Refused};
use portcullis_sigv4_sign::{
    AllowedHeaders, ClockSkew, EnvironmentCredentials, Expires, Larger, NotSigned, Payload,
    ProfileCredentials, RefreshPolicy, Region, ResponseFuture, ServiceName, SigV4Handle, SigV4Sign,
    SigV4SignLayer, SignedBody, SignedHeaders, Signing,
};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready_ok};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Mock, Spawn};

type Inner = Mock<Request<SignedBody<Full<Bytes>>>, Response<()>>;
type Upstream = mock::Handle<Request<SignedBody<Full<Bytes>>>, Response<()>>;

fn layer() -> SigV4SignLayer {
    layer_with(Credentials::new("id", "secret", None, None, "test"))
}

fn layer_with(credentials: impl ProvideCredentials + 'static) -> SigV4SignLayer {
    let signing = Signing::new("s3".parse().unwrap(), "eu-west-1".parse().unwrap());
    SigV4SignLayer::new(signing, credentials)
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_369_353_600))
}

fn set_up(layer: SigV4SignLayer) -> (Spawn<SigV4Sign<Inner>>, Upstream) {
    mock::spawn_layer(layer)
}

fn request(body: &'static str) -> Request<Full<Bytes>> {
    Request::put("https://a.example/k").body(Full::from(body)).unwrap()
}

/// A body of which nothing ever comes.
#[derive(Debug)]
struct Stalled;

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// Credentials that come in turn, each after a moment; then there are none.
#[derive(Debug)]
struct InTurn(Mutex<Vec<Credentials>>);

impl InTurn {
    fn new(mut credentials: Vec<Credentials>) -> Self {
        credentials.reverse();
        Self(Mutex::new(credentials))
    }
}

impl ProvideCredentials for InTurn {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            tokio::task::yield_now().await;
            let next = self.0.lock().unwrap().pop();
            next.ok_or_else(|| CredentialsError::not_loaded("none are left"))
        })
    }
}

#[tokio::test]
async fn a_request_without_a_body_is_sent_by_the_service_that_was_readied() {
    let (mut service, mut upstream) = set_up(layer());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    let response = service.call(request(""));

    let (request, reply) = upstream.next_request().await.unwrap();
    assert!(request.headers().contains_key(AUTHORIZATION));
    reply.send_response(Response::new(()));
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn backpressure_passes_through() {
    let (mut service, mut upstream) = set_up(layer());
    upstream.allow(0);
    assert_pending!(service.poll_ready());

    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test]
async fn a_request_with_a_body_waits_for_a_service_of_its_own() {
    let (mut service, mut upstream) = set_up(layer());
    upstream.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = spawn(service.call(request("hello")));

    upstream.allow(0);
    assert_pending!(response.poll());
    assert_pending!(upstream.poll_request());

    upstream.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    let (_, reply) = upstream.next_request().await.unwrap();
    reply.send_response(Response::new(()));
    assert_ready_ok!(response.poll());
}

#[tokio::test]
async fn an_inner_service_that_fails_while_a_body_is_read_fails_the_request() {
    let (mut service, mut upstream) = set_up(layer());
    assert_ready_ok!(service.poll_ready());
    let response = service.call(request("hello"));

    upstream.send_error("closed");
    assert_eq!(response.await.unwrap_err().to_string(), "closed");
}

#[tokio::test]
async fn a_slow_client_holds_no_place_in_the_inner_service() {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(())) });
    let mut service = layer().layer(ConcurrencyLimit::new(inner, 1));
    let put = |body| Request::put("https://a.example/k").body(body).unwrap();

    let mut slow = spawn(service.ready().await.unwrap().call(put(Either::Stalled)));
    assert_pending!(slow.poll());
    let mut quick = spawn(service.clone().oneshot(put(Either::Full)));

    assert_eq!(assert_ready_ok!(quick.poll()).status(), StatusCode::OK);
    assert_pending!(slow.poll());
}

/// Two bodies of one type.
#[derive(Debug)]
enum Either {
    Stalled,
    Full,
}

impl Body for Either {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match *self {
            Self::Stalled => Poll::Pending,
            Self::Full => Poll::Ready(None),
        }
    }
}

#[tokio::test]
async fn a_refused_request_holds_no_place_in_the_inner_service() {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(())) });
    let mut service = layer().layer(ConcurrencyLimit::new(inner, 1));

    let mut forbidden = request("");
    forbidden.headers_mut().insert("x-amz-acl", "public-read".parse().unwrap());
    let refused = service.ready().await.unwrap().call(forbidden);
    let mut other = service.clone();
    assert_ready_ok!(spawn(other.ready()).poll());

    assert_eq!(refused.await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_dropped_request_gives_its_place_back() {
    let inner = service_fn(|_| std::future::pending::<Result<Response<()>, Infallible>>());
    let mut service = layer().layer(ConcurrencyLimit::new(inner, 1));

    for body in ["", "hello"] {
        let mut response = spawn(service.ready().await.unwrap().call(request(body)));
        assert_pending!(response.poll());
        assert_pending!(spawn(service.ready()).poll());
        drop(response);
    }
    assert_ready_ok!(spawn(service.ready()).poll());
}

#[tokio::test]
async fn a_buffer_of_one_does_not_block() {
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(())) });
    let service = layer().layer(Buffer::new(inner, 1));

    for _ in 0..3 {
        for body in ["", "hello"] {
            let response = service.clone().oneshot(request(body)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn credentials_are_asked_for_only_when_the_body_is_there() {
    let provider = InTurn::new(vec![]);
    let inner = service_fn(|_| async { Ok::<_, Infallible>(Response::new(())) });
    let mut service = layer_with(provider).layer(inner);
    let request = Request::put("https://a.example/k").body(Stalled).unwrap();

    let mut response = spawn(service.ready().await.unwrap().call(request));
    for _ in 0..4 {
        assert_pending!(response.poll());
    }
}

#[tokio::test]
async fn a_request_is_not_sent_without_credentials() {
    let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
    let expired = Credentials::new("id", "secret", None, Some(now), "test");
    let unspeakable = Credentials::new("id", "secret", Some("a\nb".into()), None, "test");
    let no_header = Credentials::new("i\nd", "secret", None, None, "test");
    for layer in [
        layer_with(InTurn::new(vec![])),
        layer_with(InTurn::new(vec![expired.clone()])),
        layer_with(expired),
        layer_with(unspeakable),
        layer_with(no_header),
    ] {
        let upstream = service_fn(|_| async { Ok::<_, Infallible>(Response::new(())) });
        let response = layer.layer(upstream).oneshot(request("")).await.unwrap();

        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let reason: &NotSigned = response.extensions().get().unwrap();
        let NotSigned::NoCredentials { retry_after } = *reason else { panic!("{reason:?}") };
        assert!(retry_after <= Duration::from_secs(60));
        assert!(response.headers().contains_key("retry-after"));
    }
}

#[tokio::test]
async fn credentials_last_until_they_expire() {
    let expiry = UNIX_EPOCH + Duration::from_secs(1_369_353_601);
    let credentials = Credentials::new("id", "secret", None, Some(expiry), "test");

    assert!(headers_through(&layer_with(credentials)).await.contains_key(AUTHORIZATION));
}

/// The headers of an empty `PUT` that was sent through `layer`.
async fn headers_through(layer: &SigV4SignLayer) -> HeaderMap {
    let echo = service_fn(|request: Request<SignedBody<Full<Bytes>>>| async move {
        let mut response = Response::new(());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    layer.layer(echo).oneshot(request("")).await.unwrap().headers().clone()
}

#[tokio::test]
async fn a_session_token_is_sent_and_signed_and_kept_out_of_logs() {
    let credentials = Credentials::new("id", "secret", Some("token".into()), None, "test");
    let headers = headers_through(&layer_with(credentials)).await;

    assert_eq!(headers["x-amz-security-token"], "token");
    assert!(headers["x-amz-security-token"].is_sensitive());
    let authorization = &headers[AUTHORIZATION];
    assert!(authorization.is_sensitive());
    assert!(authorization.to_str().unwrap().contains(";x-amz-security-token,"));
}

#[tokio::test]
async fn the_date_and_the_scope_are_of_one_instant() {
    static MIDNIGHT: AtomicU64 = AtomicU64::new(1_369_353_599);
    let clock = || UNIX_EPOCH + Duration::from_secs(MIDNIGHT.fetch_add(1, Ordering::Relaxed));

    let layer = layer().clock(clock);
    for (date, stamp) in [("20130523", "20130523T235959Z"), ("20130524", "20130524T000000Z")] {
        let headers = headers_through(&layer).await;
        assert_eq!(headers["x-amz-date"], stamp);
        let authorization = headers[AUTHORIZATION].to_str().unwrap();
        assert!(authorization.contains(&format!("Credential=id/{date}/")), "{authorization}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_signs_nothing() {
    let clocks: [fn() -> SystemTime; 2] = [
        || UNIX_EPOCH - Duration::from_secs(1),
        || UNIX_EPOCH + Duration::from_secs(253_402_300_800),
    ];
    for clock in clocks {
        let (mut service, _upstream) = set_up(layer().clock(clock));
        assert_ready_ok!(service.poll_ready());
        let response = service.call(request("")).await.unwrap();

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.extensions().get(), Some(&NotSigned::NoTime));
    }
}

#[tokio::test]
async fn a_grpc_client_is_refused_in_its_own_words() {
    let (mut service, _upstream) = set_up(layer_with(InTurn::new(vec![])));
    assert_ready_ok!(service.poll_ready());
    let mut request = request("");
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = service.call(request).await.unwrap();

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "14");
    let refused: &Refused = response.extensions().get().unwrap();
    assert_eq!(refused.reason(), "no_credentials");
}

#[tokio::test]
async fn a_refusal_takes_its_body_from_the_closure() {
    struct NoDefault(&'static str);

    let inner = service_fn(|_: Request<SignedBody<Full<Bytes>>>| async {
        Ok::<_, Infallible>(Response::new(NoDefault("sent")))
    });
    let service = layer_with(InTurn::new(vec![])).refuse_with(|| NoDefault("refused")).layer(inner);

    assert_eq!(service.oneshot(request("")).await.unwrap().into_body().0, "refused");
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let credentials = Credentials::new("id", "hush", Some("token".into()), None, "test");
    let layer = layer_with(credentials);
    headers_through(&layer).await;

    let shown = format!("{layer:?} {:?}", layer.layer(()));
    assert!(!shown.contains("hush") && !shown.contains("token"), "{shown}");
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}
    fn check_future<T: Send + Unpin>() {}

    check::<(SigV4SignLayer, SigV4Sign<()>, SignedBody<()>, DefaultBody)>();
    check::<(AllowedHeaders, ClockSkew, Expires)>();
    check::<(SigV4Handle, RefreshPolicy, EnvironmentCredentials, ProfileCredentials)>();
    check::<(Signing, Payload, Larger, SignedHeaders, ServiceName, Region, NotSigned)>();
    check_future::<ResponseFuture<(), (), (), DefaultBody>>();
}
