//! Delivers spans to a collector: OTLP over HTTP, in protobuf.

mod message;
mod verdict;
mod collector;
mod exporter;

pub(crate) use collector::Collector;
pub(crate) use exporter::{Exporter, Exporting, Outcomes};
pub(crate) use message::Resource;
