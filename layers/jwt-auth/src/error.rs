use std::error::Error;
use std::fmt;

use crate::Algorithm;

/// Why a layer cannot be built: asking for authentication without the means to check it is a mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no issuer, so no token could be valid.
    NoIssuer,
    /// An issuer, by its name if it has one, has no key.
    NoKey(Option<String>),
    /// An issuer has more keys than a token without `kid` may be tried against.
    TooManyKeys(Option<String>),
    /// One of several issuers does not say which `iss` is its own.
    UnnamedIssuer,
    /// Two issuers have the same `iss`.
    DuplicateIssuer(String),
    /// An issuer accepts an empty list of audiences, which no token can be for.
    NoAudience(Option<String>),
    /// A key is not allowed any algorithm.
    NoAlgorithm,
    /// A key is of another kind than the algorithm needs.
    WrongAlgorithm(Algorithm),
    /// A secret is shorter than the hash of its algorithm (RFC 7518 §3.2).
    ShortSecret {
        /// The algorithm.
        algorithm: Algorithm,
        /// How many bytes it needs.
        needed: usize,
    },
    /// A secret is a PEM document: a public key, which everybody knows.
    SecretIsPem,
    /// An RSA key has less than 2048 bits (RFC 7518 §3.3) or more than 8192.
    RsaSize {
        /// The bits of the modulus.
        bits: usize,
    },
    /// An RSA key has an exponent that is even, one, or longer than 33 bits.
    RsaExponent,
    /// A document is not one PEM block with a public key.
    NotAPublicKey,
    /// A public key is not RSA, not Ed25519, and not an uncompressed point of P-256 or P-384.
    UnsupportedKey,
    /// A public key of P-256 or P-384 is not a point of that curve.
    NotOnCurve,
    /// A document is not a JSON Web Key Set (RFC 7517 §5).
    NotAKeySet,
    /// A JSON Web Key lacks a member or has one that is malformed.
    MalformedKey,
    /// A JSON Web Key is meant for something else than checking signatures.
    NotForSignatures,
    /// A JSON Web Key Set has no key that could be used.
    NoUsableKey {
        /// How many were skipped.
        skipped: usize,
    },
    /// The policy has no source of tokens.
    NoSource,
    /// Two sources of the policy are the same header, cookie or parameter.
    DuplicateSource,
    /// A source's name cannot be that of a cookie or of a parameter.
    InvalidSource(String),
    /// A URL is not absolute, or has a user or a fragment; an issuer's has a query.
    InvalidUrl(String),
    /// Keys would come over plain HTTP from another machine, and anybody on the way could make his own.
    InsecureUrl(String),
    /// The realm has a character that cannot be quoted in a header.
    InvalidRealm,
    /// The policy accepts an empty list of types, which no token is of.
    NoType,
    /// A rule about scopes names none.
    NoScope,
    /// A scope has a character that none can have (RFC 6749 §3.3), or none at all.
    InvalidScope(String),
    /// A protected resource, or the address of its metadata, is not an absolute URI of `https` (or of `http`, on the
    /// machine itself) without a query, a fragment or a user.
    InvalidResource(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = |issuer: &Option<String>| match issuer {
            Some(name) => format!("the issuer {name:?}"),
            None => "the issuer".to_owned(),
        };
        match self {
            Self::NoIssuer => f.write_str("no issuer is trusted"),
            Self::NoKey(name) => write!(f, "{} has no key", issuer(name)),
            Self::TooManyKeys(name) => write!(f, "{} has too many keys", issuer(name)),
            Self::UnnamedIssuer => f.write_str("one of several issuers has no name"),
            Self::DuplicateIssuer(name) => write!(f, "the issuer {name:?} is there twice"),
            Self::NoAudience(name) => write!(f, "{} accepts no audience", issuer(name)),
            Self::NoAlgorithm => f.write_str("a key is allowed no algorithm"),
            Self::WrongAlgorithm(algorithm) => write!(f, "a key is not one for {algorithm}"),
            Self::ShortSecret { algorithm, needed } => {
                write!(f, "a secret for {algorithm} needs {needed} bytes")
            }
            Self::SecretIsPem => f.write_str("a secret is a PEM document"),
            Self::RsaSize { bits } => write!(f, "an RSA key has {bits} bits, not 2048 to 8192"),
            Self::RsaExponent => f.write_str("an RSA key has an unusable exponent"),
            Self::NotAPublicKey => f.write_str("not a PEM document with one public key"),
            Self::UnsupportedKey => f.write_str("a public key is of an unsupported kind"),
            Self::NotOnCurve => f.write_str("a public key is not a point of its curve"),
            Self::NotAKeySet => f.write_str("not a JSON Web Key Set"),
            Self::MalformedKey => f.write_str("a JSON Web Key is malformed"),
            Self::NotForSignatures => f.write_str("a JSON Web Key is not for signatures"),
            Self::NoUsableKey { skipped } => {
                write!(f, "no usable key in the set, {skipped} skipped")
            }
            Self::NoSource => f.write_str("no source of tokens"),
            Self::DuplicateSource => f.write_str("a source of tokens is there twice"),
            Self::InvalidSource(name) => write!(f, "no name for a source of tokens: {name:?}"),
            Self::InvalidUrl(url) => write!(f, "no URL that keys could come from: {url:?}"),
            Self::InsecureUrl(url) => write!(f, "keys from {url:?} need https"),
            Self::InvalidRealm => f.write_str("the realm cannot be quoted"),
            Self::NoType => f.write_str("no type of tokens is accepted"),
            Self::NoScope => f.write_str("a rule names no scope"),
            Self::InvalidScope(scope) => write!(f, "not a scope: {scope:?}"),
            Self::InvalidResource(uri) => write!(f, "not the URI of a protected resource: {uri:?}"),
        }
    }
}

impl Error for ConfigError {}
