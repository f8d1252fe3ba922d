//! What is counted, by which names.
#![cfg(feature = "metrics")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use bytes::Bytes;
use http::header::{DATE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use metrics_exporter_prometheus::PrometheusBuilder;
use portcullis_sigv4_sign::{Payload, SigV4SignLayer, SignedBody, Signing};
use tower::{Layer, ServiceExt, service_fn};

/// Fails, and then gives credentials.
#[derive(Debug, Default)]
struct SecondTime(AtomicUsize);

impl ProvideCredentials for SecondTime {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err(CredentialsError::not_loaded("not yet")),
            _ => {
                let expiry = UNIX_EPOCH + Duration::from_secs(1_369_357_200);
                Ok(Credentials::new("AKIDHUSH", "hush", Some("hush".into()), Some(expiry), "test"))
            }
        })
    }
}

fn midnight() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_369_353_600)
}

#[test]
fn requests_refreshes_the_expiry_and_the_skew_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    metrics::with_local_recorder(&recorder, || runtime.unwrap().block_on(exchange()));

    let rendered = recorder.handle().render();
    let mut lines: Vec<_> = rendered.lines().filter(|line| line.starts_with("sigv4_")).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "sigv4_clock_skew_seconds{service=\"s3\",region=\"eu-west-1\"} 7200",
            "sigv4_credentials_expiry_seconds{service=\"s3\",region=\"eu-west-1\"} 1369357200",
            "sigv4_credentials_refresh_total{service=\"s3\",region=\"eu-west-1\",outcome=\"not_loaded\"} 1",
            "sigv4_credentials_refresh_total{service=\"s3\",region=\"eu-west-1\",outcome=\"ok\"} 1",
            "sigv4_sign_requests_total{service=\"s3\",payload=\"empty\",outcome=\"signed\"} 2",
            "sigv4_sign_requests_total{service=\"s3\",payload=\"hashed\",outcome=\"signed\"} 1",
            "sigv4_sign_requests_total{service=\"s3\",payload=\"none\",outcome=\"forbidden_header\"} 2",
            "sigv4_sign_requests_total{service=\"s3\",payload=\"none\",outcome=\"no_credentials\"} 1",
            "sigv4_sign_requests_total{service=\"s3\",payload=\"unsigned\",outcome=\"signed\"} 1",
        ]
    );
}

async fn exchange() {
    let signing = Signing::new("s3".parse().unwrap(), "eu-west-1".parse().unwrap())
        .payload(Payload::hash_or_unsigned(8));
    let layer = SigV4SignLayer::new(signing, SecondTime::default()).clock(midnight);
    let service = layer.layer(service_fn(|request: Request<SignedBody<Full<Bytes>>>| async move {
        let mut response = Response::new(());
        if request.uri().path() == "/late" {
            *response.status_mut() = StatusCode::FORBIDDEN;
            let date = HeaderValue::from_static("Fri, 24 May 2013 02:00:00 GMT");
            response.headers_mut().insert(DATE, date);
        }
        Ok::<_, Infallible>(response)
    }));
    let send = |path: &str, acl: bool, body| {
        let mut request = Request::put(format!("https://a.example{path}"));
        if acl {
            request = request.header("x-amz-acl", "private");
        }
        service.clone().oneshot(request.body(Full::from(body)).unwrap())
    };

    send("/k", false, "").await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    send("/k", false, "").await.unwrap();
    send("/k", false, "hello").await.unwrap();
    send("/k", false, "hello, hello").await.unwrap();
    send("/k", true, "").await.unwrap();
    send("/k", true, "hello").await.unwrap();
    send("/late", false, "").await.unwrap();
}
