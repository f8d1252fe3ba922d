//! Every request is counted once and logged once: refused, failed and cancelled ones, too.

mod access;
mod histogram;
mod layer;
mod lines;
mod meters;
mod object;
mod parts;
mod record;
mod recorder;
mod span;
mod subscriber;
mod tally;

pub use layer::{Telemetry, TelemetryLayer};
pub use meters::{Meters, ReloadMeters, ReplicaMeters, RouteMeters};
pub use record::RecordedBody;
pub use recorder::Recorder;
pub(crate) use span::{method as known_method, version as protocol_version};
pub use subscriber::{NotSet, dropped, flush, set_level, subscribe, writes_json};
