//! Who is let in, by address.

mod layer;
mod service;
mod addresses;

pub use addresses::Addresses;
pub use layer::LetInLayer;
pub use service::LetIn;
