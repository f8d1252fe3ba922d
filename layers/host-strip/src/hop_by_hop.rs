//! Headers that are for one connection only (RFC 9110 §7.6.1).

mod layer;
mod service;
mod future;
mod handle;
mod policy;
mod prefix;
mod strip;
mod asked;
mod removed;
mod connection;
mod upgrade;
mod protocol;
mod field;
mod list;
mod ignored;
mod violation;

pub use asked::Asked;
pub use future::HopByHopFuture;
pub use handle::HopByHopHandle;
pub use ignored::Ignored;
pub use layer::HopByHopLayer;
pub use policy::{HopByHop, OnViolation};
pub use prefix::{HeaderPrefix, InvalidPrefix};
pub use protocol::{InvalidProtocol, Protocol};
pub use removed::Removed;
pub use service::HopByHopService;
pub use strip::Stripped;
pub use upgrade::Upgrade;
pub use violation::Violation;
