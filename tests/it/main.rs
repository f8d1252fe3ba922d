//! The whole gateway, over real sockets. One binary, one module per behaviour.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]
#![expect(clippy::float_cmp, reason = "metrics are floats, and what is compared was counted")]

mod admin;
mod attacks;
mod auth;
mod bodies;
mod browsers;
mod claims;
mod certificates;
mod compression;
mod config;
mod connections;
mod demo;
mod drain;
mod examples;
mod failover;
mod forwarded;
mod grpc;
mod guards;
mod headers;
mod house;
mod http2;
mod issuer;
mod keys;
mod limited;
mod limits;
mod listeners;
mod logs;
mod memory;
mod metadata;
mod metrics;
mod notify;
mod order;
mod proxy_protocol;
mod reference;
mod refusals;
mod reload;
mod request_id;
mod restart;
mod routing;
mod runbook;
mod signing;
mod sse;
mod steering;
mod tls;
mod tunnels;
mod unbroken;
mod uploads;
mod upstream;
mod upstream_tls;
mod wire;
#[cfg(feature = "peers")]
mod default_chain;
#[cfg(feature = "peers")]
mod deploy;
#[cfg(feature = "peers")]
mod echoes;
#[cfg(feature = "peers")]
mod monitoring;
#[cfg(feature = "peers")]
mod page;
#[cfg(feature = "peers")]
mod peers;
#[cfg(feature = "peers")]
mod provider;
#[cfg(feature = "peers")]
mod rate_limit;
#[cfg(feature = "peers")]
mod rolling;
#[cfg(feature = "peers")]
mod s3;
#[cfg(feature = "peers")]
mod schema;
