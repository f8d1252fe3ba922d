use http::{Method, Request, Response};
use tokio::time::Instant;

use crate::body::{Body, Side};
use crate::facts::Facts;
use crate::telemetry::{known_method, protocol_version};
use crate::trace::{Asked, Value};

use super::{Connect, Error};

/// The span of one attempt at a replica, by the conventions of OpenTelemetry for clients of HTTP. It ends with the head of the
/// response, since nobody promises to read the body; dropped before, the attempt was given up.
#[derive(Debug)]
pub(super) struct AttemptSpan {
    asked: Option<Box<Asked>>,
    start: Instant,
    method: Method,
    attributes: Vec<(&'static str, Value)>,
}

impl AttemptSpan {
    /// Tells the replica of the trace, and begins a span if the request is traced.
    pub(super) fn begin(request: &mut Request<Body>, connect: &Connect) -> Option<Self> {
        let facts = Facts::get(request)?.clone();
        let known = facts.known();
        let asked = known.trace.as_ref()?.ask(request.headers_mut())?;
        let (replica, attempt) = (connect.name(), known.attempts);
        let (method, uri) = (request.method().clone(), request.uri());
        let mut attributes = vec![
            ("http.request.method", known_method(&method).0.into()),
            ("portcullis.replica", (*replica).into()),
        ];
        if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
            // Without the query, which may hold what lets in.
            let url = format!("{scheme}://{authority}{}", uri.path());
            let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
            attributes.push(("url.full", url.into()));
            attributes.push(("server.address", authority.host().into()));
            attributes.push(("server.port", port.into()));
        }
        if attempt > 1 {
            attributes.push(("http.request.resend_count", (attempt - 1).into()));
        }
        Some(Self { asked: Some(asked), start: Instant::now(), method, attributes })
    }

    /// Tells what comes of it.
    pub(super) async fn watch(
        mut self,
        attempt: impl Future<Output = Result<Response<Body>, Error>>,
    ) -> Result<Response<Body>, Error> {
        let result = attempt.await;
        match &result {
            Ok(response) => {
                let status = response.status();
                self.attributes.push(("http.response.status_code", status.as_u16().into()));
                let version = protocol_version(response.version());
                self.attributes.extend(version.map(|it| ("network.protocol.version", it.into())));
                let failed = status.is_client_error() || status.is_server_error();
                self.tell(failed.then(|| (status.as_str().to_owned(), String::new())));
            }
            Err(error) => {
                let kind = match error.body_side() {
                    Some(side) => Side::reason(side),
                    None if error.is_timeout() => "timeout",
                    None => error.phase().name(),
                };
                self.tell(Some((kind.to_owned(), error.in_full())));
            }
        }
        result
    }

    fn tell(&mut self, failed: Option<(String, String)>) {
        let Some(asked) = self.asked.take() else { return };
        let mut attributes = std::mem::take(&mut self.attributes);
        let failed = failed.map(|(kind, words)| {
            attributes.push(("error.type", kind.into()));
            words
        });
        let name = match known_method(&self.method) {
            (method, true) => method,
            (_, false) => "HTTP",
        };
        asked.end(name.to_owned(), self.start.elapsed(), attributes, failed);
    }
}

impl Drop for AttemptSpan {
    fn drop(&mut self) {
        self.tell(Some(("cancelled".to_owned(), String::new())));
    }
}
