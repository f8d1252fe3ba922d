use std::str::FromStr;

use http::StatusCode;

use super::InvalidCondition;

/// Statuses of responses: one, or a class.
///
/// As text `"404"` or `"4xx"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

impl Statuses {
    /// `2xx`.
    pub const SUCCESS: Self = Self::class(2);
    /// `3xx`.
    pub const REDIRECTION: Self = Self::class(3);
    /// `4xx`.
    pub const CLIENT_ERROR: Self = Self::class(4);
    /// `5xx`.
    pub const SERVER_ERROR: Self = Self::class(5);

    const fn class(digit: u16) -> Self {
        Self { first: digit * 100, last: digit * 100 + 99 }
    }

    pub(super) const fn have(self, status: StatusCode) -> bool {
        self.first <= status.as_u16() && status.as_u16() <= self.last
    }
}

impl From<StatusCode> for Statuses {
    fn from(status: StatusCode) -> Self {
        Self { first: status.as_u16(), last: status.as_u16() }
    }
}

impl FromStr for Statuses {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, InvalidCondition> {
        match text.as_bytes() {
            [digit @ b'1'..=b'5', b'x', b'x'] => Ok(Self::class(u16::from(digit - b'0'))),
            _ => text.parse::<StatusCode>().map(Self::from).map_err(|_| InvalidCondition::Status),
        }
    }
}
