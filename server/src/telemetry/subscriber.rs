use std::io::{IsTerminal, stdout};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Writes what is logged to standard output: for people on a terminal, a JSON object a line elsewhere.
///
/// The process has one subscriber; if it has one already, that one stays.
///
/// # Errors
///
/// When the level is no filter.
pub fn subscribe(log: &Log) -> Result<(), ParseError> {
    let level = log.level.as_ref().map_or("info", |level| level.get_ref());
    let builder = tracing_subscriber::fmt()
        .with_writer(stdout)
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

/// Whether lines are JSON.
#[must_use]
pub fn writes_json(log: &Log) -> bool {
    match log.format {
        Some(LogFormat::Json) => true,
        Some(LogFormat::Text) => false,
        None => !stdout().is_terminal(),
    }
}
