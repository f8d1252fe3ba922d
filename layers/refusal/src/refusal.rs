use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Extensions, Response, StatusCode};

use crate::{Dialect, GrpcStatus, Refused};

/// Why a request is refused, and what the client is told.
#[derive(Clone, Debug)]
#[must_use = "a refusal is an answer only as a response"]
pub struct Refusal {
    refused: Refused,
    grpc_status: GrpcStatus,
    headers: HeaderMap,
    extensions: Extensions,
}

impl Refusal {
    /// A refusal with `status`, for a `reason` in `snake_case`.
    ///
    /// The reason becomes a metric label and a field of the access log: one of a small, fixed set. The detail is a
    /// sentence for the client: lower case, no full stop, nothing secret.
    pub fn new(
        status: StatusCode,
        reason: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            refused: Refused::new(status, reason, detail.into()),
            grpc_status: GrpcStatus::of(status),
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
        }
    }

    /// Adds a header, beside others of the same name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        // The limit of a header map (32,768 names) is out of reach of a handful of lines, and losing one beats a panic.
        let _ = self.headers.try_append(name, value);
        self
    }

    /// Says in `Retry-After` when trying again makes sense, in whole seconds, rounded up, at least one.
    ///
    /// A client that waits as long as it was told must not come too early (RFC 9110 §10.2.3).
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        self.headers.insert(RETRY_AFTER, seconds.into());
        self
    }

    /// Tells gRPC clients another status than the one that the HTTP status maps to.
    pub const fn grpc_status(mut self, status: GrpcStatus) -> Self {
        self.grpc_status = status;
        self
    }

    /// Puts a typed reason of the layer's own into the response's extensions.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, reason: T) -> Self {
        self.extensions.insert(reason);
        self
    }

    /// The response in the client's dialect, with `body`, which should be empty.
    ///
    /// Its extensions hold [`Refused`] and the layer's own reason.
    pub fn into_response<B>(self, dialect: Dialect, body: B) -> Response<B> {
        let Self { refused, grpc_status, mut headers, mut extensions } = self;
        let status = match dialect {
            Dialect::Http => refused.status(),
            Dialect::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(GRPC_STATUS, grpc_status.into());
                headers.insert(GRPC_MESSAGE, grpc_message(refused.detail()));
                StatusCode::OK
            }
        };
        extensions.insert(refused);

        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        *response.extensions_mut() = extensions;
        response
    }
}

/// Percent-encoded as the gRPC protocol has it: all but printable ASCII, and `%` itself.
fn grpc_message(detail: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(detail.len());
    for byte in detail.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Nothing that is written to a text fails.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
