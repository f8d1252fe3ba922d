//! What the next hop is told, in the place of whatever was sent.

mod layer;
mod service;
mod write;

pub use layer::TellLayer;
pub use service::Tell;
