//! What the comparisons share, beside what all benches do: the same requests on one thread or on several.

use std::convert::Infallible;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use http::Request;
use portcullis_benches::call;
use tokio::time::Instant;
use tower_service::Service;

/// How long it takes threads, one for each of `requests`, to have `rounds` requests made and answered each.
///
/// # Panics
///
/// When the service or its response is not ready at the first poll.
pub fn threads<S, R>(service: &S, requests: &[R], rounds: u64) -> Duration
where
    S: Service<Request<()>, Error = Infallible> + Clone + Send,
    R: Fn() -> Request<()> + Sync,
{
    let start = Instant::now();
    thread::scope(|scope| {
        for request in requests {
            let mut service = service.clone();
            scope.spawn(move || {
                for _ in 0..rounds {
                    let Ok(response) = call(&mut service, request());
                    black_box(response);
                }
            });
        }
    });
    start.elapsed()
}
