//! The whole gateway, over real sockets. One binary, one module per behaviour.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![expect(clippy::float_cmp, reason = "metrics are floats, and what is compared was counted")]

mod admin;
mod auth;
mod claims;
mod config;
mod demo;
mod drain;
mod failover;
mod grpc;
mod house;
mod http2;
mod issuer;
mod limits;
mod logs;
mod memory;
mod metadata;
mod order;
mod refusals;
mod signing;
mod sse;
mod tls;
mod tunnels;
mod upstream;
mod wire;
#[cfg(feature = "peers")]
mod echoes;
#[cfg(feature = "peers")]
mod peers;
#[cfg(feature = "peers")]
mod provider;
#[cfg(feature = "peers")]
mod s3;
