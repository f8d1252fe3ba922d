//! What a public key must be to be trusted, however it is written down.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::DecodingKey;

use crate::curve::{P256, P384};
use crate::{Algorithm, ConfigError, der};

#[derive(Debug)]
pub(crate) enum PublicKey {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl PublicKey {
    /// An RSA key of its two numbers, big-endian; leading zeros are dropped.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, ConfigError> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let bits = bits(modulus);
        if !(2048..=8192).contains(&bits) {
            return Err(ConfigError::RsaSize { bits });
        }
        let odd = exponent.last().is_some_and(|last| last % 2 == 1);
        if !odd || !(2..=33).contains(&self::bits(exponent)) {
            return Err(ConfigError::RsaExponent);
        }
        Ok(Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
    }

    /// An uncompressed point of P-256. One off its curve would verify nothing, or more than it should.
    pub(crate) fn p256(point: Vec<u8>) -> Result<Self, ConfigError> {
        if P256.has(&point) { Ok(Self::P256(point)) } else { Err(ConfigError::NotOnCurve) }
    }

    /// An uncompressed point of P-384.
    pub(crate) fn p384(point: Vec<u8>) -> Result<Self, ConfigError> {
        if P384.has(&point) { Ok(Self::P384(point)) } else { Err(ConfigError::NotOnCurve) }
    }

    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, ConfigError> {
        let (label, der) = pem_block(pem).ok_or(ConfigError::NotAPublicKey)?;
        if !matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY") {
            return Err(ConfigError::NotAPublicKey);
        }
        Self::from_der(&der)
    }

    /// A `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7), or an `RSAPublicKey` (RFC 8017 §A.1.1).
    ///
    /// The encoding of a point or of an Ed25519 key is the same for all keys but for the key itself, down to the
    /// curve's name: it is compared, not parsed.
    fn from_der(der: &[u8]) -> Result<Self, ConfigError> {
        let sized = |info, size| der.strip_prefix(info).filter(|key| key.len() == size);
        // A point that has both its coordinates begins with a four (SEC 1 §2.3.3).
        let point = |info, size| sized(info, size).filter(|point| point.first() == Some(&4));
        if let Some(point) = point(P256_INFO, 65) {
            return Self::p256(point.to_vec());
        }
        if let Some(point) = point(P384_INFO, 97) {
            return Self::p384(point.to_vec());
        }
        if let Some(key) = sized(ED25519_INFO, 32) {
            return Ok(Self::Ed25519(key.to_vec()));
        }
        let (modulus, exponent) = der::rsa_numbers(der).ok_or(ConfigError::UnsupportedKey)?;
        Self::rsa(modulus, exponent)
    }

    /// All that a key of this kind can be used with.
    pub(crate) const fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { .. } => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Self::P256(_) => &[Algorithm::ES256],
            Self::P384(_) => &[Algorithm::ES384],
            Self::Ed25519(_) => &[Algorithm::EdDSA],
        }
    }

    pub(crate) fn material(&self) -> DecodingKey {
        match self {
            Self::Rsa { modulus, exponent } => {
                DecodingKey::from_rsa_raw_components(modulus, exponent)
            }
            Self::P256(point) | Self::P384(point) => DecodingKey::from_ec_der(point),
            Self::Ed25519(key) => DecodingKey::from_ed_der(key),
        }
    }
}

/// The label and the contents of the only block of a PEM document (RFC 7468).
fn pem_block(pem: &[u8]) -> Option<(&str, Vec<u8>)> {
    let text = str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (base64, rest) = rest.split_once("-----END ")?;
    let rest = rest.strip_prefix(label)?.strip_prefix("-----")?;
    if rest.contains("-----BEGIN ") {
        return None;
    }
    let base64: String = base64.split_ascii_whitespace().collect();
    Some((label, STANDARD.decode(base64).ok()?))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn bits(number: &[u8]) -> usize {
    let spare = number.first().map_or(0, |byte| byte.leading_zeros());
    (number.len() * 8).saturating_sub(spare as usize)
}

const P256_INFO: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const P384_INFO: &[u8] =
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
const ED25519_INFO: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
