//! Every request is counted once and logged once: refused, failed and cancelled ones, too.

mod access;
mod layer;
mod lines;
mod meters;
mod object;
mod record;
mod subscriber;

pub use layer::{Telemetry, TelemetryLayer};
pub use meters::{Meters, ReloadMeters, ReplicaMeters, RouteMeters, recorder};
pub use record::RecordedBody;
pub use subscriber::{NotSet, dropped, flush, set_level, subscribe, writes_json};
