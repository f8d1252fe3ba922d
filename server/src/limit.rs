//! How long bodies and requests may take.

mod deadline;
mod idle;

pub use deadline::{Deadline, DeadlineLayer, ResponseFuture};
pub use idle::{Idle, IdleBody};
