//! Issuers that are asked for their keys: how often, what of, and who waits.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use portcullis_jwt_auth::{
    ConfigError, Issuer, JwtAuthHandle, JwtAuthLayer, KeySetStatus, Policy, RefreshError,
    RefreshPolicy, Refresher, Unauthorized,
};
use portcullis_refusal::Refused;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt, service_fn};

const KEYS: &str = "https://id.example/keys";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// An issuer by a script: it answers as it was last told to.
#[derive(Clone)]
struct Scripted(Arc<Mutex<Script>>);

struct Script {
    answer: Answer,
    cache_control: Option<&'static str>,
    delay: Duration,
    asked: Vec<String>,
    asking: usize,
    most_asking: usize,
}

#[derive(Clone)]
enum Answer {
    Documents(Vec<(&'static str, String)>), // the first whose URL it is
    Status(u16),
    Broken,
    Silence,
    Panic,
}

impl Scripted {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Script {
            answer: Answer::Broken,
            cache_control: None,
            delay: Duration::from_millis(20),
            asked: Vec::new(),
            asking: 0,
            most_asking: 0,
        })))
    }

    /// One whose set has the keys of these names.
    fn with(names: &[&str]) -> Self {
        let scripted = Self::new();
        scripted.serve(names);
        scripted
    }

    fn serve(&self, names: &[&str]) {
        let keys: Vec<_> = names.iter().map(|name| jwk(name)).collect();
        self.serve_text(json!({ "keys": keys }).to_string());
    }

    fn serve_text(&self, document: String) {
        self.answer(Answer::Documents(vec![(KEYS, document)]));
    }

    fn answer(&self, answer: Answer) {
        self.0.lock().unwrap().answer = answer;
    }

    fn cache_control(&self, value: &'static str) {
        self.0.lock().unwrap().cache_control = Some(value);
    }

    fn delay(&self, delay: Duration) {
        self.0.lock().unwrap().delay = delay;
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().asked.len()
    }
}

/// Counts who is asking, to the end of the future.
struct Asking(Arc<Mutex<Script>>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.lock().unwrap().asking -= 1;
    }
}

impl Service<Request<Empty<Bytes>>> for Scripted {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        let script = self.0.clone();
        let (answer, cache_control, delay) = {
            let mut script = script.lock().unwrap();
            script.asked.push(request.uri().to_string());
            script.asking += 1;
            script.most_asking = script.most_asking.max(script.asking);
            (script.answer.clone(), script.cache_control, script.delay)
        };
        let asking = Asking(script);
        Box::pin(async move {
            let _asking = asking;
            sleep(delay).await;
            let mut response = Response::new(Full::default());
            match answer {
                Answer::Documents(documents) => {
                    let uri = request.uri().to_string();
                    let found = documents.into_iter().find(|(url, _)| *url == uri);
                    *response.body_mut() = found.unwrap().1.into();
                }
                Answer::Status(status) => {
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    let location = "https://elsewhere.example/keys".parse().unwrap();
                    response.headers_mut().insert("location", location);
                }
                Answer::Broken => return Err(io::Error::other("nobody there")),
                Answer::Silence => pending().await,
                Answer::Panic => panic!("a fetcher that is broken"),
            }
            if let Some(value) = cache_control {
                response.headers_mut().insert("cache-control", value.parse().unwrap());
            }
            Ok(response)
        })
    }
}

/// The private key of this name: Ed25519, in PKCS #8.
fn private(name: &str) -> EncodingKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(name.bytes().chain([0; 32]).take(32));
    EncodingKey::from_ed_der(&der)
}

fn jwk(name: &str) -> Value {
    choose_backend();
    let mut jwk = Jwk::from_encoding_key(&private(name), Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some(name.to_owned());
    serde_json::to_value(jwk).unwrap()
}

/// Lets `jsonwebtoken` sign where both backends are compiled in, between which it does not choose by itself.
fn choose_backend() {
    #[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn token_of(name: &str, kid: Option<&str>, claims: &Value) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
    choose_backend();
    encode(&header, claims, &private(name)).unwrap()
}

/// A valid token, signed with the key of this name.
fn token(name: &str) -> String {
    token_of(name, Some(name), &json!({ "sub": "alice", "exp": 2000 }))
}

fn at_1000() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1000)
}

