use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::sign::v4;
#[cfg(feature = "sigv4a")]
use aws_sigv4::sign::v4a;

use crate::Signing;

/// How a string is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Algorithm {
    /// Signature Version 4, by a key of the day, the region and the service.
    Hmac,
    /// Signature Version 4A, by a key pair, for a set of regions.
    #[cfg(feature = "sigv4a")]
    Ecdsa,
}

/// Both kinds have 32 bytes.
pub(crate) type Key = [u8; 32];

impl Algorithm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hmac => "AWS4-HMAC-SHA256",
            #[cfg(feature = "sigv4a")]
            Self::Ecdsa => "AWS4-ECDSA-P256-SHA256",
        }
    }

    /// The most that a signature is long.
    pub(crate) const fn signature_length(self) -> usize {
        match self {
            Self::Hmac => 64,
            #[cfg(feature = "sigv4a")]
            Self::Ecdsa => 144,
        }
    }

    /// The key of `credentials` for the day of `time`.
    pub(crate) fn key(self, signing: &Signing, credentials: &Credentials, time: SystemTime) -> Key {
        let secret = credentials.secret_access_key();
        match self {
            Self::Hmac => {
                let (region, service) = (signing.region().as_str(), signing.service().as_str());
                of_32_bytes(v4::generate_signing_key(secret, time, region, service))
            }
            #[cfg(feature = "sigv4a")]
            Self::Ecdsa => {
                of_32_bytes(v4a::generate_signing_key(credentials.access_key_id(), secret))
            }
        }
    }

    pub(crate) fn sign(self, key: &Key, text: &[u8]) -> String {
        match self {
            Self::Hmac => v4::calculate_signature(key, text),
            #[cfg(feature = "sigv4a")]
            Self::Ecdsa => v4a::calculate_signature(key, text),
        }
    }
}

fn of_32_bytes(key: impl AsRef<[u8]>) -> Key {
    #[expect(clippy::expect_used, reason = "an HMAC-SHA-256 and a P-256 scalar are 32 bytes long")]
    key.as_ref().try_into().expect("a key of 32 bytes")
}
