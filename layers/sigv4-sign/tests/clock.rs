//! What a response teaches of the time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::header::{AGE, DATE, HeaderMap};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use portcullis_sigv4_sign::{ClockSkew, SigV4Sign, SigV4SignLayer, SignedBody, Signing};
use tower::Service;
use tower_test::mock::{Handle, Mock, Spawn, spawn_layer};

type Body = Full<Bytes>;
type Inner = Mock<Request<SignedBody<Body>>, Response<()>>;
type Upstream = Handle<Request<SignedBody<Body>>, Response<()>>;

/// Midnight of 24 May 2013.
fn midnight() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

fn layer() -> SigV4SignLayer {
    let signing = Signing::new("s3".parse().unwrap(), "eu-west-1".parse().unwrap());
    let credentials = Credentials::new("id", "secret", None, None, "test");
    SigV4SignLayer::new(signing, credentials).clock(midnight)
}

/// Sends a request, answers it, and says with which date it was signed.
async fn exchange(
    service: &mut Spawn<SigV4Sign<Inner>>,
    upstream: &mut Upstream,
    body: &'static str,
    status: StatusCode,
    headers: HeaderMap,
) -> String {
    let request = Request::put("https://a.example/k").body(Full::from(body)).unwrap();
    assert!(service.poll_ready().is_ready());
    let response = tokio::spawn(service.get_mut().call(request));

    let (request, reply) = upstream.next_request().await.unwrap();
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    reply.send_response(answer);
    assert_eq!(response.await.unwrap().unwrap().status(), status);
    request.headers()["x-amz-date"].to_str().unwrap().to_owned()
}

fn date(date: &str) -> HeaderMap {
    HeaderMap::from_iter([(DATE, date.parse().unwrap())])
}

#[tokio::test]
async fn a_refusal_at_another_time_corrects_the_later_signatures() {
    for (body, status) in [
        ("", StatusCode::FORBIDDEN),
        ("hello", StatusCode::FORBIDDEN),
        ("", StatusCode::BAD_REQUEST),
    ] {
        let layer = layer();
        let (mut service, mut upstream) = spawn_layer(layer.clone());
        let refused = date("Fri, 24 May 2013 02:00:00 GMT");

        let first = exchange(&mut service, &mut upstream, body, status, refused).await;
        assert_eq!(first, "20130524T000000Z");
        assert_eq!(layer.handle().skew(), ClockSkew::Behind(Duration::from_secs(7200)));

        let fine = HeaderMap::new();
        let second = exchange(&mut service, &mut upstream, body, StatusCode::OK, fine).await;
        assert_eq!(second, "20130524T020000Z");
    }
}

#[tokio::test]
async fn the_scope_follows_the_corrected_day() {
    let layer = layer();
    let (mut service, mut upstream) = spawn_layer(layer);
    let refused = date("Thu, 23 May 2013 23:00:00 GMT");
    exchange(&mut service, &mut upstream, "", StatusCode::FORBIDDEN, refused).await;

    let request = Request::get("https://a.example/k").body(Full::from("")).unwrap();
    assert!(service.poll_ready().is_ready());
    let _response = service.call(request);
    let (request, _) = upstream.next_request().await.unwrap();
    let authorization = request.headers()["authorization"].to_str().unwrap();
    assert!(authorization.contains("Credential=id/20130523/"), "{authorization}");
}

#[tokio::test]
async fn other_responses_teach_nothing() {
    let off = || date("Fri, 24 May 2013 02:00:00 GMT");
    let mut old = off();
    old.insert(AGE, 7200.into());
    for (status, headers) in [
        (StatusCode::OK, off()),
        (StatusCode::NOT_FOUND, off()),
        (StatusCode::INTERNAL_SERVER_ERROR, off()),
        (StatusCode::FORBIDDEN, old),
        (StatusCode::FORBIDDEN, date("Fri, 24 May 2013 00:03:59 GMT")),
        (StatusCode::FORBIDDEN, date("Sat, 25 May 2013 00:00:01 GMT")),
        (StatusCode::FORBIDDEN, date("yesterday")),
        (StatusCode::FORBIDDEN, HeaderMap::new()),
    ] {
        let layer = layer();
        let (mut service, mut upstream) = spawn_layer(layer.clone());
        exchange(&mut service, &mut upstream, "", status, headers.clone()).await;

        assert_eq!(layer.handle().skew(), ClockSkew::Unnoticed, "{status} {headers:?}");
    }
}
