use crate::Claims;
use crate::times::Times;

/// A token whose signature, issuer and audience are right for as long as its key is trusted.
#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub(crate) claims: Claims,
    pub(crate) times: Times,
    pub(crate) seal: Seal,
}

/// By what a token was found valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seal {
    /// The issuer's place among the trusted.
    pub(crate) issuer: usize,
    pub(crate) signer: Signer,
}

/// A key of an issuer: one in the set with this number, which is zero where keys never change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signer {
    pub(crate) generation: u64,
    /// Its place in the set.
    pub(crate) key: usize,
}
