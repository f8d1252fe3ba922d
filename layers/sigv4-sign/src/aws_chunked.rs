//! Bodies in the `aws-chunked` coding, taken apart.

mod layer;
mod service;
mod announced;
mod decoder;
mod line;
mod chunk;
mod trailer;

pub use layer::AwsChunkedLayer;
pub use service::AwsChunked;

pub(crate) use announced::{Announced, is_announced};
pub(crate) use chunk::Signed;
pub(crate) use decoder::Decoder;
