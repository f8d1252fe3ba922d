//! By what name a proxy is known to those behind it: `Via` (RFC 9110 §7.6.3).

mod layer;
mod service;
mod pseudonym;

pub use layer::ViaLayer;
pub use pseudonym::{InvalidPseudonym, Pseudonym};
pub use service::Via;
