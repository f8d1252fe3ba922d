use std::fs::File;
use std::io::{IsTerminal, stdout};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

use super::lines::Lines;

/// Writes what is logged to standard output: for people on a terminal, a JSON object a line elsewhere.
///
/// A thread of its own writes: see [`flush`] for the end of the process, and [`dropped`] for what was not written. The
/// process has one subscriber; if it has one already, that one stays.
///
/// # Errors
///
/// When the level is no filter.
pub fn subscribe(log: &Log) -> Result<(), ParseError> {
    let level = log.level.as_ref().map_or("info", |level| level.get_ref());
    let builder = tracing_subscriber::fmt()
        .with_writer(LINES.get_or_init(to_stdout).clone())
        .with_env_filter(EnvFilter::builder().parse(level)?);
    // The error that is passed over: somebody else subscribed before.
    let _ = if writes_json(log) {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .finish()
            .try_init()
    } else {
        builder.with_ansi(stdout().is_terminal()).finish().try_init()
    };
    Ok(())
}

/// Waits until what was logged is written, for as long as standard output takes something: at most a second without.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(PATIENCE);
    }
}

/// How many lines could not be written, or not in time, since the process began.
#[must_use]
pub fn dropped() -> u64 {
    LINES.get().map_or(0, Lines::dropped)
}

fn to_stdout() -> Lines {
    // A descriptor of its own, since the one of the library ends each line with a call.
    Lines::to(|| Ok(Box::new(File::from(stdout().as_fd().try_clone_to_owned()?))))
}

/// Whether lines are JSON.
#[must_use]
pub fn writes_json(log: &Log) -> bool {
    match log.format {
        Some(LogFormat::Json) => true,
        Some(LogFormat::Text) => false,
        None => !stdout().is_terminal(),
    }
}

/// Standard output is one for the whole process.
static LINES: OnceLock<Lines> = OnceLock::new();

/// How long an output that takes nothing holds up the end of the process.
const PATIENCE: Duration = Duration::from_secs(1);
