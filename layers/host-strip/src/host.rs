//! The name by which the upstream is called.

mod layer;
mod service;
mod future;
mod policy;
mod rules;
mod client;
mod original;
mod rejection;

pub use future::HostStripFuture;
pub use layer::HostStripLayer;
pub use original::OriginalHost;
pub use policy::HostPolicy;
pub use rejection::NoAuthority;
pub use service::HostStrip;

pub(crate) use client::{host_and_port, replace};
pub(crate) use future::Refused;
pub(crate) use rules::remember;
