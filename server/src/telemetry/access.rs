use std::fmt::Display;
use std::net::IpAddr;
use std::time::SystemTime;

use http::Version;
use humantime::format_rfc3339_micros;
use serde::{Serialize, Serializer};
use tracing::Level;

use super::lines::ACCESS;
use super::subscriber::json_lines;

/// What is said of a request in the log.
///
/// As JSON it is written without a detour over what `tracing` makes of it, which would cost more than all the rest of a
/// request's way through the gateway; it has the form of all other lines.
#[derive(Debug, Serialize)]
pub(super) struct Access<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub(super) client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub(super) peer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_certificate: Option<&'a str>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    #[serde(serialize_with = "debugged")]
    pub(super) version: Version,
    pub(super) route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replica: Option<&'a str>,
    pub(super) attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tried: Option<&'a str>,
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_ms: Option<f64>,
    pub(super) duration_ms: f64,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
}

impl Access<'_> {
    /// Leaves it to the log.
    pub(super) fn write(&self) {
        let Some(lines) = json_lines() else { return self.trace() };
        if tracing::enabled!(target: ACCESS, Level::INFO) {
            let line = Line {
                timestamp: SystemTime::now(),
                level: Level::INFO.as_str(),
                access: self,
                target: ACCESS,
            };
            // It has no map with keys that are no text, which is all that could fail.
            if let Ok(mut line) = serde_json::to_vec(&line) {
                line.push(b'\n');
                lines.access(&line);
            }
        }
    }

    fn trace(&self) {
        tracing::info!(
            target: ACCESS,
            request_id = self.request_id,
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

#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "timed")]
    timestamp: SystemTime,
    level: &'static str,
    #[serde(flatten)]
    access: &'a Access<'a>,
    target: &'static str,
}

fn timed<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_rfc3339_micros(*time))
}

#[expect(clippy::ref_option, reason = "serde passes it so")]
fn shown<T: Display, S: Serializer>(it: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match it {
        Some(it) => serializer.collect_str(it),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn debugged<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{version:?}"))
}
