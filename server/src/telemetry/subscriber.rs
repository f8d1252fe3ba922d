use std::fs::File;
use std::io::{IsTerminal, stdout};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::reload::Error as ReloadError;
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
    if writes_json(log) {
        let builder =
            builder.json().flatten_event(true).with_span_list(false).with_filter_reloading();
        let filter = builder.reload_handle();
        if builder.finish().try_init().is_ok() {
            let _ = FILTER.set(Box::new(move |new| filter.reload(new)));
            IS_JSON.store(true, Relaxed);
        }
    } else {
        let builder = builder.with_ansi(stdout().is_terminal()).with_filter_reloading();
        let filter = builder.reload_handle();
        if builder.finish().try_init().is_ok() {
            let _ = FILTER.set(Box::new(move |new| filter.reload(new)));
        }
    }
    Ok(())
}

/// Where lines of JSON go, if that is what the subscriber of this process writes.
pub(super) fn json_lines() -> Option<&'static Lines> {
    LINES.get().filter(|_| IS_JSON.load(Relaxed))
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

/// Puts another filter in place of the one that the process began with, such as `info,portcullis=debug`.
///
/// # Errors
///
/// When it is no filter, or the process has no subscriber of [`subscribe`].
pub fn set_level(level: &str) -> Result<(), NotSet> {
    let filter = EnvFilter::builder().parse(level)?;
    let set = FILTER.get().ok_or(NotSet::NoLog)?;
    set(filter).map_err(|_| NotSet::NoLog)
}

/// Why the level of the log stays as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSet {
    /// It is no filter.
    #[error("{0}; a filter like \"info\" or \"info,portcullis=debug\" is needed")]
    Unreadable(#[from] ParseError),
    /// The log is not this process' own.
    #[error("the log of this process is somebody else's")]
    NoLog,
}

type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), ReloadError> + Send + Sync>;

/// That of the one subscriber.
static FILTER: OnceLock<SetFilter> = OnceLock::new();

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

static IS_JSON: AtomicBool = AtomicBool::new(false);

/// How long an output that takes nothing holds up the end of the process.
const PATIENCE: Duration = Duration::from_secs(1);
