//! What the tests share: a gateway in the same process or in one of its own, upstreams that follow a
//! script, and clients that speak bytes.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod gateway;
mod generated;
mod process;
mod upstream;
mod client;
mod collector;
mod flow;
mod tokens;
mod identity;
mod relay;
mod dns;
mod object;
mod websocket;
mod http2;
mod load;
mod tape;
mod frames;

pub use client::{
    Connection, Response, ask, dechunk, exchange, get, http2, http2_over, read_to_end, send,
};
pub use collector::{Collector, Told, hex, says};
pub use dns::{Answer, NameServer};
pub use flow::Flow;
pub use frames::{End, Frame, Frames, block, bytes};
pub use gateway::{InProcess, gateway, plan};
pub use generated::generated;
pub use http2::{Boxed, Http2, full};
pub use identity::Identity;
pub use load::{Kind, Load, load_upstream};
pub use object::{Store, pattern, piece};
pub use process::{Process, Successor, signal};
pub use relay::{Relay, Way};
pub use tape::{Reel, Tape, Taped};
pub use tokens::{ISSUER, choose_backend, in_an_hour, token};
pub use upstream::{Nowhere, Recorded, Upstream, read_request};
pub use websocket::{echoing, upgrade};
