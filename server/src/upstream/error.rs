use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::body::{self, Side};

type Source = Box<dyn StdError + Send + Sync>;

/// Why a replica gave no response.
#[derive(Debug)]
pub struct Error {
    phase: Phase,
    timed_out: bool,
    may_have_run: bool,
    replica: Option<Arc<str>>,
    source: Option<Source>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// Looking up the address.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Agreeing on TLS.
    Handshake,
    /// Sending the request.
    Send,
    /// Waiting for, or reading, the head of the response.
    Headers,
    /// Reading the body of the response.
    Body,
}

impl Phase {
    /// All of them, in the order in which a request goes through them.
    pub const ALL: [Self; 6] =
        [Self::Resolve, Self::Connect, Self::Handshake, Self::Send, Self::Headers, Self::Body];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::Send => "send",
            Self::Headers => "headers",
            Self::Body => "body",
        }
    }
}

impl Error {
    /// A failure in this phase.
    pub fn failed(phase: Phase, may_have_run: bool, source: impl Into<Source>) -> Self {
        Self { phase, timed_out: false, may_have_run, replica: None, source: Some(source.into()) }
    }

    /// A phase that took too long.
    #[must_use]
    pub const fn timed_out(phase: Phase, may_have_run: bool) -> Self {
        Self { phase, timed_out: true, may_have_run, replica: None, source: None }
    }

    /// What hyper says of an exchange whose peer may say that it has not acted on the request.
    pub(super) fn exchange_http2(error: hyper::Error) -> Self {
        let unprocessed = is_unprocessed(&error);
        let ours = error.is_user() || error.is_body_write_aborted();
        Self::failed(if ours { Phase::Send } else { Phase::Headers }, !unprocessed, error)
    }

    /// Why it failed, in a line.
    pub(super) fn cause(&self) -> String {
        self.source.as_deref().map_or_else(String::new, ToString::to_string)
    }

    /// How far it came, and why no further.
    pub(crate) fn in_full(&self) -> String {
        match self.cause() {
            cause if cause.is_empty() => self.to_string(),
            cause => format!("{self}: {cause}"),
        }
    }

    pub(super) fn at(self, replica: Arc<str>) -> Self {
        Self { replica: Some(replica), ..self }
    }

    /// How far the request came.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it was time that ran out.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        self.timed_out
    }

    /// Whether the upstream may have acted on the request: one that may have run must not be sent
    /// again unless it is idempotent.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        self.may_have_run
    }

    /// The replica's name.
    #[must_use]
    pub fn replica(&self) -> Option<&str> {
        self.replica.as_deref()
    }

    /// Whose side broke the request body off, if that is what happened: then it is no failure of
    /// the replica, unless the side says so.
    #[must_use]
    pub fn body_side(&self) -> Option<Side> {
        let source = self.source.as_deref()?;
        body::Error::find(source).map(body::Error::side)
    }
}

/// Whether the upstream has not acted on the request, by its own word: it refused the stream, or goes away and saw none
/// of it (RFC 9113 §8.7).
fn is_unprocessed(error: &hyper::Error) -> bool {
    body::find::<h2::Error>(error).is_some_and(|error| {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.phase.name();
        match self.timed_out {
            true => write!(f, "upstream timed out ({name})"),
            false => write!(f, "upstream failed ({name})"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}
