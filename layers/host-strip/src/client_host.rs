//! The name that the client calls by, which has to be one.

mod layer;
mod service;
mod policy;
mod name;
mod handle;
mod ambiguous;

pub use ambiguous::AmbiguousHost;
pub use handle::ClientHostHandle;
pub use layer::ClientHostLayer;
pub use policy::{ClientHost, OnAmbiguity};
pub use service::ClientHostService;

pub(crate) use name::Name;
