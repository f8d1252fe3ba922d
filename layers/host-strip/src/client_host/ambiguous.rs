use std::error::Error;
use std::fmt;

use http::StatusCode;
use portcullis_refusal::Refusal;

/// Why a request names no host, or more than one: found in the extensions of the `400` response.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AmbiguousHost {
    /// There is no `Host`, which HTTP/1.1 asks for, and neither that nor an authority in later versions.
    Missing,
    /// There are several lines of `Host`.
    Repeated,
    /// `Host` is another than the authority of the target.
    Differs,
    /// The host has userinfo before it, which may be a password, and may be there to deceive.
    Userinfo,
    /// The host is empty.
    Empty,
    /// The host is no name, no address, or has a port that is none: a list, say, or something with blanks.
    Malformed,
}

impl AmbiguousHost {
    pub(super) const ALL: [Self; 6] = [
        Self::Missing,
        Self::Repeated,
        Self::Differs,
        Self::Userinfo,
        Self::Empty,
        Self::Malformed,
    ];

    /// The reason in `snake_case`, fit for a metric label.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "host_missing",
            Self::Repeated => "host_repeated",
            Self::Differs => "host_differs",
            Self::Userinfo => "host_userinfo",
            Self::Empty => "host_empty",
            Self::Malformed => "host_malformed",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::Missing => "the request names no host",
            Self::Repeated => "there is more than one host",
            Self::Differs => "the host is not that of the request target",
            Self::Userinfo => "the host has userinfo",
            Self::Empty => "the host is empty",
            Self::Malformed => "the host is no name and no address",
        }
    }

    pub(crate) fn refusal(self) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, self.reason(), self.detail()).extension(self)
    }
}

impl fmt::Display for AmbiguousHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl Error for AmbiguousHost {}
