use crate::Claims;
use crate::times::Times;

/// A token whose signature, issuer and audience are right for as long as its key is trusted.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub(crate) claims: Claims,
    pub(crate) times: Times,
    pub(crate) seal: Seal,
}

/// By which keys a token was found valid: those of one issuer, in the set with this number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seal {
    /// Its place among the trusted.
    pub(crate) issuer: usize,
    pub(crate) generation: u64,
}
