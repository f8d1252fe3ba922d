use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;
use tower::{Service, ServiceExt};

use crate::body::Body;
use crate::config::{HttpVersion, Pool, UpstreamTimeouts, Url};
use crate::telemetry::ReplicaMeters;
use crate::upstream::{Connect, Target, Upstream};

use super::message::rejected;
use super::verdict::Answer;

/// Where spans are delivered.
#[derive(Debug)]
pub(crate) struct Collector {
    uri: Uri,
    headers: HeaderMap,
    connect: Arc<Connect>,
    timeout: Duration,
}

impl Collector {
    /// The collector at this URL, which is told `headers`, and answers in that time.
    ///
    /// # Errors
    ///
    /// When there cannot be one at this URL.
    pub(crate) fn new(
        endpoint: &Url,
        mut headers: HeaderMap,
        tls: &Arc<rustls::ClientConfig>,
        timeout: Duration,
    ) -> Result<Self, String> {
        let (scheme, authority) = (endpoint.uri().scheme_str(), endpoint.uri().authority());
        let (Some(scheme), Some(authority)) = (scheme, authority) else {
            return Err("the URL needs a scheme and a host".to_owned());
        };
        let path = match endpoint.uri().path() {
            "/" | "" => "/v1/traces",
            path => path,
        };
        let uri = format!("{scheme}://{authority}{path}").parse::<Uri>();
        let uri = uri.map_err(|error| error.to_string())?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let target = Arc::new(Target::new(authority.as_str(), endpoint)?);
        let uncounted = ReplicaMeters::uncounted();
        let connect = Arc::new(Connect::new(target, HttpVersion::Auto, tls, uncounted));
        Ok(Self { uri, headers, connect, timeout })
    }

    /// Connections to it, for one thread.
    pub(super) fn open(&self) -> Upstream {
        let pool = Pool { max_idle: 1, ..Pool::default() };
        Upstream::new(self.connect.clone(), pool, UpstreamTimeouts::default(), u64::MAX)
    }

    /// Delivers a message.
    pub(super) async fn take(&self, upstream: &mut Upstream, message: Bytes) -> Answer {
        let mut request = Request::new(Body::from(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let exchange = async {
            let sent = upstream.ready().await;
            let response = match sent {
                Ok(ready) => ready.call(request).await,
                Err(error) => Err(error),
            };
            match response {
                Ok(response) => read(response).await,
                Err(error) => Answer::None(error.in_full()),
            }
        };
        let late = || Answer::None(format!("no answer within {:?}", self.timeout));
        timeout(self.timeout, exchange).await.unwrap_or_else(|_| late())
    }
}

async fn read(response: Response<Body>) -> Answer {
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        let after = head.headers.get(RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        return Answer::Refused { status: head.status, after: after.map(Duration::from_secs) };
    }
    // It has taken the spans, whatever becomes of the rest of what it says.
    let body = Limited::new(body, LONGEST).collect().await;
    let (rejected, why) = body.map(|body| rejected(&body.to_bytes())).unwrap_or_default();
    Answer::Taken { rejected, why }
}

/// In bytes: an answer is a number and a sentence.
const LONGEST: usize = 64 << 10;

const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
