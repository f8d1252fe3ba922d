//! Each layer in axum, in tonic and on hyper, a file each: `cargo run --example drain_axum`.
