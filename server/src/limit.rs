//! How long bodies and requests may take, and how much of whom there may be.

mod deadline;
mod idle;
mod stores;

pub use deadline::{Deadline, DeadlineLayer, ResponseFuture};
pub use idle::{Idle, IdleBody};
pub use stores::{LimitStore, RateLimits, Stores};
