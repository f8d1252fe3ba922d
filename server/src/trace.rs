//! Which requests are traced, and by what ids upstreams are told of it (W3C Trace Context).

mod ids;
mod context;
mod state;
mod sampling;
mod span;
mod tracer;
mod begun;

pub(crate) use begun::{Asked, Trace};
pub(crate) use context::Context;
pub(crate) use ids::{SpanId, TraceId};
pub(crate) use sampling::Sampling;
#[cfg(feature = "otlp")]
pub(crate) use span::Kind;
pub(crate) use span::{Span, Value};
pub(crate) use tracer::{BATCH, Tracer};
