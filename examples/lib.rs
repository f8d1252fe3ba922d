//! Each layer in an axum and in a tonic application, a file each: `cargo run --example drain_axum`.
