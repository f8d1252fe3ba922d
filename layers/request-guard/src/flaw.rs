use std::error::Error;
use std::fmt;

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Flaw {
    /// A `%` encodes nothing, or the path is none.
    Encoding,
    /// A NUL byte.
    Nul,
    /// Another control character.
    ControlByte,
    /// Bytes that are no UTF-8, or the long form of a character of ASCII.
    InvalidUtf8,
    /// A `..` that is refused, leads above the root, or leads nobody knows where.
    ParentSegment,
    /// A `.`.
    DotSegment,
    /// A `//`.
    EmptySegment,
    /// A backslash.
    Backslash,
    /// A slash in an encoding.
    EncodedSlash,
    /// Something of the above in a double encoding.
    DoubleEncoding,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "the path has a `%` that encodes nothing",
            Self::Nul => "the path has a NUL byte",
            Self::ControlByte => "the path has a control character",
            Self::InvalidUtf8 => "the path has bytes that are no UTF-8",
            Self::ParentSegment => "the path has a `..` segment",
            Self::DotSegment => "the path has a `.` segment",
            Self::EmptySegment => "the path has an empty segment",
            Self::Backslash => "the path has a backslash",
            Self::EncodedSlash => "the path has an encoded slash",
            Self::DoubleEncoding => "the path is encoded twice",
        })
    }
}

impl Error for Flaw {}
