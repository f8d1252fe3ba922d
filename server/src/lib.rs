//! The reference gateway.
//!
//! The modules stand in the order in which a request meets them. Each knows those below it and none
//! above; [`config`], [`body`], [`certificate`] and [`facts`] are known to all.

// The stack is one type, and as deep as it is high.
#![recursion_limit = "256"]

/// Arguments and exit codes.
pub mod cli;
/// From a plan to a running gateway, and to its end.
pub mod gateway;
/// What a running gateway is in, and what it does next.
pub mod lifecycle;
/// A new configuration in place of the old one, while requests go on.
pub mod reload;
pub mod handover;
mod notify;
mod workers;
/// One thread, one runtime: it accepts, serves and pools on its own.
pub mod worker;
/// Sockets that clients connect to.
pub mod listener;
/// One connection: what is allowed on it, and for how long.
pub mod connection;
/// The order of the layers, and nothing else.
pub mod stack;
mod splice;
mod rewound;
mod together;
mod aside;
pub mod route;
pub mod cors;
pub mod security_headers;
pub mod compression;
pub mod limit;
pub mod upstream;
pub mod respond;
pub mod telemetry;
mod trace;
/// Health, readiness and metrics, on a thread of their own.
pub mod admin;
mod otlp;
pub mod plan;
pub mod replicas;
pub mod certificate;
pub mod tunnel;
/// What was found out about a request.
pub mod facts;
/// Where types are forgotten.
pub mod seam;
/// What crosses the seams.
pub mod body;
mod trailers;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
