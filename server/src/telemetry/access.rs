use std::net::IpAddr;
use std::time::SystemTime;

use http::Version;
use humantime::format_rfc3339_micros;
use tracing::Level;

use crate::trace::{SpanId, TraceId};

use super::lines::ACCESS;
use super::object::{Object, name};
use super::subscriber::json_lines;

/// What is said of a request in the log.
///
/// As JSON it is written without a detour over what `tracing` makes of it, which would cost more than all the rest of a
/// request's way through the gateway; it has the form of all other lines.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub(super) request_id: Option<&'a str>,
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) client: Option<IpAddr>,
    pub(super) client_port: Option<u16>,
    pub(super) peer: Option<IpAddr>,
    pub(super) client_certificate: Option<&'a str>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) version: Version,
    pub(super) route: &'a str,
    pub(super) replica: Option<&'a str>,
    pub(super) attempts: u32,
    pub(super) tried: Option<&'a str>,
    pub(super) status: u16,
    pub(super) reason: Option<&'static str>,
    pub(super) error: Option<&'a str>,
    pub(super) start_ms: Option<f64>,
    pub(super) duration_ms: f64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl Access<'_> {
    /// Whether the log has a use for it.
    pub(super) fn is_wanted() -> bool {
        tracing::enabled!(target: ACCESS, Level::INFO)
    }

    /// Leaves it to the log, which wants it.
    pub(super) fn write(&self) {
        match json_lines() {
            Some(lines) => lines.access(&self.line(SystemTime::now())),
            None => self.trace(),
        }
    }

    fn line(&self, now: SystemTime) -> Vec<u8> {
        let mut line = Object::new();
        line.shown(name!("timestamp"), Some(format_rfc3339_micros(now)));
        line.text(name!("level"), Some(Level::INFO.as_str()));
        line.text(name!("request_id"), self.request_id);
        line.shown(name!("trace_id"), self.trace_id);
        line.shown(name!("span_id"), self.span_id);
        line.address(name!("client"), self.client);
        line.number(name!("client_port"), self.client_port);
        line.address(name!("peer"), self.peer);
        line.text(name!("client_certificate"), self.client_certificate);
        line.text(name!("method"), Some(self.method));
        line.text(name!("path"), Some(self.path));
        line.shown(name!("version"), Some(format_args!("{:?}", self.version)));
        line.text(name!("route"), Some(self.route));
        line.text(name!("replica"), self.replica);
        line.number(name!("attempts"), Some(self.attempts));
        line.text(name!("tried"), self.tried);
        line.number(name!("status"), Some(self.status));
        line.text(name!("reason"), self.reason);
        line.text(name!("error"), self.error);
        line.number(name!("start_ms"), self.start_ms);
        line.number(name!("duration_ms"), Some(self.duration_ms));
        line.number(name!("request_bytes"), Some(self.request_bytes));
        line.number(name!("response_bytes"), Some(self.response_bytes));
        line.text(name!("target"), Some(ACCESS));
        line.into_line()
    }

    fn trace(&self) {
        tracing::info!(
            target: ACCESS,
            request_id = self.request_id,
            trace_id = self.trace_id.map(tracing::field::display),
            span_id = self.span_id.map(tracing::field::display),
            client = self.client.map(tracing::field::display),
            client_port = self.client_port,
            peer = self.peer.map(tracing::field::display),
            client_certificate = self.client_certificate,
            method = self.method,
            path = self.path,
            version = ?self.version,
            route = self.route,
            replica = self.replica,
            attempts = self.attempts,
            tried = self.tried,
            status = self.status,
            reason = self.reason,
            error = self.error,
            start_ms = self.start_ms,
            duration_ms = self.duration_ms,
            request_bytes = self.request_bytes,
            response_bytes = self.response_bytes,
        );
    }
}
