//! Stops asking a service that fails or dawdles, and finds out when it is well again.
//!
//! A service that is down is not helped by more requests, and who waits for it is not helped either. [`CircuitBreakerLayer`]
//! counts what comes of calls. When too many fail it *opens*: calls are refused at once. After a while it is *half open*, and
//! lets a few through as probes, which decide whether it *closes*.
//!
//! ```
//! use portcullis_circuit_breaker::{CircuitBreakerLayer, CircuitBreakerPolicy, CircuitState};
//! use std::num::NonZeroU32;
//! use tower_layer::Layer;
//!
//! # let upstream = ();
//! let policy = CircuitBreakerPolicy::new().consecutive_failures(const { NonZeroU32::new(5).unwrap() });
//! let layer = CircuitBreakerLayer::new("orders", policy);
//! let circuit = layer.handle();
//! let service = layer.layer(upstream);
//!
//! assert_eq!(circuit.state(), CircuitState::Closed);
//! assert!(circuit.admits());
//! ```
//!
//! # How it decides
//!
//! [`HttpClassifier`], or a [`Classify`] of your own, says what a call says of the service: success, failure, or nothing, as
//! when the client leaves. It is recorded at the headers or at the last byte. A failure or a slow call opens the circuit when the
//! [`Window`] has too many of them, or too many came in a row; a success never does. It stays open for an [`OpenTime`]; then
//! [`HalfOpen`] bounds its probes, and a [`RampUp`] lets calls through by and by once it has closed. A result counts only in the
//! state that the call was let through in, and a probe that is dropped gives its place to another.
//!
//! A refused request is answered without waiting for the inner service: `503`, `Retry-After` with the time left, or its gRPC
//! form, and [`Open`] in the extensions. A layer may be [not ready](CircuitBreakerLayer::not_ready_when_open) instead.
//!
//! All services of a layer share a circuit, which is one atomic word: no lock is taken and nothing allocated for a call.
//! [`KeyedCircuitBreakerLayer`] has a circuit per key, at most so many. The [`CircuitBreakerHandle`] shows and steers.
//!
//! The feature `metrics` counts by `name`: `circuit_breaker_calls_total` by `outcome` (`success`, `failure`, `neutral`,
//! `rejected`, `stale`), `circuit_breaker_transitions_total` by `from`, `to` and `reason`; and shows `circuit_breaker_state` (a
//! [`CircuitState`]'s number), `circuit_breaker_failure_rate`, `circuit_breaker_slow_rate`, `circuit_breaker_keys`.
//! Its public API has types of `http`, `http-body`, `tokio`, `refusal`, `tower-layer` and `tower-service`.
//!
//! # What it leaves to others
//!
//! - Time limits: inside of it they are failures, outside of it they are clients that leave.
//! - Trying again, and trying another: outside of it, where [`CircuitBreakerHandle::admits`] says whom to skip.
//! - How many calls may be under way at once.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod keyed_layer;
mod keyed_service;
mod future;
mod body;
mod handle;
mod keyed_handle;
mod rejection;
mod policy;
mod window;
mod rate;
mod slow_calls;
mod open_time;
mod half_open;
mod ramp_up;
mod invalid;
#[cfg(feature = "serde")]
mod section;
#[cfg(feature = "schema")]
mod schema;
mod classify;
mod http_classifier;
mod outcome;
mod key;
mod state;
mod transition;
mod snapshot;
mod readiness;
mod guard;
mod circuits;
mod breaker;
mod meters;
mod circuit;
mod standing;
mod calls;
mod count_window;
mod time_window;
mod sync;
#[cfg(all(test, not(loom)))]
mod model;
#[cfg(all(test, loom))]
mod races;

pub use body::ResponseBody;
pub use classify::{Classify, ClassifyError, Verdict};
pub use future::ResponseFuture;
pub use half_open::HalfOpen;
pub use handle::CircuitBreakerHandle;
pub use http_classifier::HttpClassifier;
pub use invalid::InvalidPolicy;
pub use key::KeyOf;
pub use keyed_handle::KeyedCircuitBreakerHandle;
pub use keyed_layer::KeyedCircuitBreakerLayer;
pub use keyed_service::KeyedCircuitBreaker;
pub use layer::CircuitBreakerLayer;
pub use open_time::OpenTime;
pub use outcome::Outcome;
pub use policy::{CircuitBreakerPolicy, Mode};
pub use ramp_up::RampUp;
pub use rate::Rate;
pub use rejection::Open;
pub use service::CircuitBreaker;
pub use slow_calls::{SlowCalls, Until};
pub use snapshot::Snapshot;
pub use state::CircuitState;
pub use transition::{Cause, Transition};
pub use window::Window;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
