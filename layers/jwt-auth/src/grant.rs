use crate::Claims;

/// Why a request is let through.
pub(crate) enum Grant {
    /// It has a valid token that the policy allows.
    Token(Claims),
    /// It has none, and needs none.
    NoToken,
    /// It is a CORS preflight.
    Preflight,
}
