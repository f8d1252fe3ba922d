//! What spans, logs and metrics say of requests, and what they never say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Empty;
use jsonwebtoken::{EncodingKey, Header, encode};
use portcullis_jwt_auth::{
    Algorithm, CacheLimits, Claims, Issuer, JwtAuthLayer, Key, Policy, TokenSource, Verdict,
};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};
use tracing::field::Empty as Later;
use tracing::instrument::WithSubscriber;
use tracing::{Instrument, Level};

const SECRET: &str = "a secret that is only for testing";
const ISSUER: &str = "https://id.example";
const PERSONAL: [&str; 3] = ["alice@personal.example", "the role of alice", "a scope of alice's"];
const FOREIGN: &str = "a key that the client made up";

fn at_1000() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1000)
}

fn issuer() -> Issuer {
    let key = Key::secret(SECRET, [Algorithm::HS256]).unwrap().kid("our-key");
    Issuer::new([key]).issuer(ISSUER)
}

fn layer(policy: Policy) -> JwtAuthLayer {
    JwtAuthLayer::new(policy, [issuer()]).unwrap().clock(at_1000)
}

/// Lets `jsonwebtoken` sign where both backends are compiled in, between which it does not choose by itself.
fn choose_backend() {
    #[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn token(kid: &str, secret: &str, exp: u64) -> String {
    choose_backend();
    let [sub, role, scope] = PERSONAL;
    let claims = json!({ "iss": ISSUER, "sub": sub, "role": role, "scope": scope, "exp": exp });
    let header = Header { kid: Some(kid.to_owned()), ..Header::default() };
    encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

fn valid() -> String {
    token("our-key", SECRET, 2000)
}

fn bearer(token: &str) -> Request<()> {
    Request::builder().header("authorization", format!("Bearer {token}")).body(()).unwrap()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends requests in spans that have all the fields, and returns what was logged, at every level.
async fn logged(layer: &JwtAuthLayer, requests: impl IntoIterator<Item = Request<()>>) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let all = async {
        for request in requests {
            let span = tracing::info_span!(
                "request",
                auth.outcome = Later,
                auth.issuer = Later,
                auth.kid = Later,
                enduser.id = Later
            );
            let inner = service_fn(|_: Request<()>| async {
                tracing::info!("handled");
                Ok::<_, Infallible>(Response::new(()))
            });
            layer.layer(inner).oneshot(request).instrument(span).await.unwrap();
        }
    };
    all.with_subscriber(subscriber).await;
    log.text()
}

#[tokio::test]
async fn a_span_learns_who_signed_a_token_and_not_whom_it_is_about() {
    let layer = layer(Policy::new());
    let first = logged(&layer, [bearer(&valid())]).await;
    let again = logged(&layer, [bearer(&valid())]).await;

    for log in [first, again] {
        let fields =
            r#"auth.issuer="https://id.example" auth.kid="our-key" auth.outcome="allowed""#;
        assert!(log.contains(fields), "{log}");
        assert!(!log.contains("enduser.id"), "{log}");
    }
}

#[tokio::test]
async fn whom_a_token_is_about_is_told_when_that_is_asked_for() {
    let log = logged(&layer(Policy::new().trace_subject()), [bearer(&valid())]).await;
    assert!(log.contains(r#"enduser.id="alice@personal.example""#), "{log}");

    let forged = token("our-key", FOREIGN, 2000);
    let log = logged(&layer(Policy::new().trace_subject()), [bearer(&forged)]).await;
    assert!(!log.contains("enduser.id"), "{log}");
}

#[tokio::test]
async fn a_refusal_is_logged_once_with_its_reason() {
    let log = logged(&layer(Policy::new()), [bearer(&token("our-key", FOREIGN, 2000))]).await;
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("DEBUG") && log.contains(r#"auth.outcome="invalid_signature""#), "{log}");

    let forbidden = layer(Policy::new().scopes(["write"]));
    let log = logged(&forbidden, [bearer(&valid())]).await;
    assert!(
        log.contains(r#"request{auth.issuer="https://id.example" auth.kid="our-key"}"#),
        "{log}"
    );
    assert!(log.contains(r#"auth.outcome="insufficient_scope""#), "{log}");
}

#[tokio::test]
async fn what_an_unverified_token_says_is_not_told() {
    for forged in [token(FOREIGN, SECRET, 2000), token(FOREIGN, FOREIGN, 2000)] {
        let log = logged(&layer(Policy::new()), [bearer(&forged)]).await;
        assert!(!log.contains("auth.kid") && !log.contains("auth.issuer"), "{log}");
    }
}

/// A fetcher whose every answer fails.
fn away(_: Request<Empty<Bytes>>) -> Ready<Result<Response<Empty<Bytes>>, io::Error>> {
    ready(Err(io::Error::other("no route")))
}

#[tokio::test]
async fn no_byte_of_a_token_and_no_secret_is_in_logs_or_metrics() {
    #[cfg(feature = "metrics")]
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    #[cfg(feature = "metrics")]
    let _guard = metrics::set_default_local_recorder(&recorder);

    let everywhere = || {
        let sources = [
            TokenSource::bearer(),
            TokenSource::header("x-token".parse().unwrap()),
            TokenSource::cookie("session").unwrap(),
            TokenSource::query("token").unwrap(),
        ];
        Policy::new().sources(sources)
    };
    let revoked = |_: Claims, _: &Parts| ready(Verdict::Revoked);
    let remote = Issuer::jwks_url("https://id.example/keys", service_fn(away)).unwrap();
    let layers = [
        layer(everywhere()),
        layer(everywhere().scopes(["write"])),
        layer(everywhere().optional().allow_preflight().max_token_bytes(300)),
        layer(everywhere().cache(CacheLimits::new().max_entries(1))),
        layer(everywhere().cache(CacheLimits::off())).status(revoked),
        JwtAuthLayer::new(everywhere(), [remote]).unwrap().clock(at_1000),
    ];
    let none = format!("eyJhbGciOiJub25lIn0.{}.", valid().split('.').nth(1).unwrap());
    let tokens = [
        valid(),
        token("our-key", SECRET, 3000),
        token("our-key", SECRET, 10),
        token("our-key", FOREIGN, 2000),
        token(FOREIGN, FOREIGN, 2000),
        none,
        format!("{}!", valid()),
        format!("{}.a.b", valid()),
        valid().repeat(3),
    ];

    let mut said = String::new();
    for layer in &layers {
        for token in &tokens {
            let preflight = Request::builder()
                .method(Method::OPTIONS)
                .header("origin", "https://app.example")
                .header("access-control-request-method", "PUT")
                .header("authorization", format!("Bearer {token}"));
            let requests = [
                bearer(token),
                bearer(token),
                Request::builder().header("x-token", token).body(()).unwrap(),
                Request::builder().header("cookie", format!("session={token}")).body(()).unwrap(),
                Request::builder().uri(format!("/?token={token}")).body(()).unwrap(),
                Request::builder()
                    .uri("/")
                    .header("x-token", token)
                    .header("cookie", "session=a")
                    .body(())
                    .unwrap(),
                preflight.body(()).unwrap(),
                Request::new(()),
            ];
            said += &logged(layer, requests).await;
        }
        said += &format!("{layer:?} {:?} {:?}", layer.handle(), layer.refresher());
    }
    #[cfg(feature = "metrics")]
    {
        said += &recorder.handle().render();
        for outcome in ["token", "no_token", "preflight"] {
            let sample = format!("outcome=\"allowed\",reason=\"{outcome}\"}}");
            assert!(said.contains(&sample), "{said}");
        }
    }

    for word in
        ["handled", "invalid_signature", "unsupported_algorithm", "expired", "token_revoked"]
    {
        assert!(said.contains(word), "{word}");
    }
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    let segments = tokens.iter().flat_map(|token| token.split('.').map(str::to_owned));
    let long = segments.filter(|segment| segment.len() > 8);
    for told in long.chain(PERSONAL.map(str::to_owned)).chain([
        SECRET.to_owned(),
        secret,
        FOREIGN.to_owned(),
    ]) {
        assert!(!said.contains(&told), "{told}");
    }
}

#[tokio::test]
async fn a_handle_counts_tokens_and_forgets_them() {
    let layer = layer(Policy::new());
    let handle = layer.handle();
    let send = || logged(&layer, [bearer(&valid())]);
    send().await;
    send().await;
    assert_eq!((handle.cache().hits(), handle.cache().misses()), (1, 1));
    assert_eq!(handle.cache().entries(), 1);

    handle.flush();
    assert_eq!((handle.cache().entries(), handle.cache().bytes()), (0, 0));
    send().await;
    assert_eq!((handle.cache().hits(), handle.cache().misses()), (1, 2));
}

#[cfg(feature = "metrics")]
#[tokio::test]
async fn requests_and_remembered_tokens_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let one = layer(Policy::new().cache(CacheLimits::new().max_entries(1)));
    let [first, second] = [2000, 2001].map(|exp| token("our-key", SECRET, exp));
    logged(&one, [bearer(&first), bearer(&first), bearer(&second), bearer("a.b.c")]).await;
    logged(&layer(Policy::new().cache(CacheLimits::off())), [bearer(&first), Request::new(())])
        .await;
    logged(&layer(Policy::new().optional()), [Request::new(())]).await;

    let metrics = recorder.handle().render();
    for sample in [
        r#"jwt_auth_requests_total{outcome="allowed",reason="token"} 4"#,
        r#"jwt_auth_requests_total{outcome="allowed",reason="no_token"} 1"#,
        r#"jwt_auth_requests_total{outcome="refused",reason="malformed_token"} 1"#,
        r#"jwt_auth_requests_total{outcome="refused",reason="missing_token"} 1"#,
        r#"jwt_auth_requests_total{outcome="refused",reason="keys_unavailable"} 0"#,
        "jwt_auth_token_cache_hits_total 1",
        "jwt_auth_token_cache_misses_total 3",
        "jwt_auth_token_cache_evictions_total 1",
        "jwt_auth_verify_seconds_count 4",
    ] {
        assert!(metrics.lines().any(|line| line == sample), "{sample} is not in\n{metrics}");
    }
}