fn layer_of(issuer: Issuer) -> JwtAuthLayer {
    JwtAuthLayer::new(Policy::new(), [issuer]).unwrap().clock(at_1000)
}

fn layer(scripted: &Scripted) -> JwtAuthLayer {
    layer_of(Issuer::jwks_url(KEYS, scripted.clone()).unwrap())
}

fn bearer(token: &str) -> Request<()> {
    Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

async fn answer(layer: &JwtAuthLayer, request: Request<()>) -> Response<()> {
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
    layer.layer(inner).oneshot(request).await.unwrap()
}

/// Why the token is refused, if it is.
async fn verdict(layer: &JwtAuthLayer, token: &str) -> Result<(), Unauthorized> {
    let response = answer(layer, bearer(token)).await;
    response.extensions().get().copied().map_or(Ok(()), Err)
}

async fn status(layer: &JwtAuthLayer, token: &str) -> u16 {
    answer(layer, bearer(token)).await.status().as_u16()
}

fn key_set(layer: &JwtAuthLayer) -> KeySetStatus {
    layer.handle().key_sets().remove(0)
}

#[tokio::test(start_paused = true)]
async fn the_first_request_has_the_keys_fetched_and_later_ones_find_them() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(issuer.asked(), 0);

    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    for _ in 0..100 {
        assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    }

    assert_eq!(issuer.0.lock().unwrap().asked, [KEYS]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_wait_for_one_fetch() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let layer = layer.clone();
        requests.spawn(async move { verdict(&layer, &token("a")).await });
    }

    assert!(requests.join_all().await.into_iter().all(|verdict| verdict == Ok(())));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_refuses_no_valid_token() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));

    issuer.serve(&["a", "b"]);
    let mut requests = JoinSet::new();
    for index in 0..200 {
        let layer = layer.clone();
        let token = token(if index % 2 == 0 { "a" } else { "b" });
        requests.spawn(async move {
            sleep(Duration::from_millis(index)).await;
            verdict(&layer, &token).await
        });
    }

    assert!(requests.join_all().await.into_iter().all(|verdict| verdict == Ok(())));
    assert_eq!(issuer.asked(), 2);
    assert_eq!(key_set(&layer).generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_fetch_that_began_before_its_key_was_there_asks_again() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    let first = tokio::spawn({
        let layer = layer.clone();
        async move { verdict(&layer, &token("a")).await }
    });
    sleep(Duration::from_millis(10)).await;

    issuer.serve(&["a", "b"]); // the answer that is under way is the old one
    assert_eq!(verdict(&layer, &token("b")).await, Ok(()));
    assert_eq!(first.await.unwrap(), Ok(()));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_an_issuer_that_fell_silent_is_not_accused() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    let first = tokio::spawn({
        let layer = layer.clone();
        async move { verdict(&layer, &token("a")).await }
    });
    sleep(Duration::from_millis(10)).await;

    issuer.answer(Answer::Silence);
    assert_eq!(status(&layer, &token("b")).await, 503);
    assert_eq!(first.await.unwrap(), Ok(()));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn random_kids_cause_one_fetch_in_an_interval_and_wait_for_no_more() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    assert_eq!(verdict(&layer, &token("x")).await, Err(Unauthorized::UnknownKey));
    assert_eq!(issuer.asked(), 2);

    let claims = json!({ "exp": 2000 });
    let before = Instant::now();
    for index in 0..10_000 {
        let random = token_of("x", Some(&format!("random-{index}")), &claims);
        assert_eq!(verdict(&layer, &random).await, Err(Unauthorized::UnknownKey));
    }
    assert_eq!(Instant::now(), before, "nobody waited");
    assert_eq!(issuer.asked(), 2);

    advance(30 * SECOND).await;
    for index in 0..100 {
        let random = token_of("x", Some(&format!("random-{index}")), &claims);
        assert_eq!(verdict(&layer, &random).await, Err(Unauthorized::UnknownKey));
    }
    assert_eq!(issuer.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_an_outdated_kid_does_not_delay_a_rotation() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("old")).await, Err(Unauthorized::UnknownKey));
    let asked = issuer.asked();
    for _ in 0..3 {
        advance(30 * SECOND).await;
        assert_eq!(verdict(&layer, &token("old")).await, Err(Unauthorized::UnknownKey));
    }
    assert_eq!(issuer.asked(), asked);

    issuer.serve(&["a", "b"]);
    assert_eq!(verdict(&layer, &token("b")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn no_issuer_is_asked_about_a_token_that_has_expired() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    let expired = token_of("a", Some("a"), &json!({ "exp": 900 }));

    assert_eq!(verdict(&layer, &expired).await, Err(Unauthorized::Expired));
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_kid_may_be_of_a_new_key() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));

    issuer.serve(&["b"]);
    let nameless = token_of("b", None, &json!({ "exp": 2000 }));
    assert_eq!(verdict(&layer, &nameless).await, Ok(()));

    let forged = token_of("c", None, &json!({ "exp": 2000 }));
    assert_eq!(verdict(&layer, &forged).await, Err(Unauthorized::InvalidSignature));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_forgery_in_the_name_of_a_known_key_makes_nobody_ask() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));

    let forged = token_of("b", Some("a"), &json!({ "exp": 2000 }));
    assert_eq!(verdict(&layer, &forged).await, Err(Unauthorized::InvalidSignature));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_keys_the_client_is_told_to_come_again() {
    let issuer = Scripted::new();
    let layer = layer(&issuer);

    let response = answer(&layer, bearer(&token("a"))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(!response.headers().contains_key("www-authenticate"));
    assert_eq!(response.extensions().get::<Refused>().unwrap().reason(), "keys_unavailable");
    assert!(matches!(
        response.extensions().get(),
        Some(Unauthorized::KeysUnavailable { retry_after }) if *retry_after <= SECOND
    ));

    let mut grpc = bearer(&token("a"));
    grpc.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let response = answer(&layer, grpc).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(issuer.asked(), 1, "the second came before the backoff was over");

    issuer.serve(&["a"]);
    advance(SECOND).await;
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_good_is_an_error_with_a_name() {
    let keys = |keys: Value| Answer::Documents(vec![(KEYS, json!({ "keys": keys }).to_string())]);
    let text = |text: &str| Answer::Documents(vec![(KEYS, text.to_owned())]);
    let many: Vec<_> = (0..33).map(|index| jwk(&index.to_string())).collect();
    let secret = json!({ "kty": "oct", "k": "A".repeat(43), "alg": "HS256" });
    let none = |skipped| RefreshError::KeySet(ConfigError::NoUsableKey { skipped });
    for (answer, error) in [
        (Answer::Broken, RefreshError::Failed("nobody there".to_owned())),
        (Answer::Silence, RefreshError::TimedOut),
        (Answer::Panic, RefreshError::Aborted),
        (Answer::Status(301), RefreshError::Status(StatusCode::MOVED_PERMANENTLY)),
        (Answer::Status(503), RefreshError::Status(StatusCode::SERVICE_UNAVAILABLE)),
        (Answer::Status(204), RefreshError::Status(StatusCode::NO_CONTENT)),
        (text(&" ".repeat(64 * 1024 + 1)), RefreshError::TooLarge),
        (text("{"), RefreshError::KeySet(ConfigError::NotAKeySet)),
        (keys(json!([])), none(0)),
        (keys(json!([{ "kty": "AKP" }])), none(1)),
        (keys(json!([secret])), none(1)),
        (keys(json!(many)), RefreshError::KeySet(ConfigError::TooManyKeys(None))),
    ] {
        let issuer = Scripted::new();
        issuer.answer(answer.clone());
        let layer = layer(&issuer);
        let before = Instant::now();
        assert_eq!(status(&layer, &token("a")).await, 503);
        assert_eq!(key_set(&layer).last_error(), Some(&error));
        assert!(before.elapsed() <= 5 * SECOND, "{error}");

        // What was good before stays so.
        let issuer = Scripted::with(&["a"]);
        let layer = self::layer(&issuer);
        assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
        issuer.answer(answer);
        // In a task, since what panics there panics there.
        let handle = layer.handle();
        let _ = tokio::spawn(async move { handle.refresh_now().await }).await;
        assert_eq!(key_set(&layer).last_error(), Some(&error));
        assert_eq!((key_set(&layer).keys(), key_set(&layer).generation()), (1, 1));
        assert_eq!(verdict(&layer, &token("a")).await, Ok(()), "{error}");
        let asked = issuer.0.lock().unwrap().asked.clone();
        assert!(asked.iter().all(|url| url == KEYS), "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn strange_keys_are_skipped_and_counted() {
    let issuer = Scripted::new();
    let encryption = json!({ "kty": "OKP", "crv": "X25519", "use": "enc", "x": "AA" });
    let secret = json!({ "kty": "oct", "k": "A".repeat(43), "alg": "HS256" });
    let keys = json!([{ "kty": "AKP" }, encryption, secret, jwk("a")]);
    issuer.serve_text(json!({ "keys": keys }).to_string());
    let layer = layer(&issuer);

    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    assert_eq!((key_set(&layer).keys(), key_set(&layer).skipped()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn of_keys_with_one_kid_each_is_tried() {
    let issuer = Scripted::new();
    let mut other = jwk("other");
    other["kid"] = json!("a");
    issuer.serve_text(json!({ "keys": [other, jwk("a")] }).to_string());

    assert_eq!(verdict(&layer(&issuer), &token("a")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_locks_nobody_out_for_a_day() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    let refresher = tokio::spawn(layer.refresher());
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));

    issuer.answer(Answer::Silence);
    let start = Instant::now();
    while start.elapsed() < 24 * 60 * MINUTE - 2 * MINUTE {
        sleep(MINUTE).await;
        let before = Instant::now();
        assert_eq!(verdict(&layer, &token("a")).await, Ok(()), "{:?}", start.elapsed());
        assert_eq!(Instant::now(), before, "nobody waits for an issuer that is away");
    }
    // About one attempt in a minute, five seconds long.
    assert!((1000..3000).contains(&issuer.asked()), "{}", issuer.asked());

    assert!(key_set(&layer).is_usable());

    sleep(2 * MINUTE).await;
    assert_eq!(status(&layer, &token("a")).await, 503);
    assert!(key_set(&layer).age().unwrap() >= 24 * 60 * MINUTE);
    assert!(!key_set(&layer).is_usable());

    issuer.serve(&["a"]);
    sleep(MINUTE).await;
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    assert!(key_set(&layer).is_usable());
    refresher.abort();
}

#[tokio::test(start_paused = true)]
async fn while_the_issuer_is_away_an_unknown_kid_is_nobodys_fault() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));

    issuer.answer(Answer::Broken);
    assert_eq!(status(&layer, &token("b")).await, 503);
    assert_eq!(status(&layer, &token("b")).await, 503);
    assert_eq!(issuer.asked(), 2, "the second came before the backoff was over");
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_refresher_asks_ahead_of_time_and_nobody_waits() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    tokio::spawn(layer.refresher());
    sleep(SECOND).await;
    assert_eq!(issuer.asked(), 1, "before any request");

    for _ in 0..24 * 6 {
        sleep(10 * MINUTE).await;
        let before = Instant::now();
        assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
        assert_eq!(Instant::now(), before);
        assert!(key_set(&layer).age().unwrap() < 10 * MINUTE);
    }
    // Every eight to nine minutes of a day.
    assert!((158..=182).contains(&issuer.asked()), "{}", issuer.asked());
    assert_eq!(key_set(&layer).generation(), 1, "the same set is the same");
}

#[tokio::test(start_paused = true)]
async fn a_refresher_ends_with_the_last_layer() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    let service =
        layer.layer(service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) }));
    let refresher = tokio::spawn(layer.refresher());
    sleep(SECOND).await;

    drop(layer);
    sleep(SECOND).await;
    assert!(!refresher.is_finished(), "a service still needs keys");

    drop(service);
    timeout(SECOND, refresher).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_refresher_requests_have_keys_refreshed_ahead_of_time_and_do_not_wait() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));

    for _ in 0..60 * 10 {
        sleep(SECOND * 6).await;
        let before = Instant::now();
        assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
        assert_eq!(Instant::now(), before);
    }
    assert!((7..=8).contains(&issuer.asked()), "{}", issuer.asked());
}

