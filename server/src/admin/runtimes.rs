use tokio::runtime::RuntimeMetrics;

use super::family::{Kind, write};

/// How busy each worker is.
pub(super) fn show(out: &mut String, runtimes: &[RuntimeMetrics]) {
    let each = |value: fn(&RuntimeMetrics) -> f64| {
        let of = move |(index, runtime)| (format!("{{worker=\"{index}\"}}"), value(runtime));
        runtimes.iter().enumerate().map(of)
    };
    write(
        out,
        "portcullis_worker_busy_seconds_total",
        Kind::Counter,
        "Time in which a worker had something to do: 1 in a second is all that it can.",
        // Each has a runtime with one worker.
        each(|runtime| runtime.worker_total_busy_duration(0).as_secs_f64()),
    );
    write(
        out,
        "portcullis_worker_parks_total",
        Kind::Counter,
        "How often a worker had nothing to do.",
        each(|runtime| count(runtime.worker_park_count(0))),
    );
    write(
        out,
        "portcullis_worker_tasks",
        Kind::Gauge,
        "Tasks of a worker that have not ended: its connections, and some of its own.",
        each(|runtime| count(u64::try_from(runtime.num_alive_tasks()).unwrap_or(u64::MAX))),
    );
}

#[expect(clippy::cast_precision_loss, reason = "a scrape has no more than the 53 bits of a float")]
const fn count(count: u64) -> f64 {
    count as f64
}
