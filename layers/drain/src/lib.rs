//! Knows every request in flight, and shuts down without cutting one off that ends in time.
//!
//! A server that stops accepting and waits for its connections waits for ever for one event stream, and loses the
//! requests that were sent while it made up its mind. [`DrainLayer`] goes on serving until a deadline, asks clients to
//! leave, knows when the last byte has gone, and names the requests that were not done by then.
//!
//! ```
//! use portcullis_drain::{Deadlines, DrainLayer, Phase};
//! use tower_layer::Layer;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let app = ();
//! let layer = DrainLayer::new(Deadlines::default()); // no lingering, 30 s
//! let handle = layer.handle();
//! let service = layer.layer(app);
//!
//! // On SIGTERM:
//! let report = handle.drain().await;
//! assert_eq!(handle.phase(), Phase::Done);
//! assert!(report.cut().is_empty());
//! # });
//! ```
//!
//! A shutdown is *lingering* for a while, so that load balancers notice, then *draining* until nothing is in flight: it
//! is *done*. At the deadline it is *forced*. Until then requests are served, and responses to HTTP/1 requests carry
//! `Connection: close`, at once or gradually ([`ClosePolicy`]). From then on they are refused without waiting for the
//! inner service: `503` with `Retry-After`, or its gRPC form, and [`Draining`] in the extensions.
//!
//! A request is in flight from [`call`](tower_service::Service::call) until its response body's last byte, or until its
//! future or body is dropped. Services count apart, each made by the layer for a thread of its own; the handle adds up.
//! A handler that would go on for ever learns of it by a [`DrainSignal`], and ends its stream cleanly.
//!
//! # What it leaves to others
//!
//! - Connections. At [`Phase::Draining`] the server stops accepting and says goodbye in its protocol (`GOAWAY`), at
//!   [`Phase::Forced`] it cuts. After [`Phase::Done`] it has the last bytes in hand and yet to write them: let it finish.
//! - Readiness and liveness probes. They belong outside of this layer, else a probe is in flight, too.
//! - Tunnels. Whoever relays one holds the [`TunnelInFlight`] of its response to the end, or [tracks](DrainHandle::track)
//!   the task; else a request that was upgraded ends, for this layer, with its `101`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod handle;
mod rejection;
mod deadlines;
mod report;
mod in_flight;
mod tracked;
mod signal;
mod end_on_drain;
mod farewell;
mod close;
mod phase;
mod shutdown;
mod ledger;
mod shard;
mod slab;
mod sync;
#[cfg(feature = "schema")]
mod schema;

pub use close::ClosePolicy;
pub use deadlines::{Deadlines, LingerTooLong};
pub use end_on_drain::EndOnDrain;
pub use future::ResponseFuture;
pub use handle::DrainHandle;
pub use in_flight::{InFlight, TunnelInFlight};
pub use layer::DrainLayer;
pub use phase::Phase;
pub use rejection::Draining;
pub use report::{Cut, Kind, Report};
pub use service::Drain;
pub use signal::DrainSignal;
pub use tracked::Tracked;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