#[tokio::test(start_paused = true)]
async fn keys_that_nobody_asked_about_for_long_are_not_believed_unseen() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));

    issuer.serve(&["b"]); // the other was withdrawn
    sleep(11 * MINUTE).await;
    assert_eq!(verdict(&layer, &token("a")).await, Err(Unauthorized::UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn the_issuer_says_how_long_its_keys_live_within_bounds() {
    for (cache_control, expected) in [
        ("max-age=1800", 30 * MINUTE),
        ("max-age=1", MINUTE),
        ("no-store", MINUTE),
        ("max-age=31536000", 60 * MINUTE),
        ("max-age=99999999999999999999", 10 * MINUTE),
    ] {
        let issuer = Scripted::with(&["a"]);
        issuer.cache_control(cache_control);
        let layer = layer(&issuer);
        tokio::spawn(layer.refresher());
        sleep(expected.mul_f64(0.79)).await;
        assert_eq!(issuer.asked(), 1, "{cache_control}");
        sleep(expected.mul_f64(0.12)).await;
        assert_eq!(issuer.asked(), 2, "{cache_control}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_does_not_end_the_fetch() {
    let issuer = Scripted::with(&["a"]);
    issuer.delay(SECOND);
    let layer = layer(&issuer);
    assert!(timeout(SECOND / 2, verdict(&layer, &token("a"))).await.is_err());

    let before = Instant::now();
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    assert!(before.elapsed() <= SECOND / 2 + SECOND / 100, "it was half done");
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_ends_with_the_last_layer() {
    let issuer = Scripted::with(&["a"]);
    issuer.delay(SECOND);
    let layer = layer(&issuer);
    assert!(timeout(SECOND / 2, verdict(&layer, &token("a"))).await.is_err());
    assert_eq!(issuer.0.lock().unwrap().asking, 1);

    drop(layer);
    tokio::task::yield_now().await;
    assert_eq!(issuer.0.lock().unwrap().asking, 0);
}

#[test]
fn a_runtime_that_ends_takes_no_request_elsewhere_with_it() {
    let issuer = Scripted::with(&["a"]);
    issuer.delay(3600 * SECOND);
    let layer = layer(&issuer);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let first = runtime();
    first.block_on(async {
        assert!(timeout(SECOND, verdict(&layer, &token("a"))).await.is_err());
    });

    issuer.delay(Duration::ZERO);
    let second = runtime();
    let waiting = second.spawn({
        let layer = layer.clone();
        async move { status(&layer, &token("a")).await }
    });
    second.block_on(tokio::task::yield_now()); // it joins the fetch of the first
    drop(first);
    assert_eq!(second.block_on(waiting).unwrap(), 503);

    assert_eq!(key_set(&layer).last_error(), Some(&RefreshError::Aborted));
    second.block_on(async {
        layer.handle().refresh_now().await; // the clocks of two runtimes that are paused are two
        assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    });
}

#[test]
fn without_a_runtime_there_are_no_keys_and_no_panic() {
    let issuer = Scripted::with(&["a"]);
    let layer = layer(&issuer);
    let response = tokio_test::task::spawn(answer(&layer, bearer(&token("a")))).poll();

    let Poll::Ready(response) = response else { panic!("it waits for nobody") };
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(key_set(&layer).last_error(), Some(&RefreshError::Aborted));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_keys_holds_no_place_in_the_inner_service() {
    let issuer = Scripted::with(&["a"]);
    issuer.delay(SECOND);
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
    let mut limited = ConcurrencyLimit::new(inner, 1);
    let service = layer(&issuer).layer(limited.clone());
    let waiting = tokio::spawn(service.clone().oneshot(bearer(&token("a"))));
    sleep(SECOND / 2).await;

    assert!(timeout(Duration::ZERO, limited.ready()).await.is_ok());
    drop(limited);
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
}

const ISSUER: &str = "https://id.example/tenant";
const DOCUMENT: &str = "https://id.example/tenant/.well-known/openid-configuration";

fn discovery(issuer: &Scripted, name: &str) {
    let document = json!({ "issuer": name, "jwks_uri": KEYS }).to_string();
    let keys = json!({ "keys": [jwk("a")] }).to_string();
    issuer.answer(Answer::Documents(vec![(DOCUMENT, document), (KEYS, keys)]));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_says_itself_where_its_keys_are() {
    let issuer = Scripted::new();
    discovery(&issuer, ISSUER);
    let layer = layer_of(Issuer::discovery(ISSUER, issuer.clone()).unwrap());

    let own = token_of("a", Some("a"), &json!({ "iss": ISSUER, "exp": 2000 }));
    assert_eq!(verdict(&layer, &own).await, Ok(()));
    assert_eq!(issuer.0.lock().unwrap().asked, [DOCUMENT, KEYS]);
    assert_eq!(key_set(&layer).issuer(), Some(ISSUER));

    assert_eq!(verdict(&layer, &token("a")).await, Err(Unauthorized::UnknownIssuer));
}

#[tokio::test(start_paused = true)]
async fn a_document_of_another_issuer_says_nothing() {
    let issuer = Scripted::new();
    discovery(&issuer, "https://id.example/tenant/");
    let layer = layer_of(Issuer::discovery(ISSUER, issuer.clone()).unwrap());

    let own = token_of("a", Some("a"), &json!({ "iss": ISSUER, "exp": 2000 }));
    assert_eq!(status(&layer, &own).await, 503);
    assert_eq!(key_set(&layer).last_error(), Some(&RefreshError::NotTheIssuer));
    assert_eq!(issuer.0.lock().unwrap().asked, [DOCUMENT]);
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_is_for_both_documents() {
    let issuer = Scripted::new();
    discovery(&issuer, ISSUER);
    issuer.delay(3 * SECOND);
    let layer = layer_of(Issuer::discovery(ISSUER, issuer.clone()).unwrap());

    let before = Instant::now();
    let own = token_of("a", Some("a"), &json!({ "iss": ISSUER, "exp": 2000 }));
    assert_eq!(status(&layer, &own).await, 503);
    assert_eq!(before.elapsed().as_secs(), 5);
    assert_eq!(key_set(&layer).last_error(), Some(&RefreshError::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn clones_of_an_issuer_share_its_keys() {
    let scripted = Scripted::with(&["a"]);
    let issuer = Issuer::jwks_url(KEYS, scripted.clone()).unwrap();
    let (one, other) = (layer_of(issuer.clone()), layer_of(issuer.clone()));

    assert_eq!(verdict(&one, &token("a")).await, Ok(()));
    assert_eq!(verdict(&other, &token("a")).await, Ok(()));
    assert_eq!(scripted.asked(), 1);

    let apart = layer_of(issuer.refresh(RefreshPolicy::new()));
    assert_eq!(verdict(&apart, &token("a")).await, Ok(()));
    assert_eq!(scripted.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_operator_need_not_wait_for_the_backoff() {
    let issuer = Scripted::new();
    let layer = layer(&issuer);
    let handle = layer.handle();
    assert_eq!(status(&layer, &token("a")).await, 503);

    issuer.serve(&["a"]);
    handle.refresh_now().await;
    assert_eq!(key_set(&layer).last_error(), None);
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_heeded() {
    let issuer = Scripted::with(&["a"]);
    let policy = RefreshPolicy::new()
        .lifetime_between(2 * SECOND, 3 * SECOND)
        .max_stale(10 * SECOND)
        .time_limit(SECOND)
        .max_bytes(1000)
        .unknown_kid_interval(5 * SECOND)
        .backoff(2 * SECOND, 2 * SECOND);
    let layer = layer_of(Issuer::jwks_url(KEYS, issuer.clone()).unwrap().refresh(policy));
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    assert_eq!(verdict(&layer, &token("x")).await, Err(Unauthorized::UnknownKey));
    assert_eq!(issuer.asked(), 2);

    issuer.answer(Answer::Silence);
    sleep(4 * SECOND).await;
    let before = Instant::now();
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()), "after it waited for an answer");
    assert_eq!(before.elapsed().as_secs(), 1);
    sleep(6 * SECOND).await;
    assert_eq!(status(&layer, &token("a")).await, 503);

    issuer.serve_text(json!({ "keys": [jwk("a")], "more": "x".repeat(1000) }).to_string());
    sleep(2 * SECOND).await;
    assert_eq!(status(&layer, &token("a")).await, 503);
    assert_eq!(key_set(&layer).last_error(), Some(&RefreshError::TooLarge));
}

#[tokio::test(start_paused = true)]
async fn no_policy_overruns_a_clock() {
    let most = Duration::MAX;
    let policy = RefreshPolicy::new()
        .lifetime(most)
        .lifetime_between(most, Duration::ZERO)
        .max_stale(most)
        .time_limit(most)
        .unknown_kid_interval(most)
        .backoff(most, most);
    let issuer = Scripted::with(&["a"]);
    let layer = layer_of(Issuer::jwks_url(KEYS, issuer.clone()).unwrap().refresh(policy));
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    issuer.answer(Answer::Broken);
    layer.handle().refresh_now().await;
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
}

#[test]
fn an_issuer_without_a_safe_url_is_none() {
    let by_url = |url| Issuer::jwks_url(url, Scripted::new()).map(drop);
    let by_name = |name| Issuer::discovery(name, Scripted::new()).map(drop);
    let insecure = |url: &str| Err(ConfigError::InsecureUrl(url.to_owned()));

    assert_eq!(by_url("http://id.example/keys"), insecure("http://id.example/keys"));
    assert_eq!(by_url("http://127.0.0.1:1/keys"), Ok(()));
    assert_eq!(
        by_name("http://id.example"),
        insecure("http://id.example/.well-known/openid-configuration")
    );
    assert!(matches!(by_name("id.example"), Err(ConfigError::InvalidUrl(_))));
}

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}

    check::<(JwtAuthHandle, KeySetStatus, Refresher, RefreshPolicy, RefreshError)>();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_under_load_refuse_nobody() {
    let issuer = Scripted::with(&["0"]);
    issuer.delay(Duration::from_millis(1));
    let policy = RefreshPolicy::new().unknown_kid_interval(Duration::ZERO);
    let layer = layer_of(Issuer::jwks_url(KEYS, issuer.clone()).unwrap().refresh(policy));
    let newest = Arc::new(Mutex::new(0_u32));
    let done = Arc::new(Mutex::new(false));
    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let (layer, newest, done) = (layer.clone(), newest.clone(), done.clone());
        requests.spawn(async move {
            let mut count = 0;
            while !*done.lock().unwrap() {
                let name = newest.lock().unwrap().to_string();
                assert_eq!(verdict(&layer, &token(&name)).await, Ok(()), "{name}");
                count += 1;
                tokio::task::yield_now().await; // others have the same two threads
            }
            count
        });
    }
    for rotation in 1..=30 {
        sleep(Duration::from_millis(10)).await;
        // A key is published before it is used, and stays for as long as its tokens.
        let names: Vec<_> = (0..=rotation).map(|name: u32| name.to_string()).collect();
        issuer.serve(&names.iter().rev().take(20).map(String::as_str).collect::<Vec<_>>());
        *newest.lock().unwrap() = rotation;
    }
    *done.lock().unwrap() = true;
    let counts: Vec<u32> = requests.join_all().await;

    assert!(counts.iter().all(|count| *count > 0));
    assert_eq!(issuer.0.lock().unwrap().most_asking, 1, "one at a time");
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn refreshes_keys_and_unknown_keys_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let issuer = Scripted::new();
    issuer.serve_text(json!({ "keys": [{ "kty": "AKP" }, jwk("a")] }).to_string());
    let layer = metrics::with_local_recorder(&recorder, || layer(&issuer));
    assert_eq!(verdict(&layer, &token("a")).await, Ok(()));
    assert_eq!(verdict(&layer, &token("b")).await, Err(Unauthorized::UnknownKey));
    issuer.answer(Answer::Status(500));
    layer.handle().refresh_now().await;

    let scrape = recorder.handle().render();
    for (series, value) in [
        ("jwt_auth_key_set_refreshes_total", "outcome=\"ok\"", 2),
        ("jwt_auth_key_set_refreshes_total", "outcome=\"status\"", 1),
        ("jwt_auth_key_set_refreshes_total", "outcome=\"timed_out\"", 0),
        ("jwt_auth_keys", "state=\"usable\"", 1),
        ("jwt_auth_keys", "state=\"skipped\"", 1),
    ]
    .map(|(name, label, value)| (format!("{name}{{issuer=\"{KEYS}\",{label}}}"), value))
    {
        assert!(scrape.contains(&format!("\n{series} {value}\n")), "{series} in\n{scrape}");
    }
    let unknown = format!("\njwt_auth_unknown_keys_total{{issuer=\"{KEYS}\"}} 1\n");
    assert!(scrape.contains(&unknown), "{scrape}");
    assert!(scrape.contains("jwt_auth_key_set_timestamp_seconds{"), "{scrape}");
}
