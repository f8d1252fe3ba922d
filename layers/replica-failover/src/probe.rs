use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, StatusCode, Version};

use crate::grpc_health;
use crate::grpc_timeout::{self, GRPC_TIMEOUT};

/// What a replica is asked in a check of its health.
///
/// ```toml
/// probe = "tcp"                                  # default
/// # probe = { http = { path = "/healthz" } }     # any 2xx is healthy
/// # probe = { http = { path = "/healthz", host = "photos.internal", statuses = [200, 401] } }
/// # probe = { grpc = {} }                        # the server as a whole
/// # probe = { grpc = { service = "photos.v1.Photos", unimplemented_is_up = false } }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Probe {
    /// For a connection, by what [`Replica::dialed_by`](crate::Replica::dialed_by) says.
    #[default]
    Tcp,
    /// A `GET`, by the client of [`Replica::probed_by`](crate::Replica::probed_by).
    Http(HttpProbe),
    /// gRPC's health protocol, version 1, by the client of [`Replica::probed_by`](crate::Replica::probed_by).
    Grpc(GrpcProbe),
}

/// A `GET` whose answer's status tells the health. Its body is not read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[must_use = "a probe does nothing until it is part of a check"]
pub struct HttpProbe {
    /// What is asked for: a path of the server's own.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::config::path"))]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    path: PathAndQuery,
    /// The `Host` that is asked for; the one of requests when left out.
    #[cfg_attr(feature = "serde", serde(default, deserialize_with = "crate::config::host"))]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    host: Option<HeaderValue>,
    /// The statuses that are healthy; any 2xx when left out.
    #[cfg_attr(feature = "serde", serde(default, deserialize_with = "crate::config::expected"))]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::statuses"))]
    statuses: Vec<StatusCode>,
}

impl HttpProbe {
    /// Asks for `path`; any 2xx is healthy.
    pub const fn new(path: PathAndQuery) -> Self {
        Self { path, host: None, statuses: Vec::new() }
    }

    /// Says this in the `Host` header; without it, that is left to the client.
    pub fn host(mut self, host: HeaderValue) -> Self {
        self.host = Some(host);
        self
    }

    /// Expects one of these statuses, instead of any 2xx. With none of them it is any 2xx again.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.statuses = statuses.into_iter().collect();
        self
    }

    pub(crate) fn expects(&self, status: StatusCode) -> bool {
        if self.statuses.is_empty() { status.is_success() } else { self.statuses.contains(&status) }
    }

    pub(crate) fn request<B: From<Bytes>>(&self) -> Request<B> {
        let mut request = Request::new(Bytes::new().into());
        *request.uri_mut() = self.path.clone().into();
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        request
    }
}

/// `grpc.health.v1.Health/Check`: healthy is `SERVING`, and nothing else.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use = "a probe does nothing until it is part of a check"]
pub struct GrpcProbe {
    /// Which service of it is asked about; the server as a whole when empty.
    service: String,
    /// Whether a server that does not know the protocol is healthy.
    unimplemented_is_up: bool,
}

impl GrpcProbe {
    /// Asks about the server as a whole.
    pub const fn new() -> Self {
        Self { service: String::new(), unimplemented_is_up: true }
    }

    /// Asks about this service of it.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// Takes a replica that does not know the protocol, and answers `UNIMPLEMENTED`, for unhealthy.
    ///
    /// Without this it is healthy, since it answers.
    pub const fn unimplemented_is_down(mut self) -> Self {
        self.unimplemented_is_up = false;
        self
    }

    pub(crate) const fn takes_unimplemented_for_up(&self) -> bool {
        self.unimplemented_is_up
    }

    pub(crate) fn request<B: From<Bytes>>(&self, within: Duration) -> Request<B> {
        let mut request = Request::new(grpc_health::question(&self.service).into());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = PathAndQuery::from_static("/grpc.health.v1.Health/Check").into();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(GRPC_TIMEOUT, grpc_timeout::text(within));
        request
    }
}

impl Default for GrpcProbe {
    fn default() -> Self {
        Self::new()
    }
}
