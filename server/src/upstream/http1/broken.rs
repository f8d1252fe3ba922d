use std::{fmt, io};

/// What is wrong with a connection, or with what came over it.
#[derive(Debug)]
pub(in crate::upstream) enum Broken {
    /// It closed before the response, or before its end.
    Closed,
    /// It broke.
    Io(io::Error),
    /// What came is no HTTP, or none that can be told apart from what follows it.
    Malformed(&'static str),
}

impl Broken {
    /// Whether the peer said something that it should not have.
    pub(in crate::upstream) const fn is_malformed(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }

    /// Whether the peer was gone, as one is that has closed a connection for being idle: what still comes it answers with
    /// a reset, which may overtake the end it sent.
    pub(super) fn is_gone(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};

        match self {
            Self::Closed => true,
            Self::Io(error) => matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
            ),
            Self::Malformed(_) => false,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection closed before the end of the message"),
            Self::Io(_) => f.write_str("the connection broke"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Closed | Self::Malformed(_) => None,
        }
    }
}
