//! The hook that has the last word on a valid token.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use jsonwebtoken::{EncodingKey, Header, encode};
use portcullis_jwt_auth::{
    Algorithm, ClaimRule, Claims, Issuer, JwtAuthLayer, Key, Policy, TokenStatus, Unauthorized,
    Verdict,
};
use serde_json::json;
use tokio::time::timeout;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

const SECRET: &str = "a secret that is only for testing";

fn layer(policy: Policy, status: impl TokenStatus) -> JwtAuthLayer {
    let issuer = Issuer::new([Key::secret(SECRET, [Algorithm::HS256]).unwrap()]);
    JwtAuthLayer::new(policy, [issuer]).unwrap().status(status)
}

/// Lets `jsonwebtoken` sign where both backends are compiled in, between which it does not choose by itself.
fn choose_backend() {
    #[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn request(subject: &str) -> Request<()> {
    choose_backend();
    let claims = json!({ "sub": subject, "exp": 9_999_999_999_u64 });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&Header::default(), &claims, &key).unwrap();
    Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

async fn answer(layer: &JwtAuthLayer, request: Request<()>) -> Response<()> {
    let inner = service_fn(|request: Request<()>| async move {
        assert!(!request.headers().contains_key("authorization"));
        assert!(request.extensions().get::<Claims>().is_some());
        Ok::<_, Infallible>(Response::new(()))
    });
    layer.layer(inner).oneshot(request).await.unwrap()
}

/// Says the same of every token, and counts how often.
fn always(verdict: Verdict, asked: &Arc<AtomicUsize>) -> impl TokenStatus + use<> {
    let asked = asked.clone();
    move |_: Claims, _: &Parts| {
        asked.fetch_add(1, Ordering::Relaxed);
        async move { verdict }
    }
}

#[tokio::test]
async fn only_a_token_that_counts_is_let_through() {
    for (verdict, status, reason) in [
        (Verdict::Active, StatusCode::OK, None),
        (Verdict::Revoked, StatusCode::UNAUTHORIZED, Some(Unauthorized::Revoked)),
        (
            Verdict::Unavailable,
            StatusCode::SERVICE_UNAVAILABLE,
            Some(Unauthorized::StatusUnavailable),
        ),
    ] {
        let layer = layer(Policy::new(), always(verdict, &Arc::default()));
        let response = answer(&layer, request("alice")).await;

        assert_eq!(response.status(), status);
        assert_eq!(response.extensions().get().copied(), reason);
        let challenged = response.headers().contains_key("www-authenticate");
        assert_eq!(challenged, verdict == Verdict::Revoked);
        let later = response.headers().contains_key("retry-after");
        assert_eq!(later, verdict == Verdict::Unavailable);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_anyway_is_not_asked_about() {
    let asked = Arc::default();
    let policy = Policy::new().claims([ClaimRule::equals("sub", "bob")]);
    let layer = layer(policy, always(Verdict::Active, &asked));

    assert_eq!(answer(&layer, request("alice")).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer(&layer, Request::new(())).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    assert_eq!(answer(&layer, request("bob")).await.status(), StatusCode::OK);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_hook_sees_the_request_as_it_came() {
    let seen = Arc::new(Mutex::new(None));
    let layer = layer(Policy::new(), {
        let seen = seen.clone();
        move |claims: Claims, parts: &Parts| {
            let token = parts.headers["authorization"].to_str().unwrap().to_owned();
            *seen.lock().unwrap() = Some((claims.subject().unwrap().to_owned(), token));
            async { Verdict::Active }
        }
    });
    let request = request("alice");
    let token = request.headers()["authorization"].to_str().unwrap().to_owned();

    assert_eq!(answer(&layer, request).await.status(), StatusCode::OK);
    assert_eq!(seen.lock().unwrap().take(), Some(("alice".to_owned(), token)));
}

#[tokio::test(start_paused = true)]
async fn the_inner_service_is_readied_after_the_verdict() {
    let layer = layer(Policy::new(), |_: Claims, _: &Parts| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Verdict::Active
    });
    let (mut service, mut handle) = mock::spawn_layer::<Request<()>, Response<()>, _>(layer);
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
    let mut response = task::spawn(service.call(request("alice")));
    assert_pending!(response.poll());
    assert_pending!(handle.poll_request());

    handle.allow(1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(response.is_woken());
    assert_pending!(response.poll());
    let (_, send) = assert_ready!(handle.poll_request()).unwrap();
    send.send_response(Response::new(()));
    assert_ready_ok!(response.poll());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_ends_the_asking() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let dropped = Arc::<AtomicUsize>::default();
    let layer = layer(Policy::new(), {
        let dropped = dropped.clone();
        move |_: Claims, _: &Parts| {
            let dropped = Dropped(dropped.clone());
            async move {
                let _dropped = dropped;
                pending().await
            }
        }
    });

    let asking = timeout(Duration::from_secs(1), answer(&layer, request("alice")));
    assert!(asking.await.is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn a_future_that_waits_can_be_sent_and_shared() {
    fn check<T: Future + Send + Sync>(_: T) {}

    let layer = layer(Policy::new(), always(Verdict::Active, &Arc::default()));
    let inner =
        service_fn(|_: Request<()>| std::future::ready(Ok::<_, Infallible>(Response::new(()))));
    check(layer.layer(inner).call(request("alice")));
}
