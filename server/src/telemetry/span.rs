//! A request as a span, by the conventions of OpenTelemetry for HTTP.

use std::time::Duration;

use http::uri::Authority;
use http::{Method, Version};

use crate::facts::Asked;
use crate::trace::{Trace, Value};

use super::RouteMeters;
use super::access::Access;

/// What became of a request, besides what the log says of it.
pub(super) struct Ended<'a> {
    pub(super) took: Duration,
    pub(super) asked: &'a Asked,
    pub(super) route: &'a RouteMeters,
    /// The scheme that the client used, as far as that is known.
    pub(super) scheme: Option<&'a str>,
    /// Whether a response was begun, and whether it came to its end.
    pub(super) is_answered: bool,
    pub(super) is_complete: bool,
}

/// Tells of a request, if it is traced.
pub(super) fn tell(trace: Trace, access: &Access<'_>, ended: &Ended<'_>) {
    if !trace.is_told() {
        return;
    }
    let (method, is_known) = method(&ended.asked.method);
    let name = match ended.route.path() {
        Some(path) => format!("{} {path}", if is_known { method } else { "HTTP" }),
        None if is_known => method.to_owned(),
        None => "HTTP".to_owned(),
    };
    let mut attributes: Vec<(&'static str, Value)> = vec![
        ("http.request.method", method.into()),
        ("url.path", access.path.into()),
        ("portcullis.route", access.route.into()),
        ("portcullis.attempts", access.attempts.into()),
        ("http.request.body.size", access.request_bytes.into()),
        ("http.response.body.size", access.response_bytes.into()),
    ];
    let mut add = |name, value: Option<Value>| attributes.extend(value.map(|value| (name, value)));
    add("http.request.method_original", (!is_known).then(|| access.method.into()));
    add("url.scheme", ended.scheme.map(Value::from));
    add("http.route", ended.route.path().map(Value::from));
    add("http.response.status_code", ended.is_answered.then(|| access.status.into()));
    add("network.protocol.version", version(access.version).map(Value::from));
    add("client.address", access.client.map(|client| client.to_string().into()));
    add("client.port", access.client_port.map(Value::from));
    let peer = access.peer.or(access.client);
    add("network.peer.address", peer.map(|peer| peer.to_string().into()));
    if let Some(authority) = authority(ended.asked) {
        add("server.address", Some(authority.host().into()));
        add("server.port", authority.port_u16().map(Value::from));
    }
    add("portcullis.request_id", access.request_id.map(Value::from));
    add("portcullis.replica", access.replica.map(Value::from));
    add("portcullis.reason", access.reason.map(Value::from));

    // What the client did wrong is no failure of the server; what broke off is one of somebody.
    let broke_off = !ended.is_complete || !ended.is_answered;
    let failed = access.status >= 500 || broke_off;
    if failed {
        let kind = access.reason.map_or_else(|| access.status.to_string().into(), Value::from);
        attributes.push(("error.type", kind));
    }
    let failed = failed.then(|| access.error.unwrap_or_default().to_owned());
    trace.end(name, ended.took, attributes, failed);
}

/// What the request was for, by its own words.
fn authority(asked: &Asked) -> Option<Authority> {
    let named = || Authority::try_from(asked.host.as_ref()?.as_bytes()).ok();
    asked.uri.authority().cloned().or_else(named)
}

/// The method, as far as the conventions know it, and whether they do: clients may invent some.
pub(crate) fn method(method: &Method) -> (&str, bool) {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::OPTIONS
        | Method::PATCH
        | Method::TRACE
        | Method::CONNECT => (method.as_str(), true),
        _ => ("_OTHER", false),
    }
}

/// The version, as the conventions write it.
pub(crate) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}
