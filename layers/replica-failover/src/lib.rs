//! Sends a request to the next replica when one fails, and only if that is safe.
//!
//! A dead replica is found out by requests. This service over a list of [`Replica`]s sends such a request elsewhere, body
//! included, before its client notices; but never a second time if the first may have acted on it, and never in a storm.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Empty;
//! use portcullis_replica_failover::{Attempts, Replica, ReplicaFailoverLayer, ReplayBody};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let replica = |status: StatusCode| {
//!     service_fn(move |_: Request<ReplayBody<Empty<Bytes>>>| async move {
//!         Response::builder().status(status).body(Empty::<Bytes>::new())
//!     })
//! };
//! let service = ReplicaFailoverLayer::default().layer(vec![
//!     Replica::new("a", replica(StatusCode::SERVICE_UNAVAILABLE)),
//!     Replica::new("b", replica(StatusCode::OK)),
//! ]);
//!
//! let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
//! assert_eq!(response.extensions().get::<Attempts>().unwrap().served_by(), Some("b"));
//! # });
//! ```
//!
//! An attempt fails as its [`Classify`] says: by an error, a status, a time limit. If a replica may have acted on the request, it
//! goes on only if its method is idempotent or it has a key that says so; and only if its body is still all there: unread,
//! or kept, as it was read, up to a cap. The next replica is one that did not fail lately, which is free, or one that did,
//! which costs the [`RetryBudget`]; back to one that failed this request it goes after a [`Backoff`]. One that does not
//! [admit](Replica::admits) it or is not ready is skipped. What failed before is in the response's [`Attempts`].
//!
//! By a [`Hedge`], a request that is safe to repeat goes to a second replica while the first has not answered. The first response
//! that is no failure is passed on; the other attempt is dropped, and blames nobody.
//!
//! The time for all attempts is the policy's, or the `grpc-timeout` of a gRPC client if that is shorter: each replica is told
//! what is left of it.
//!
//! When nothing is left, the answer is a refusal by [`Unserved`]: 502, 503 if no replica could be asked, 504 if the time is over;
//! a response that failed is not passed on. What a replica said is passed on if it is all that was said, or if the request
//! must not be sent again. A list of one is asked once.
//!
//! The response to a `GET` may break off after its headers. Its [`ResumeBody`] has the rest from another replica, if that proves to
//! have the very same, as [`FailoverPolicy::resume`] says; if none has, it ends with the error.
//!
//! A request that may go on costs a copy of its head, and if it has a body, an allocation and what is kept of it; if it may be
//! hedged, two more. A response costs one if it can be resumed, and three if something failed before it.
//!
//! By a [`HealthCheck`], replicas are asked for their health, too, by a client or connector of theirs, as long as a
//! [`HealthChecker`] runs; an unhealthy one is skipped, and has its requests back little by little by [`SlowStart`].
//!
//! The feature `metrics` counts by `upstream` (the layer's name): `replica_failover_attempts_total` by `replica` and `outcome` (`ok`, or
//! a [`Reason`]), `replica_failover_failovers_total` by `from`, `to` and `reason`, `replica_failover_unserved_total` by `reason`,
//! `replica_failover_budget_exhausted_total`, `replica_failover_replay_buffer_bytes`, `replica_failover_resumes_total` by
//! `outcome`: `resumed`, `differs` and `failed` for each request for a rest, `gave_up` for a response without one;
//! `replica_failover_hedges_total` by `outcome`: `won`, `cancelled` (another did, or the client left) and `failed` for each hedge, and
//! `no_budget` and `no_replica` for each there was not; and of checks, by `replica`, `health_check_total` by `outcome` (`ok`, or a [`CheckFailure`]) and `health_state` (1, or 0 if it is
//! skipped).
//!
//! # What it leaves to others
//!
//! - Making a replica's request: host, path, credentials. That is its service's, for each attempt anew.
//! - Connections. Checks and requests go by services of the application's.
//! - Finding replicas. Who does [replaces](Replicas::replace) the list, while it serves.
//! - Responses that stall after their headers. A time limit in the replica's service breaks them, and then they go on.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod layer;
mod service;
mod future;
mod race;
mod trip;
mod hedging;
mod course;
mod part;
mod rest;
mod resuming;
mod resume_body;
mod head;
mod replay;
mod replay_body;
mod replay_error;
mod kept;
mod wakers;
mod handle;
mod rejection;
mod attempts;
mod policy;
mod backoff;
mod retry_budget;
mod resume;
mod hedge;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "schema")]
mod schema;
mod classify;
mod verdict;
mod reason;
mod replica;
mod set;
mod live;
mod replicas;
mod shared;
mod state;
mod order;
mod pick;
mod candidates;
mod picks;
mod hash_on;
mod maglev;
mod latency;
mod recent;
mod budget;
mod resumes;
mod moment;
mod random;
mod meters;
mod health_check;
mod probe;
mod slow_start;
mod health;
mod check_failure;
mod vitals;
mod condition;
mod checks;
mod grpc_health;
mod grpc_timeout;
mod health_checker;
mod health_meters;

pub use attempts::{Attempt, Attempts};
pub use backoff::Backoff;
pub use candidates::{Candidate, Candidates};
pub use check_failure::CheckFailure;
pub use classify::{ByCause, Classify};
pub use future::ResponseFuture;
pub use handle::{FailoverHandle, ReplicaSnapshot};
pub use hash_on::{HashKey, HashOn};
pub use health::Health;
pub use health_check::{HealthCheck, InitialHealth, InvalidTiming};
pub use health_checker::HealthChecker;
pub use hedge::Hedge;
pub use layer::ReplicaFailoverLayer;
pub use order::Order;
pub use pick::Pick;
pub use policy::FailoverPolicy;
pub use probe::{GrpcProbe, HttpProbe, Probe};
pub use reason::Reason;
pub use rejection::Unserved;
pub use replay_body::ReplayBody;
pub use replay_error::ReplayBodyError;
pub use replica::Replica;
pub use replicas::Replicas;
pub use resume::Resume;
pub use resume_body::ResumeBody;
pub use retry_budget::RetryBudget;
pub use service::ReplicaFailover;
pub use slow_start::SlowStart;
pub use state::InFlight;
pub use verdict::Verdict;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
